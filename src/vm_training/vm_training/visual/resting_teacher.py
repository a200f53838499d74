"""Gains for standing where a halt left the feet, fitted to rollouts of halted walks in step with their last landing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vm_core.errors import VmError
from vm_training.mdp import mirror
from vm_training.mdp.clip_tracking import StartNoise
from vm_training.mdp.randomization import DomainRanges
from vm_training.progress import Progress
from vm_training.teachers.local_models import Samples, fit_local_models
from vm_training.teachers.riccati import TrackingCost, regulator_gains
from vm_training.teachers.sampled_lqr import LqrTeacher, smoothed
from vm_training.visual.planned_motion import TIMING_FPS, PlannedMotion
from vm_training.visual.shared_teacher import CLOSES, judge_one, make_env, teacher_of, without_constant

REST_FRAMES, SETTLES = 100, 40
"""Frames from the last landing on that have gains, and how many of them have models of their own."""


@dataclass(frozen=True)
class RestingPhase:
    """How gains for one part of a halt are found.

    Attributes:
        rounds: of sampling, fitting and regulating.
        robots: on each walk.
        noise: of the starts that samples are drawn from: the more they move, the firmer the gains.
        cost: what counts.
    """

    rounds: int = 3
    robots: int = 8
    noise: StartNoise = field(default_factory=StartNoise)
    cost: TrackingCost = field(default_factory=TrackingCost)

    def __post_init__(self) -> None:
        if self.rounds < 0 or self.robots < 1:
            raise VmError(f"{self}: expected rounds from 0 and robots from 1")


@dataclass(frozen=True)
class RestingConfig:
    """How gains for resting are found: firm ones that stop a walk, then gentle ones to stand with.

    With firm gains to the end whoever learns them sways, and gentle ones lose robots that still move.

    Attributes:
        halts: how many halted walks give samples, and lessons; 0: trackers are not taught to halt.
        stopping: the firm ones; of 0 rounds: the gentle ones from the landing on.
        standing: the gentle ones.
        stopped: frames after the landing until which gains are firm, and from which they are gentle.
        steps: control steps of each robot in a round.
        exploration_rad: standard deviation of noise on targets.
        frames_a_model: neighbouring frames that share a model.
        smoothing_frames: of the gains over time.
        ranges: how robots differ.
        seed: of everything random.
    """

    halts: int = 24
    stopping: RestingPhase = field(
        default_factory=lambda: RestingPhase(4, 16, StartNoise(linear_m_s=0.15), TrackingCost(correction=2.0))
    )
    standing: RestingPhase = field(default_factory=RestingPhase)
    stopped: tuple[int, int] = (25, 45)
    steps: int = 75
    exploration_rad: float = 0.05
    frames_a_model: int = 3
    smoothing_frames: float = 4.0
    ranges: DomainRanges = field(default_factory=lambda: DomainRanges(box_height_m=0.0))
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.stopped[0] < self.stopped[1] <= REST_FRAMES or self.standing.rounds < 1:
            raise VmError(f"{self}: expected rising frames up to {REST_FRAMES}, and rounds of standing")


def train_resting(
    halts: Sequence[PlannedMotion], common: LqrTeacher, config: RestingConfig
) -> tuple[np.ndarray, list[dict[str, float]]]:
    """Gains (REST_FRAMES, J, n) from the last landing on, and the share of halts that hold after each round.

    Args:
        halts: halted walks.
        common: gains until the last landing.
        config: how.
    """
    standing, records = _train_phase(halts, common, config.standing, config, "standing")
    if config.stopping.rounds == 0:
        return standing, records
    stopping, more = _train_phase(halts, common, config.stopping, config, "stopping")
    return handed_over(stopping, standing, config.stopped), records + more


def handed_over(first: np.ndarray, then: np.ndarray, frames: tuple[int, int]) -> np.ndarray:
    """Gains (F, J, n) that are `first` until the one frame, `then` from the other on, and between them in between."""
    share = np.clip((np.arange(len(first)) - frames[0]) / (frames[1] - frames[0]), 0.0, 1.0)[:, None, None]
    return (1.0 - share) * first + share * then


def _train_phase(
    halts: Sequence[PlannedMotion], common: LqrTeacher, phase: RestingPhase, config: RestingConfig, name: str
) -> tuple[np.ndarray, list[dict[str, float]]]:
    """The best gains of all rounds, and each round's share of halts that hold."""
    group = np.minimum(np.arange(REST_FRAMES), SETTLES) // config.frames_a_model
    resting: np.ndarray | None = None
    pool, best, best_share, records = Samples(), common.gains[-1:], -1.0, []
    with Progress(name, phase.rounds) as bar:
        for round_ in range(phase.rounds):
            for i, motion in enumerate(halts):
                seed = config.seed + 1000 * round_ + i
                _collect(motion, teacher_of(common, motion, resting), phase, config, pool, seed)
            models = fit_local_models(pool, group, 1.0 / TIMING_FPS)
            resting = smoothed(without_constant(regulator_gains(models, group, phase.cost)), config.smoothing_frames)
            share = _share_that_holds(halts[::2], common, resting, config)
            records.append({"steps": float(len(pool)), "success": share})
            bar.round_done(success=f"{share:.0%}")
            if share > best_share:
                best, best_share = resting, share
    return best, records


def _share_that_holds(
    halts: Sequence[PlannedMotion], common: LqrTeacher, resting: np.ndarray, config: RestingConfig
) -> float:
    held = [judge_one(m, teacher_of(common, m, resting), 4, config.ranges, 55 + i) for i, m in enumerate(halts)]
    return float(np.mean([ends for ends, _ in held]))


def _collect(
    motion: PlannedMotion, teacher: LqrTeacher, phase: RestingPhase, config: RestingConfig, pool: Samples, seed: int
) -> None:
    """Adds what follows a halt's last landing, by frames since then; mirrored where the other foot lands."""
    env = make_env(motion, phase.robots, config.ranges, seed, phase.noise)
    assert motion.halt is not None
    told, landed, side = motion.halt
    count = env.num_envs
    env.reset(np.arange(count), env.rng.integers(max(told - 20, 0), landed + SETTLES, count))
    for _ in range(config.steps):
        frame, before, felt = env.frame.copy(), env.error_state(), env.felt_n()
        u = teacher.correction(frame, before, felt) + env.rng.normal(0.0, config.exploration_rad, env.last_target.shape)
        u = np.clip(u, -teacher.limit_rad, teacher.limit_rad)
        env.step(u)
        after, lost = env.error_state(), env.lost()
        rests = ~lost & (frame >= landed)
        samples = (before[rests], u[rests], after[rests], felt[rests])
        if side != CLOSES:
            x, sign = mirror.ERROR_ORDER, mirror.ERROR_SIGN
            turned = u[rests][:, mirror.JOINT_ORDER] * mirror.JOINT_SIGN
            samples = (before[rests][:, x] * sign, turned, after[rests][:, x] * sign, felt[rests] * mirror.FELT_SIGN)
        pool.add(np.minimum(frame[rests] - landed, REST_FRAMES - 1), *samples)
        over = np.flatnonzero(lost)
        env.reset(over, env.rng.integers(max(told - 20, 0), landed + SETTLES, len(over)))
    env.physics.close()
