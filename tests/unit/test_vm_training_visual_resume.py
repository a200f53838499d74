"""Teachers of reinforcement learning that were killed between checkpoints end with the curve of one that was not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from vm_core.keypoint_command import COMMAND_SIZE, CommandStatistics
from vm_training.mdp.clip_tracking import NUM_JOINTS
from vm_training.mdp.randomization import DomainRanges
from vm_training.rl.env_config import EnvConfig
from vm_training.rl.task import PpoConfig
from vm_training.rl.trainer import Trainer
from vm_training.student import Student
from vm_training.visual import generator_env, keypoint_teacher
from vm_training.visual.gait_table import gait_table
from vm_training.visual.generator_teacher import GeneratorPpoConfig, train_generator_teacher
from vm_training.visual.motion_library import planned, save_motion, steady_plan
from vm_training.visual.object_world import Tracker, WorldConfig
from vm_training.visual.tasks import OBJECT_TASKS
from vm_training.visual.tracker import OBSERVATION_SIZE

PPO = PpoConfig(iterations=4, steps=4, epochs=1, mini_batches=1, hidden=(8,), save_every=2)
Train = Callable[[Path, bool], Trainer]


def _generator(_: Path) -> tuple[Train, type]:
    statistics = CommandStatistics((0.0,) * COMMAND_SIZE, (0.05,) * COMMAND_SIZE)
    torch.manual_seed(3)
    tracker = Tracker(Student(OBSERVATION_SIZE, NUM_JOINTS, (8,)), statistics)
    world = WorldConfig(worlds=3, ranges=DomainRanges.none(), run_after_s=(0.0, 0.04))
    config = GeneratorPpoConfig(0.12, world, PPO)

    def train(out: Path, resume: bool) -> Trainer:
        task = OBJECT_TASKS["kick_ball"]
        return train_generator_teacher(task, tracker, gait_table(), None, config, out, resume)[1]

    return train, generator_env.GeneratorEnv


def _keypoint_teacher(folder: Path) -> tuple[Train, type]:
    (folder / "motions").mkdir()
    motion, _ = planned(steady_plan(np.array([0.15, 0.0, 0.0]), 2), "teacher")
    save_motion(motion, folder / "motions" / "motion_0_0000.npz")
    env = EnvConfig(num_envs=3, threads=1)
    config = keypoint_teacher.KeypointTeacherConfig(folder / "motions", 1, env, ppo=PPO)
    return (lambda out, resume: keypoint_teacher.train_keypoint_teacher(config, out, resume)), (
        keypoint_teacher.KeypointTeacherEnv
    )


@pytest.mark.parametrize("made", [_generator, _keypoint_teacher])
def test_a_killed_teacher_ends_with_the_same_curve(
    made: Callable[[Path], tuple[Train, type]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    train, env = made(tmp_path)
    whole = train(tmp_path / "whole", False)
    steps, step = 0, env.step

    def killed(self: object, action: torch.Tensor) -> object:
        nonlocal steps
        steps += 1
        if steps > 14:  # in the fourth iteration; the last checkpoint is of the second
            raise KeyboardInterrupt
        return step(self, action)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(env, "step", killed)
        train(tmp_path / "run", False)
    again = train(tmp_path / "run", True)
    assert len(again.records) == 4
    for mine, theirs in zip(again.records, whole.records, strict=True):
        np.testing.assert_equal(mine, theirs)
    for name, tensor in whole.ppo.actor.state_dict().items():
        assert torch.equal(tensor, again.ppo.actor.state_dict()[name]), name
