"""DAgger: the student acts, the teacher says what it should have done, the student learns all that it was ever told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from vm_training.mdp.clip_tracking import NUM_JOINTS, ClipTracking
from vm_training.mdp.observations import TRACKING_TERMS, SensorNoise, observe
from vm_training.student import Student
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


@dataclass
class Lessons:
    """All observations (n, inputs) and wanted raw actions (n, J) so far."""

    observation: np.ndarray
    action: np.ndarray

    @staticmethod
    def empty() -> Lessons:
        zeros = np.zeros((0, OBSERVATION_SIZE), dtype=np.float32), np.zeros((0, NUM_JOINTS), dtype=np.float32)
        return Lessons(*zeros)

    def add(self, observation: list[np.ndarray], action: list[np.ndarray]) -> None:
        """Appends lists of batches."""
        self.observation = np.concatenate([self.observation, *observation])
        self.action = np.concatenate([self.action, *action])


def act(student: Student, observation: np.ndarray) -> np.ndarray:
    """Corrections (N, J) [rad] of the student for observations (N, inputs)."""
    with torch.inference_mode():
        raw = student(torch.from_numpy(observation)).numpy()
    return np.clip(raw, -ACTION_CLIP, ACTION_CLIP).astype(np.float64) * CORRECTION_SCALE


def gather(
    env: ClipTracking,
    controller: Callable[[np.ndarray], np.ndarray],
    teacher: LqrTeacher,
    config: DistillationConfig,
    lessons: Lessons,
) -> None:
    """Lets `controller` (observation to correction) act and writes down what the teacher would have done."""
    count, everyone = env.num_envs, np.arange(env.num_envs)
    observations, actions, age = [], [], env.rng.integers(0, config.longest_rollout, env.num_envs)
    env.reset(everyone, _start_frames(env, count, config.starts_at_beginning))
    for _ in range(config.steps_a_round // count):
        seen = observe(env, SensorNoise())
        observations.append(seen)
        wanted = teacher.correction(env.frame, env.error_state())
        actions.append((wanted / CORRECTION_SCALE).astype(np.float32))
        env.step(controller(seen) + env.rng.normal(0.0, config.exploration_rad, (count, NUM_JOINTS)))
        pushed = np.flatnonzero(env.rng.random(count) < 0.5 / env.clip.fps)
        env.push(pushed, env.rng.normal(0.0, config.push_m_s, (len(pushed), 3)))
        age += 1
        beyond = env.frame > env.clip.num_frames + config.hold_s * env.clip.fps / 2
        over = np.flatnonzero(env.lost() | beyond | (age > config.longest_rollout))
        env.reset(over, _start_frames(env, len(over), config.starts_at_beginning))
        age[over] = 0
    lessons.add(observations, actions)


def learn(
    student: Student, lessons: Lessons, config: DistillationConfig, learning_rate: float, generator: torch.Generator
) -> float:
    """Passes over all lessons; returns the last pass' mean loss (Huber, in raw action units)."""
    optimizer = torch.optim.Adam(student.parameters(), lr=learning_rate)
    loss_of = nn.SmoothL1Loss(beta=0.5)
    observation, action = torch.from_numpy(lessons.observation), torch.from_numpy(lessons.action)
    mean = 0.0
    for _ in range(config.epochs):
        order = torch.randperm(len(action), generator=generator)
        losses = []
        for batch in order.split(config.batch):
            loss = loss_of(student(observation[batch]), action[batch])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        mean = float(np.mean(losses))
    return mean


def learning_rate_at(config: DistillationConfig, round_: int) -> float:
    """Falls geometrically to a tenth."""
    return config.learning_rate * 0.1 ** (round_ / max(config.rounds - 1, 1))


def _start_frames(env: ClipTracking, count: int, at_beginning: float) -> np.ndarray:
    frames = env.rng.integers(0, env.clip.num_frames, count)
    frames[env.rng.random(count) < at_beginning] = 0
    return frames
