"""Robots that follow one motion while something pushes against their hands as the motion expects, more or less."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vm_training.mdp.clip_tracking import ClipTracking
from vm_training.motions.whole_body import HAND_BODIES


@dataclass
class LoadedTracking(ClipTracking):
    """`ClipTracking` with a horizontal force against the hands.

    Attributes:
        load_n: (F,) against both hands together, from ahead, at the clip's frames [N].
        load_error: half-width of each robot's own factor on it.
        bump_n: standard deviation of a force from anywhere, on top, drawn anew each second.
    """

    load_n: np.ndarray = field(default_factory=lambda: np.zeros(1))
    load_error: float = 0.2
    bump_n: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._hands = [self.model.body(name).id for name in HAND_BODIES]
        self._factor = np.ones(self.num_envs)
        self._bump = np.zeros((self.num_envs, 2, 3))
        self._wrench = np.zeros((self.num_envs, self.model.nbody, 6))

    def reset(self, envs: np.ndarray, frames: np.ndarray) -> None:
        super().reset(envs, frames)
        self._factor[envs] = self.rng.uniform(1.0 - self.load_error, 1.0 + self.load_error, len(envs))

    def step(self, correction: np.ndarray) -> None:
        anew = self.rng.random(self.num_envs) < 1.0 / self.clip.fps
        self._bump[anew] = self.rng.normal(0.0, self.bump_n, (int(anew.sum()), 2, 3))
        at = self.clip_frame
        load = -0.5 * (self._factor * self.load_n[np.minimum(at, len(self.load_n) - 1)])
        self._wrench[:, self._hands, :3] = self._bump
        self._wrench[:, self._hands, :2] += (load[:, None] * self._ahead[at])[:, None]
        super().step(correction)

    def advance(self, target: np.ndarray, delay: np.ndarray) -> None:
        """The physics of one control period."""
        self.physics.step(target, self.last_target, delay, wrench_world=self._wrench)
