"""Robots on one motion: a student acts there, the motion's teacher says what it should have done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from vm_training.mdp.clip_tracking import ClipTracking
from vm_training.mdp.lane import ACTION_SCALE_RAD, Lane
from vm_training.student import Student
from vm_training.tasks.lessons import Lessons, Rollout, rollout
from vm_training.tasks.walk_config import ACTION_CLIP, WalkConfig

REST_FRAMES = 300
"""Standing after a clip's end that is still taught."""


def act(student: Callable[[torch.Tensor], torch.Tensor], observation: np.ndarray, default: np.ndarray) -> np.ndarray:
    """Targets (N, J) [rad] of the student."""
    with torch.inference_mode():
        raw = student(torch.from_numpy(observation)).numpy()
    return default + ACTION_SCALE_RAD * np.clip(raw, -ACTION_CLIP, ACTION_CLIP).astype(np.float64)


@dataclass
class Classroom:
    """Robots on one motion that go on where they were when it is drawn again.

    Attributes:
        lane: robots, motion, teacher.
        age: (N,) steps since each robot's start.
    """

    lane: Lane
    age: np.ndarray

    @staticmethod
    def begin(lane: Lane, config: WalkConfig) -> Classroom:
        """All robots start, at ages that differ, so that they do not all end at once."""
        count = lane.env.num_envs
        lane.reset(np.arange(count), start_frames(lane.env, count, config))
        return Classroom(lane, lane.env.rng.integers(0, config.longest_rollout, count))

    def gather(
        self, student: Student | None, teacher_share: float, config: WalkConfig, lessons: Lessons
    ) -> tuple[int, int]:
        """The student acts, the teacher says what it would have done; returns the student's falls and its steps.

        Args:
            student: None for the teacher alone.
            teacher_share: of robots that the teacher drives.
            config: how long, and what disturbs.
            lessons: to which is added.
        """
        lane, env, default = self.lane, self.lane.env, self.lane.observer.default_joint_pos
        driven = env.rng.random(env.num_envs) < (1.0 if student is None else teacher_share)

        def drive(seen: np.ndarray, wanted: np.ndarray) -> np.ndarray:
            return wanted if student is None else np.where(driven[:, None], wanted, act(student, seen, default))

        how = Rollout(
            steps=config.steps,
            last_frame=env.clip.num_frames + REST_FRAMES,
            starts=lambda count: start_frames(env, count, config),
            drive=drive,
            tell=lambda seen, wanted: lessons.add(seen, ((wanted - default) / ACTION_SCALE_RAD).astype(np.float32)),
        )
        falls = rollout(lane, self.age, config, how)
        return int(falls[~driven].sum()), int((~driven).sum()) * config.steps


def start_frames(env: ClipTracking, count: int, config: WalkConfig) -> np.ndarray:
    """Where in the clip robots start: anywhere, but often where it begins and sometimes where it ends."""
    frames, draw = env.rng.integers(0, env.clip.num_frames, count), env.rng.random(count)
    frames[draw < config.starts_at_beginning] = 0
    frames[draw > 1.0 - config.starts_at_end] = env.clip.num_frames - 1
    return frames
