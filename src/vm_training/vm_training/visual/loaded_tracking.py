"""Robots that follow one motion while forces act on hands and feet, as the motion expects or as nobody does."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vm_core import g1
from vm_core.errors import VmError
from vm_core.keypoint_command import keypoints_of_joints
from vm_training.mdp.clip_tracking import ClipTracking
from vm_training.motions.whole_body import HAND_BODIES


@dataclass(frozen=True)
class Surprises:
    """How the forces on a robot differ from those that its motion expects.

    Attributes:
        error: half-width of each robot's own factor on the expected load.
        bump_n: standard deviation of a force from anywhere on each hand, drawn anew each second.
        share: of the robots that meet what nobody expects, for as long as they last; the rest meets the above only.
        least: of such a force, and of a kick, as a share of the largest.
        hands_n: largest force from ahead on both hands together; it comes, holds and goes, as a box that is met.
        aside: its largest part from the side, as a share of it.
        holds_s: mean time that such a force, or none, lasts.
        rise_s: time constant of its coming and going.
        press_m: largest distance by which palms are led into a box that they hold; it pushes them aside with PRESS_N_M
            of that, which the motion knows.
        weight_n: largest force of it down on each palm, which it does not.
        kick_n: largest force on a foot, from ahead, for kick_s, once in kick_every_s on average.
    """

    error: float = 0.2
    bump_n: float = 2.0
    share: float = 0.0
    least: float = 0.0
    hands_n: float = 0.0
    aside: float = 0.3
    holds_s: float = 2.0
    rise_s: float = 0.15
    press_m: float = 0.08
    weight_n: float = 5.0
    kick_n: float = 0.0
    kick_s: float = 0.1
    kick_every_s: float = 2.0

    def __post_init__(self) -> None:
        forces = (self.error, self.bump_n, self.hands_n, self.aside, self.press_m, self.weight_n, self.kick_n)
        if not 0.0 <= self.share <= 1.0 or not 0.0 <= self.least <= 1.0 or min(forces) < 0.0:
            raise VmError(f"{self}: expected shares in [0, 1] and forces from 0")
        if min(self.holds_s, self.rise_s, self.kick_s, self.kick_every_s) <= 0.0:
            raise VmError(f"{self}: expected positive times")


PRESS_N_M = 300.0
"""Force with which a palm is to press, for each metre that it is led into what it holds."""


@dataclass(frozen=True)
class HeldBox:
    """What a box between the palms means to a motion of F frames.

    Attributes:
        share: (F,) of its weight and resistance that the palms feel.
        target_rad_n: (F, J) added to the targets for each newton with which both palms press.
    """

    share: np.ndarray
    target_rad_n: np.ndarray


@dataclass
class LoadedTracking(ClipTracking):
    """`ClipTracking` with horizontal forces against the hands, and now and then against a foot.

    Attributes:
        load_n: (F,) against both hands together, from ahead, at the clip's frames [N].
        held: what a box that is held does to the palms; None: none is.
        surprises: what differs from it.
        stands_from: frame from which on a halted walk stands: what is planned is seen from where the feet then are.
    """

    load_n: np.ndarray = field(default_factory=lambda: np.zeros(1))
    held: HeldBox | None = None
    surprises: Surprises = field(default_factory=Surprises)
    stands_from: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        count = self.num_envs
        self._hands = [self.model.body(name).id for name in HAND_BODIES]
        self._feet = [self.model.body(name).id for name in g1.FOOT_BODIES]
        self._factor, self._surprised = np.ones(count), np.zeros(count, dtype=bool)
        self._bump = np.zeros((count, 2, 3))
        self._box = np.zeros((count, 2))  # how deep palms press [m], its weight [N]
        self._met, self._felt = np.zeros((count, 2)), np.zeros((count, 2))  # ahead and to the left [N]: wanted, now
        self._kick, self._kick_left = np.zeros((count, 2)), np.zeros(count)  # on each foot [N]; how long still [s]
        self._wrench = np.zeros((count, self.model.nbody, 6))

    def reset(self, envs: np.ndarray, frames: np.ndarray) -> None:
        super().reset(envs, frames)
        error = self.surprises.error
        self._factor[envs] = self.rng.uniform(1.0 - error, 1.0 + error, len(envs))
        if self.held is not None:
            most = [self.surprises.press_m, self.surprises.weight_n]
            self._box[envs] = self.rng.uniform(0.0, most, (len(envs), 2))
        if self.surprises.share:
            self._surprised[envs] = self.rng.random(len(envs)) < self.surprises.share
            self._met[envs], self._felt[envs], self._kick_left[envs] = 0.0, 0.0, 0.0

    def felt_n(self) -> np.ndarray:
        """(N, 2) against both hands together, beyond what the motion expects: ahead and to the left [N]."""
        at = self.clip_frame
        felt = self._in_heading(self._bump.sum(axis=1), at)[:, :2] + self._felt
        felt[:, 0] -= (self._factor - 1.0) * self.load_n[np.minimum(at, len(self.load_n) - 1)]
        return felt

    def step(self, correction: np.ndarray) -> None:
        anew = self.rng.random(self.num_envs) < 1.0 / self.clip.fps
        self._bump[anew] = self.rng.normal(0.0, self.surprises.bump_n, (int(anew.sum()), 2, 3))
        at = self.clip_frame
        load = -0.5 * (self._factor * self.load_n[np.minimum(at, len(self.load_n) - 1)])
        self._wrench[:, self._hands, :3] = self._bump
        self._wrench[:, self._hands, :2] += (load[:, None] * self._ahead[at])[:, None]
        if self.held is not None:
            self._feel(self.held, at)
        if self.surprises.share:
            self._surprise(at)
        super().step(correction)
        if self.stands_from is not None:
            self._replant(np.flatnonzero(self.frame == self.stands_from))

    def _replant(self, envs: np.ndarray) -> None:
        """Moves robots (E,) so that their feet are where the plan has them: on level ground that is all the same, and
        feet that stay cannot mend it; a body led to the plan's place would end at the edge of the soles."""
        poses = self.physics.qpos[envs], self.reference_qpos[self.clip_frame[envs]]
        own, planned = (keypoints_of_joints(qpos[:, :3], qpos[:, 3:7], qpos[:, 7:])[:, 3:, :2] for qpos in poses)
        self.physics.qpos[envs, :2] += (planned - own).mean(axis=1)

    def planned_target(self) -> np.ndarray:
        target = super().planned_target()
        if self.held is None:
            return target
        at = self.clip_frame
        force = PRESS_N_M * self.held.share[at] * self._box[:, 0]
        return target + force[:, None] * self.held.target_rad_n[at]

    def pressed(self, points: np.ndarray, lead: int) -> np.ndarray:
        """Keypoints (N, 5, 3) [m] to be told of `lead` frames ahead, the palms inside of the box that they hold."""
        if self.held is None:
            return points
        at = np.minimum(self.clip_frame + lead, len(self.held.share) - 1)
        points, deep = points.copy(), self.held.share[at] * self._box[:, 0]
        for palm, side in ((1, -1.0), (2, 1.0)):
            points[:, palm, :2] += side * deep[:, None] * self._left[at]
        return points

    def _feel(self, held: HeldBox, at: np.ndarray) -> None:
        aside, down = (held.share[at, None] * self._box * [PRESS_N_M, 1.0]).T
        for hand, side in zip(self._hands, (1.0, -1.0), strict=True):
            self._wrench[:, hand, :2] += side * aside[:, None] * self._left[at]
            self._wrench[:, hand, 2] -= down

    def _surprise(self, at: np.ndarray) -> None:
        how, rng, period_s = self.surprises, self.rng, 1.0 / self.clip.fps
        changes = self._surprised & (rng.random(self.num_envs) < period_s / how.holds_s)
        size = -how.hands_n * self._sizes() * (rng.random(self.num_envs) < 0.6)
        aside = how.aside * rng.uniform(-1.0, 1.0, self.num_envs)
        self._met[changes] = np.stack([size, size * aside], axis=1)[changes]
        self._felt += period_s / how.rise_s * (self._met - self._felt)
        starts = self._surprised & (self._kick_left <= 0.0) & (rng.random(self.num_envs) < period_s / how.kick_every_s)
        which = rng.integers(0, 2, self.num_envs)[:, None] == np.arange(2)
        self._kick[starts] = (which * -how.kick_n * self._sizes()[:, None])[starts]
        self._kick_left = np.where(starts, how.kick_s, self._kick_left - period_s)
        world = self._felt[:, :1] * self._ahead[at] + self._felt[:, 1:] * self._left[at]
        kick = self._kick * (self._kick_left > 0.0)[:, None]
        self._wrench[:, self._hands, :2] += 0.5 * world[:, None]
        self._wrench[:, self._feet, :2] = kick[..., None] * self._ahead[at][:, None]

    def _sizes(self) -> np.ndarray:
        """(N,) of forces, as shares of the largest."""
        return self.surprises.least + (1.0 - self.surprises.least) * self.rng.random(self.num_envs)

    def advance(self, target: np.ndarray, delay: np.ndarray) -> None:
        """The physics of one control period."""
        self.physics.step(target, self.last_target, delay, wrench_world=self._wrench)
