"""A tracker's reinforcement learning at work: what it sees, what pays, what it begins with and what is kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from object_worlds import STILL, TASK

from vm_core.errors import VmError
from vm_core.keypoint_command import COMMAND_SIZE, CommandStatistics
from vm_training.mdp.clip_tracking import NUM_JOINTS
from vm_training.rl.task import AnchorConfig, PpoConfig
from vm_training.student import Student
from vm_training.visual.gait_table import gait_table
from vm_training.visual.object_world import ObjectWorld, Tracker
from vm_training.visual.tracker import OBSERVATION_SIZE, CommandMoments
from vm_training.visual.tracker_at_work import TrackerAtWorkConfig, TrackerAtWorkEnv, train_tracker_at_work
from vm_training.visual.trained_parts import load_tracker

STATISTICS = CommandStatistics((0.01,) * COMMAND_SIZE, (0.05,) * COMMAND_SIZE)
PPO = PpoConfig(iterations=1, steps=4, epochs=1, mini_batches=1, hidden=(8,), learning_rate=1e-9, save_every=25)
CONFIG = TrackerAtWorkConfig(2.0, STILL, ppo=PPO, anchor=AnchorConfig(critic_hidden=(8,)))


@pytest.fixture
def tracker() -> Tracker:
    torch.manual_seed(3)
    student = Student(OBSERVATION_SIZE, NUM_JOINTS, (8,))
    torch.nn.init.normal_(student.layers[-1].weight, std=0.02)  # type: ignore[arg-type]
    return Tracker(student.eval(), STATISTICS)


@pytest.fixture
def env(tracker: Tracker) -> TrackerAtWorkEnv:
    made = TrackerAtWorkEnv(TASK, tracker, tracker.student, gait_table(), CONFIG, 0)  # type: ignore[arg-type]
    made.reset_all()
    return made


def test_who_does_what_it_began_with_moves_as_the_tracker_of_a_world(tracker: Tracker, env: TrackerAtWorkEnv):
    world = ObjectWorld(TASK, tracker, gait_table(), STILL, 0)
    world.reset(np.arange(world.num_envs))
    seen = env._observe()
    for made in (env.world, world):
        made.force_run(np.zeros(3, dtype=bool))
    for _ in range(5):
        world.tick()
        world.step(np.zeros((3, COMMAND_SIZE)))
        seen, _, ends, _ = env.step(seen["start"])
    assert seen["actor"].shape == (3, OBSERVATION_SIZE) and not ends.any()
    assert np.abs(env.world.qpos[:, 7:] - world.qpos[:, 7:]).max() < 0.05  # the senses' noise is drawn anew


def test_stillness_pays_while_paused_and_work_while_not(env: TrackerAtWorkEnv):
    none, action = np.zeros(3, dtype=bool), env._action
    env.world.run[:] = False
    env.world.physics.qvel[:] = 0.0
    still = env._rewards(action, none)
    env.world.physics.qvel[:, 0] = 0.2
    drifts = env._rewards(action, none)
    assert np.all(drifts < still - 0.03) and np.all(env._rewards(action, ~none) < drifts - 9.0)
    assert np.all(env._rewards(action + 1.0, none) < drifts)
    env.world.physics.qpos[:, 30] += 0.3
    assert np.allclose(env._rewards(action, none), drifts)
    env.world.run[:] = True
    env.world.physics.qpos[:, 30] += 0.1
    farther = env._rewards(action, none)
    assert np.all(farther > env._rewards(action, none) + 0.01)  # new ground pays once
    env.close()


def test_episodes_end_by_falls_and_for_time(env: TrackerAtWorkEnv):
    env.world.physics.qpos[0, 2] = 0.2
    env.world.age[1] = 200
    _, reward, ends, extras = env.step(torch.zeros(3, NUM_JOINTS))
    assert ends.tolist() == [1.0, 1.0, 0.0] and extras["time_outs"].tolist() == [0.0, 1.0, 0.0]
    assert reward[0] < -5.0 and env.take_statistics()["falls"] == 1.0 and env.take_statistics()["falls"] == 0.0
    env.close()


def test_what_it_began_with_is_found_where_trackers_are(tracker: Tracker, tmp_path: Path):
    out = tmp_path / "run"
    trainer = train_tracker_at_work(TASK, tracker, gait_table(), CONFIG, out, False)
    student, statistics = load_tracker(out)
    seen = torch.randn(5, OBSERVATION_SIZE)
    with torch.no_grad():
        assert torch.allclose(student(seen), tracker.student(seen), atol=1e-4) and len(trainer.records) == 1
    assert np.allclose(statistics.mean, STATISTICS.mean) and np.allclose(statistics.deviation, STATISTICS.deviation)


def test_another_trackers_layers_are_refused(tracker: Tracker, tmp_path: Path):
    config = replace(CONFIG, ppo=replace(PPO, hidden=(16,)))
    with pytest.raises(VmError, match="layers"):
        train_tracker_at_work(TASK, tracker, gait_table(), config, tmp_path / "run", False)


def test_moments_of_statistics_are_theirs():
    found = CommandMoments.of(STATISTICS).statistics()
    assert np.allclose(found.mean, STATISTICS.mean) and np.allclose(found.deviation, STATISTICS.deviation)
