"""DAgger: the student acts, the teacher says what it should have done, the student learns all that it was ever told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from vm_core.policy_contract import ObservationTerm
from vm_training.mdp.clip_tracking import NUM_JOINTS, ClipTracking
from vm_training.mdp.observations import TRACKING_TERMS, SensorNoise, observe
from vm_training.student import Student
from vm_training.tasks.lessons import Lessons, Rollout, descend, rollout
from vm_training.teachers.local_models import CORRECTION_SCALE
from vm_training.teachers.sampled_lqr import MAX_CORRECTION_RAD, LqrTeacher

ACTION_CLIP = MAX_CORRECTION_RAD / CORRECTION_SCALE
OBSERVATION_SIZE = sum(term.size for term in TRACKING_TERMS)


@dataclass(frozen=True)
class DistillationConfig:
    """How the student learns.

    Attributes:
        rounds: of acting and learning.
        steps_a_round: control steps of all robots together.
        epochs: passes over all data in a round.
        batch: samples a gradient step.
        learning_rate: at the first round; falls to a tenth by the last.
        longest_rollout: steps after which a robot starts anew.
        starts_at_beginning: share of resets to the clip's first frame.
        exploration_rad: standard deviation of the noise on targets, so that the student sees how to come back.
        push_m_s: standard deviation of pushes, one every two seconds.
        hold_s: standing after the clip's end.
    """

    rounds: int = 14
    steps_a_round: int = 12_000
    epochs: int = 6
    batch: int = 512
    learning_rate: float = 1e-3
    longest_rollout: int = 150
    starts_at_beginning: float = 0.2
    exploration_rad: float = 0.02
    push_m_s: float = 0.05
    hold_s: float = 3.0


@dataclass(frozen=True)
class DistillationRound:
    """What a round has brought: control steps so far, loss, share that reaches the end, mean time upright [s]."""

    steps: int
    loss: float
    success: float
    upright_s: float


def new_lessons(config: DistillationConfig) -> Lessons:
    """Room for all rounds, so that nothing is ever forgotten."""
    return Lessons.room_for(config.rounds * config.steps_a_round, OBSERVATION_SIZE, NUM_JOINTS, np.float32)


def act(student: Student, observation: np.ndarray) -> np.ndarray:
    """Corrections (N, J) [rad] of the student for observations (N, inputs)."""
    with torch.inference_mode():
        raw = student(torch.from_numpy(observation)).numpy()
    return np.clip(raw, -ACTION_CLIP, ACTION_CLIP).astype(np.float64) * CORRECTION_SCALE


@dataclass
class Trackers:
    """Robots on the clip; what is wanted and done are corrections [rad]."""

    env: ClipTracking
    teacher: LqrTeacher
    terms: tuple[ObservationTerm, ...] = TRACKING_TERMS

    def observe(self) -> np.ndarray:
        """(N, inputs) with sensor noise."""
        return observe(self.env, SensorNoise(), self.terms)

    def wanted(self) -> np.ndarray:
        """(N, J) of the teacher."""
        return self.teacher.correction(self.env.frame, self.env.error_state())

    def act(self, target: np.ndarray) -> None:
        self.env.step(target)

    def reset(self, envs: np.ndarray, frames: np.ndarray) -> None:
        self.env.reset(envs, frames)

    def fallen(self) -> np.ndarray:
        return self.env.lost()


def gather(
    env: ClipTracking,
    controller: Callable[[np.ndarray], np.ndarray] | None,
    teacher: LqrTeacher,
    config: DistillationConfig,
    lessons: Lessons,
) -> None:
    """Lets `controller` (observation to correction), or the teacher, act and writes down what the teacher wants."""
    count, age = env.num_envs, env.rng.integers(0, config.longest_rollout, env.num_envs)
    env.reset(np.arange(count), start_frames(env, count, config.starts_at_beginning))
    how = Rollout(
        steps=config.steps_a_round // count,
        last_frame=env.clip.num_frames + config.hold_s * env.clip.fps / 2,
        starts=lambda number: start_frames(env, number, config.starts_at_beginning),
        drive=lambda seen, wanted: wanted if controller is None else controller(seen),
        tell=lambda seen, wanted: lessons.add(seen, (wanted / CORRECTION_SCALE).astype(np.float32)),
    )
    rollout(Trackers(env, teacher), age, config, how)


def learn(
    student: Student, lessons: Lessons, config: DistillationConfig, learning_rate: float, generator: torch.Generator
) -> float:
    """Passes over all lessons; returns the last pass' mean loss (Huber, in raw action units)."""
    optimizer = torch.optim.Adam(student.parameters(), lr=learning_rate)
    observation, action = (torch.from_numpy(part) for part in lessons.at(np.arange(lessons.count)))
    mean = 0.0
    for _ in range(config.epochs):
        order = torch.randperm(len(action), generator=generator)
        batches = ((observation[batch], action[batch]) for batch in order.split(config.batch))
        mean = float(np.mean(descend(student, optimizer, batches, 0.5)))
    return mean


def learning_rate_at(config: DistillationConfig, round_: int) -> float:
    """Falls geometrically to a tenth."""
    return config.learning_rate * 0.1 ** (round_ / max(config.rounds - 1, 1))


def start_frames(env: ClipTracking, count: int, at_beginning: float) -> np.ndarray:
    """Where in the clip `count` robots start: anywhere, and a share of them where it begins."""
    frames = env.rng.integers(0, env.clip.num_frames, count)
    frames[env.rng.random(count) < at_beginning] = 0
    return frames
