"""Gains for standing where a halt left the feet, fitted to rollouts of halted walks in step with their last landing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

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
class RestingConfig:
    """How gains for resting are found.

    Attributes:
        halts: how many halted walks give samples, and lessons; 0: trackers are not taught to halt.
        rounds: of sampling, fitting and regulating.
        robots: on each walk.
        steps: control steps of each robot in a round.
        exploration_rad: standard deviation of noise on targets.
        frames_a_model: neighbouring frames that share a model.
        smoothing_frames: of the gains over time.
        ranges: how robots differ.
        noise: of the starts that samples are drawn from: the more they move, the firmer the gains, and students sway.
        cost: what counts.
        seed: of everything random.
    """

    halts: int = 24
    rounds: int = 3
    robots: int = 8
    steps: int = 75
    exploration_rad: float = 0.05
    frames_a_model: int = 3
    smoothing_frames: float = 4.0
    ranges: DomainRanges = field(default_factory=lambda: DomainRanges(box_height_m=0.0))
    noise: StartNoise = field(default_factory=StartNoise)
    cost: TrackingCost = field(default_factory=TrackingCost)
    seed: int = 0


def train_resting(
    halts: Sequence[PlannedMotion], common: LqrTeacher, config: RestingConfig
) -> tuple[np.ndarray, list[dict[str, float]]]:
    """The best gains (REST_FRAMES, J, n) of all rounds, and each round's share of halts that hold.

    Args:
        halts: halted walks.
        common: gains until the last landing.
        config: how.
    """
    group = np.minimum(np.arange(REST_FRAMES), SETTLES) // config.frames_a_model
    resting: np.ndarray | None = None
    pool, best, best_share, records = Samples(), common.gains[-1:], -1.0, []
    with Progress("resting", config.rounds) as bar:
        for round_ in range(config.rounds):
            for i, motion in enumerate(halts):
                _collect(motion, teacher_of(common, motion, resting), config, pool, config.seed + 1000 * round_ + i)
            models = fit_local_models(pool, group, 1.0 / TIMING_FPS)
            resting = smoothed(without_constant(regulator_gains(models, group, config.cost)), config.smoothing_frames)
            held = [
                judge_one(m, teacher_of(common, m, resting), 4, config.ranges, 55 + i) for i, m in enumerate(halts[::2])
            ]
            share = float(np.mean([ends for ends, _ in held]))
            records.append({"steps": float(len(pool)), "success": share})
            bar.round_done(success=f"{share:.0%}")
            if share > best_share:
                best, best_share = resting, share
    return best, records


def _collect(motion: PlannedMotion, teacher: LqrTeacher, config: RestingConfig, pool: Samples, seed: int) -> None:
    """Adds what follows a halt's last landing, by frames since then; mirrored where the other foot lands."""
    env = make_env(motion, config.robots, config.ranges, seed, config.noise)
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
