"""A teacher for one clip from little simulation: fit local models to noisy rollouts, regulate, repeat on policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter1d

from vm_training.mdp.clip_tracking import ERROR_SCALE, NUM_ERRORS, NUM_JOINTS, ClipTracking
from vm_training.teachers.local_models import CORRECTION_SCALE, FELT_SCALE_N, Samples, fit_local_models, frame_groups
from vm_training.teachers.riccati import TrackingCost, regulator_gains

MAX_CORRECTION_RAD = 0.4


@dataclass(frozen=True)
class LqrConfig:
    """How the teacher is found.

    Attributes:
        rounds: of sampling, fitting and regulating.
        least_rounds: that are made however good the teacher is already; more samples also hold larger pushes.
        steps_a_round: control steps of all robots together.
        exploration_rad: standard deviation of the noise on targets while sampling.
        longest_rollout: steps after which a robot starts anew at a random frame.
        smoothing_frames: of the final gains over time; raw ones are too noisy for a network to imitate.
        hold_s: standing after the clip's end that is sampled and asked for.
    """

    rounds: int = 6
    least_rounds: int = 1
    steps_a_round: int = 40_000
    exploration_rad: float = 0.05
    longest_rollout: int = 100
    smoothing_frames: float = 4.0
    hold_s: float = 3.0
    cost: TrackingCost = field(default_factory=TrackingCost)


@dataclass(frozen=True)
class LqrTeacher:
    """Corrections from error states.

    Attributes:
        gains: (F, J, 58 + q + 1) in scaled units: of errors, of q forces that are known, and constant.
        limit_rad: of each correction; an ankle of 28 Nm/rad moves the centre of pressure by 3 cm with 0.4,
            by 7 cm with 0.8.
    """

    gains: np.ndarray
    limit_rad: float = MAX_CORRECTION_RAD

    def correction(self, frame: np.ndarray, error: np.ndarray, felt_n: np.ndarray | None = None) -> np.ndarray:
        """(E, J) [rad] for clip frames (E,), error states (E, 58) and forces (E, q) [N], none unless given.

        Gains that know of no forces leave them aside.
        """
        at, known = np.minimum(frame, len(self.gains) - 1), self.gains.shape[2] - NUM_ERRORS - 1
        felt = np.zeros((len(error), known)) if felt_n is None else felt_n[:, :known]
        state = np.hstack([error / ERROR_SCALE, felt / FELT_SCALE_N, np.ones((len(error), 1))])
        u = -np.einsum("ejn,en->ej", self.gains[at], state) * CORRECTION_SCALE
        return np.clip(u, -self.limit_rad, self.limit_rad)


@dataclass(frozen=True)
class TeacherRound:
    """What a round has brought: control steps so far, share of robots that reach the end, their mean time [s]."""

    steps: int
    success: float
    upright_s: float


def train_lqr(
    env: ClipTracking,
    config: LqrConfig,
    report: Callable[[TeacherRound], None] = lambda _: None,
    *,
    good_enough: float = 2.0,
    judge: ClipTracking | None = None,
    initial: LqrTeacher | None = None,
) -> tuple[LqrTeacher, list[TeacherRound]]:
    """The best teacher of all rounds, its gains smoothed, and the rounds' record.

    Args:
        env: robots on the clip.
        config: how many rounds of what.
        report: called after each round.
        good_enough: success that ends the search; above 1: never.
        judge: fewer robots on the same clip, that say how good a teacher is; by default those of `env`.
        initial: what another motion's teacher would do, as a start, which may be good enough itself.
    """
    frames, judge = env.clip.num_frames, judge or env
    group = frame_groups(frames, _moving(env))
    samples, rounds = Samples(), []
    teacher = initial or LqrTeacher(np.zeros((frames, NUM_JOINTS, NUM_ERRORS + 1)))
    best, best_score = teacher, -1.0
    if initial is not None:
        rounds.append(TeacherRound(0, *evaluate(judge, initial.correction, config.hold_s)))
        report(rounds[-1])
        best_score = rounds[-1].success + 0.01 * rounds[-1].upright_s
        if rounds[-1].success >= good_enough:
            return best, rounds
    for index in range(config.rounds):
        collect(env, teacher, config, samples)
        models = fit_local_models(samples, group, 1.0 / env.clip.fps)
        teacher = LqrTeacher(smoothed(regulator_gains(models, group, config.cost), config.smoothing_frames))
        success, upright = evaluate(judge, teacher.correction, config.hold_s)
        rounds.append(TeacherRound(len(samples), success, upright))
        report(rounds[-1])
        if success + 0.01 * upright > best_score:
            best, best_score = teacher, success + 0.01 * upright
        if success >= good_enough and index + 1 >= config.least_rounds:
            break
    return best, rounds


def collect(env: ClipTracking, teacher: LqrTeacher, config: LqrConfig, samples: Samples) -> None:
    """Adds about `steps_a_round` transitions of noisy rollouts from random frames."""
    count, hold = env.num_envs, int(config.hold_s * env.clip.fps)
    everyone = np.arange(count)
    last = env.clip.num_frames + hold // 3
    env.reset(everyone, _random_frames(env, everyone))
    age = np.zeros(count, dtype=int)
    for _ in range(config.steps_a_round // count):
        frame, before, felt = env.frame.copy(), env.error_state(), env.felt_n()
        noise = env.rng.normal(0.0, config.exploration_rad, (count, NUM_JOINTS))
        u = np.clip(teacher.correction(frame, before, felt) + noise, -teacher.limit_rad, teacher.limit_rad)
        env.step(u)
        after, lost = env.error_state(), env.lost()
        fine = ~lost
        samples.add(frame[fine], before[fine], u[fine], after[fine], felt[fine])
        age += 1
        over = np.flatnonzero(lost | (age > config.longest_rollout) | (env.frame > last))
        if len(over):
            env.reset(over, _random_frames(env, over))
            age[over] = 0


def evaluate(
    env: ClipTracking, controller: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray], hold_s: float
) -> tuple[float, float]:
    """Share of robots that follow the whole clip and stand at its end, and the mean time they last [s]."""
    everyone = np.arange(env.num_envs)
    env.reset(everyone, np.zeros(env.num_envs, dtype=int))
    steps = env.clip.num_frames + int(hold_s * env.clip.fps)
    alive, lasted = np.ones(env.num_envs, dtype=bool), np.zeros(env.num_envs)
    for _ in range(steps):
        env.step(controller(env.frame, env.error_state(), env.felt_n()))
        alive &= ~env.lost()
        lasted += alive
        if not alive.any():
            break
    return float(alive.mean()), float(lasted.mean() / env.clip.fps)


def _moving(env: ClipTracking) -> np.ndarray:
    return np.abs(env.reference_qvel).max(axis=1) > 0.02


def _random_frames(env: ClipTracking, envs: np.ndarray) -> np.ndarray:
    return env.rng.integers(0, env.clip.num_frames, len(envs))


def smoothed(gains: np.ndarray, frames: float) -> np.ndarray:
    return gaussian_filter1d(gains, frames, axis=0, mode="nearest") if frames > 0 else gains
