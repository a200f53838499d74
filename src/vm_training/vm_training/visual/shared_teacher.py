"""One schedule of gains for all motions of a kind: local models fitted to noisy rollouts of many motions in step.

`teachers.transfer` takes the gains of one walk for another. Here the walks share their samples before any gains are
computed: each sample counts for the frame of one common walk that is in step with its own, as a mirror shows it where
the other foot closes. The gains then suit what the motions have in common, and hold on motions that nobody sampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from vm_core.errors import VmError
from vm_core.halting import SETTLES_S
from vm_training.mdp import mirror
from vm_training.mdp.clip_tracking import StartNoise
from vm_training.mdp.mirror import mirrored_gains
from vm_training.mdp.randomization import DomainRanges
from vm_training.motions.footsteps import SIDES
from vm_training.progress import Progress
from vm_training.teachers.local_models import Samples, fit_local_models, frame_groups
from vm_training.teachers.riccati import TrackingCost, regulator_gains
from vm_training.teachers.sampled_lqr import LqrConfig, LqrTeacher, collect, evaluate, smoothed
from vm_training.teachers.transfer import donor_frames, transferred
from vm_training.visual.lift_plans import common_lift, held_box
from vm_training.visual.loaded_tracking import LoadedTracking, Surprises
from vm_training.visual.motion_library import common_motion
from vm_training.visual.planned_motion import TIMING_FPS, PlannedMotion

CLOSES = SIDES.index("left")
"""The foot that lands last in the common walk."""
COLUMNS = mirror.ERROR_ORDER.size + mirror.FELT_SIGN.size + 1
"""Of gains: errors, forces that are known, what is constant."""


@dataclass(frozen=True)
class SharedTeacherConfig:
    """How the common gains are found.

    Attributes:
        rounds: of sampling all motions, fitting and regulating.
        robots: on each motion.
        steps: control steps of each robot in a round.
        judges: robots on each motion that say how good its teacher is.
        limit_rad: of corrections.
        frames_a_model: neighbouring frames of the common walk that share a local model.
        ranges: how robots differ.
        noise: of the starts that samples are drawn from; larger ones also teach to hold pushes.
        surprises: forces on those robots that no motion expects.
        lqr: exploration, lengths, smoothing, cost.
        seed: of everything random.
    """

    rounds: int = 6
    robots: int = 16
    steps: int = 100
    judges: int = 8
    limit_rad: float = 0.8
    frames_a_model: int = 2
    ranges: DomainRanges = field(default_factory=lambda: DomainRanges(box_height_m=0.0))
    noise: StartNoise = field(default_factory=StartNoise)
    surprises: Surprises = field(default_factory=Surprises)
    lqr: LqrConfig = field(default_factory=lambda: LqrConfig(cost=TrackingCost()))
    seed: int = 0


def make_env(
    motion: PlannedMotion,
    count: int,
    ranges: DomainRanges,
    seed: int,
    noise: StartNoise | None = None,
    surprises: Surprises | None = None,
) -> LoadedTracking:
    """Robots on a motion, under its load and what surprises them."""
    disturbed = {"noise": noise or StartNoise(), "surprises": surprises or Surprises(), "load_n": motion.load_n}
    disturbed["held"] = held_box(motion) if motion.lift else None
    disturbed["stands_from"] = None if motion.halt is None else motion.halt[1] + round(SETTLES_S * TIMING_FPS)
    return LoadedTracking(motion.clip, motion.scene, count, ranges, seed=seed, threads=1, **disturbed)


def teacher_of(common: LqrTeacher, motion: PlannedMotion, resting: np.ndarray | None = None) -> LqrTeacher:
    """The common gains in step with a motion; a motion without steps stands as the common one does at its end.

    Args:
        common: gains of the common walk, for lifts of the common lift.
        motion: any.
        resting: (F, J, n) gains from a halt's last landing on, see `resting_teacher`; None: as at the walk's end.
    """
    frames = motion.clip.num_frames
    if motion.lift:
        return LqrTeacher(without_constant(common.gains), common.limit_rad)
    if not motion.steps:
        return LqrTeacher(np.repeat(without_constant(common.gains[-1:]), frames, axis=0), common.limit_rad)
    teacher = transferred(common, common_motion(motion.step_s).timing, motion.timing, frames, TIMING_FPS)
    if motion.halt is not None:
        _, landed, side = motion.halt
        rest = without_constant(common.gains[-1:]) if resting is None else resting
        rest = rest[np.minimum(np.arange(frames - landed), len(rest) - 1)]
        teacher.gains[landed:] = rest if side == CLOSES else mirrored_gains(rest)
    return teacher


@dataclass(frozen=True)
class SharedGains:
    """The gains that all motions of their kinds share.

    Attributes:
        walk: of the common walk.
        resting: (F, J, n) from a halt's last landing on; None: as at the walk's end.
        lift: of the common lift; None: nothing is lifted.
    """

    walk: LqrTeacher
    resting: np.ndarray | None = None
    lift: LqrTeacher | None = None

    def teacher_of(self, motion: PlannedMotion) -> LqrTeacher:
        """These in step with a motion.

        Raises:
            VmError: a lift, and no gains for it.
        """
        if motion.lift and self.lift is None:
            raise VmError(f"{motion.clip.source}: a lift; expected gains of lifts")
        return teacher_of(self.lift if motion.lift and self.lift else self.walk, motion, self.resting)


def common_of(motion: PlannedMotion) -> PlannedMotion:
    """The motion whose gains one of its kind shares."""
    return common_lift() if motion.lift else common_motion(motion.step_s)


def fit_common(samples: Samples, config: SharedTeacherConfig, own: PlannedMotion) -> LqrTeacher:
    """Gains of a common motion from samples at its frames."""
    moving = np.abs(np.gradient(own.clip.joint_pos, axis=0)).max(axis=1) > 4e-4
    group = frame_groups(own.clip.num_frames, moving) // config.frames_a_model
    models = fit_local_models(samples, group, 1.0 / TIMING_FPS)
    gains = regulator_gains(models, group, config.lqr.cost)
    return LqrTeacher(smoothed(without_constant(gains), config.lqr.smoothing_frames), config.limit_rad)


def without_constant(gains: np.ndarray) -> np.ndarray:
    """Gains (F, J, n) whose last column, which belongs to one motion only, is 0."""
    return np.concatenate([gains[..., :-1], np.zeros_like(gains[..., -1:])], axis=-1)


def with_felt(gains: np.ndarray) -> np.ndarray:
    """Gains (F, J, COLUMNS) of such that may know of no forces."""
    missing = COLUMNS - gains.shape[2]
    return np.concatenate([gains[..., :-1], np.zeros((*gains.shape[:2], missing)), gains[..., -1:]], axis=-1)


def add_in_step(pool: Samples, found: Samples, motion: PlannedMotion) -> None:
    """Adds a motion's samples at the common motion's frames."""
    frame, x, u, x_next, felt = found.stacked()
    own = common_of(motion)
    if motion.lift:
        flip = np.zeros(len(frame), dtype=bool)
    elif motion.steps:
        at, mirrored = donor_frames(own.timing, motion.timing, motion.clip.num_frames, TIMING_FPS)
        at = np.concatenate([at, at[-1] + 1 + np.arange(1000)])
        mirrored = np.concatenate([mirrored, np.repeat(mirrored[-1:], 1000)])
        flip = mirrored[frame]
        frame = at[frame]
    else:
        flip, frame = np.zeros(len(frame), dtype=bool), np.full(len(frame), own.clip.num_frames - 1)
    x[flip], x_next[flip] = (part[flip][:, mirror.ERROR_ORDER] * mirror.ERROR_SIGN for part in (x, x_next))
    u[flip] = u[flip][:, mirror.JOINT_ORDER] * mirror.JOINT_SIGN
    felt[flip] *= mirror.FELT_SIGN[: felt.shape[1]]
    into = (pool.frame, pool.x, pool.u, pool.x_next, pool.felt)
    for kept, part in zip(into, (frame, x, u, x_next, felt), strict=True):
        kept.append(part)


def train_shared(
    motions: Sequence[PlannedMotion], start: LqrTeacher | None, config: SharedTeacherConfig
) -> tuple[LqrTeacher, list[dict[str, float]]]:
    """The best common gains of all rounds and each round's figures.

    Args:
        motions: that give samples, all in steps of the same time, or all lifts.
        start: gains of the common motion to sample with at first; None: none at all.
        config: how.
    """
    own = common_of(motions[0])
    none = np.zeros((own.clip.num_frames, mirror.JOINT_ORDER.size, COLUMNS))
    teacher = LqrTeacher(none if start is None else start.gains, config.limit_rad)
    pool, best, best_score, records = Samples(), teacher, -1.0, []
    with Progress("common gains", config.rounds) as bar:
        for round_ in range(config.rounds):
            for i, motion in enumerate(motions):
                seed = 1000 * round_ + i + config.seed
                env = make_env(motion, config.robots, config.ranges, seed, config.noise, config.surprises)
                found = Samples()
                collect(env, teacher_of(teacher, motion), _sized(config), found)
                env.physics.close()
                add_in_step(pool, found, motion)
            teacher = fit_common(pool, config, own)
            success, share = judge(motions[::3], teacher, config)
            records.append({"steps": float(len(pool)), "success": success, "time_upright": share})
            bar.round_done(success=f"{success:.0%}")
            if success > best_score:
                best, best_score = teacher, success
    return best, records


def judge(motions: Sequence[PlannedMotion], teacher: LqrTeacher, config: SharedTeacherConfig) -> tuple[float, float]:
    """Share of starts that follow their motion to its end, and share of the time that they last."""
    judged = [
        judge_one(motion, teacher_of(teacher, motion), config.judges, config.ranges, 77 + i)
        for i, motion in enumerate(motions)
    ]
    ends, lasts = np.mean(judged, axis=0)
    return float(ends), float(lasts)


def judge_one(
    motion: PlannedMotion, teacher: LqrTeacher, robots: int, ranges: DomainRanges, seed: int
) -> tuple[float, float]:
    """The same of one motion."""
    env = make_env(motion, robots, ranges, seed)
    success, upright_s = evaluate(env, teacher.correction, 2.0)
    env.physics.close()
    return success, upright_s / (motion.clip.duration_s + 2.0)


def _sized(config: SharedTeacherConfig) -> LqrConfig:
    return replace(config.lqr, steps_a_round=config.robots * config.steps)
