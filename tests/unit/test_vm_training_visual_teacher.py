"""The tracker's teacher by reinforcement learning: what it sees, and that its run goes on."""

from pathlib import Path

import numpy as np
import torch

from vm_training.rl.clip_library import ClipLibrary, SceneClip
from vm_training.rl.env_config import EnvConfig
from vm_training.rl.task import PpoConfig
from vm_training.rl.tracking_env import TrackingConfig
from vm_training.visual.keypoint_teacher import (
    WINDOW_STEPS,
    KeypointTeacherConfig,
    KeypointTeacherEnv,
    train_keypoint_teacher,
)
from vm_training.visual.motion_library import planned, save_motion, steady_plan

FOUR = EnvConfig(num_envs=4, threads=1)


def test_the_teacher_sees_two_seconds_ahead_and_its_run_goes_on(tmp_path: Path):
    motion, problems = planned(steady_plan(np.array([0.15, 0.0, 0.0]), 2), "teacher")
    assert not problems and len(WINDOW_STEPS) == 20 and WINDOW_STEPS[-1] == 95
    clips = [SceneClip("walk", motion.clip, motion.scene)]
    env = KeypointTeacherEnv(clips, ClipLibrary(clips), FOUR, TrackingConfig(start_at_beginning=1.0), 0)
    seen = env.reset_all()["actor"]
    window = seen[:, -362:-2].reshape(4, 20, 18)
    # the motion walks ahead: the later, the farther, for those in the mirrored world too
    assert torch.all(window[:, -1, 0] > window[:, 8, 0]) and torch.all(window[:, -1, 0] > 0.5)
    env.close()
    (tmp_path / "motions").mkdir()
    save_motion(motion, tmp_path / "motions" / "motion_0_0000.npz")
    ppo = PpoConfig(iterations=1, steps=4, epochs=1, mini_batches=1, hidden=(8,), save_every=1)
    config = KeypointTeacherConfig(tmp_path / "motions", 1, FOUR, ppo=ppo)
    first = train_keypoint_teacher(config, tmp_path / "run", False)
    again = train_keypoint_teacher(config, tmp_path / "run", True)
    assert len(again.records) == len(first.records) == 1
    assert again.records[0]["reward"] == first.records[0]["reward"]
