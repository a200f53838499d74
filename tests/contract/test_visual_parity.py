"""A visual policy does on the node what it did in training: the same commands and joint targets, step by step."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vm_core import g1, lifting
from vm_core.halting import WAITS
from vm_core.keypoint_command import COMMAND_SIZE, CommandStatistics
from vm_policy_node.inputs import RobotState
from vm_policy_node.policy_runner import PolicyInputs
from vm_policy_node.visual.visual_policy import VisualPolicy, load_policy
from vm_policy_node.visual.visual_runner import VisualRunner
from vm_sim.depth_noise import DepthNoiseConfig
from vm_training.mdp.clip_tracking import NUM_JOINTS
from vm_training.mdp.observations import SensorNoise
from vm_training.mdp.randomization import DomainRanges
from vm_training.student import Student
from vm_training.visual.bundle import export_bundle
from vm_training.visual.commander import LearntCommander, golden_inputs
from vm_training.visual.gait_table import gait_table
from vm_training.visual.generator import Generator
from vm_training.visual.lift_path import lift_path
from vm_training.visual.motions import SLOW_STEP_S
from vm_training.visual.object_world import ObjectWorld, Tracker, WorldConfig
from vm_training.visual.tasks import OBJECT_TASKS
from vm_training.visual.tasks.base import ObjectTask
from vm_training.visual.tracker import OBSERVATION_SIZE

TASK, LIFT = OBJECT_TASKS["push_box"], OBJECT_TASKS["lift_box"]
MOTORS = [g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]
STEPS, RUN_AT = 60, 15
QUICK_S, PAUSE_AT = 0.32, 51  # 0.5 s after it is told to run the first foot lifts; 0.22 s later it is about to land


Trained = tuple[Tracker, Generator, VisualPolicy]


def policy_of(task: ObjectTask, folder: Path, step_s: float = SLOW_STEP_S) -> Trained:
    """Networks that say something, before training, and the folder that the trainer writes of them."""
    torch.manual_seed(0)
    statistics = CommandStatistics((0.01,) * COMMAND_SIZE, (0.05,) * 18)
    tracker = Tracker(Student(OBSERVATION_SIZE, NUM_JOINTS, (8,)), statistics, step_s=step_s)
    generator = Generator("depth", (16,))
    for network in (tracker.student, generator):
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.03)
    assert isinstance(tracker.student, Student)
    seen = golden_inputs(task, tracker, gait_table(step_s), generator)
    export_bundle(folder, task.name, tracker.student, statistics, generator, seen, ({}, {}), step_s=step_s)
    policy = load_policy(folder)
    assert isinstance(policy, VisualPolicy)
    return tracker, generator, policy


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Trained:
    return policy_of(TASK, tmp_path_factory.mktemp("bundle") / "push")


def state_of(qpos: np.ndarray, qvel: np.ndarray) -> RobotState:
    joint_pos, joint_vel = g1.DEFAULT_STAND_POSE.copy(), np.zeros(g1.NUM_MOTORS)
    joint_pos[MOTORS], joint_vel[MOTORS] = qpos[7:], qvel[6:]
    return RobotState(joint_pos, joint_vel, qpos[3:7].copy(), qvel[3:6].copy(), 0, 5, True, bytes(40))


def side_by_side(
    task: ObjectTask, trained: Trained, steps: int, pause_at: int = 1000
) -> tuple[np.ndarray, VisualRunner]:
    """(steps, 18) the node's commands, each compared with training's, and the runner at the end."""
    tracker, generator, policy = trained
    quiet = SensorNoise(**{name: 0.0 for name in SensorNoise.__dataclass_fields__})
    config = WorldConfig(worlds=1, ranges=DomainRanges.none(), run_share=0.0, sensors=quiet)
    world = ObjectWorld(task, tracker, gait_table(tracker.step_s), config, seed=0)
    commander, spec = LearntCommander(world, generator, DepthNoiseConfig.none()), policy.generator.contract.depth
    runner = VisualRunner(policy)
    runner.begin(world.qpos[0, 3:7], None, align=False)
    said = []
    for step in range(steps):
        run = RUN_AT <= step < pause_at
        world.force_run(np.array([run]))
        world.tick()
        state = state_of(world.qpos[0], world.qvel[0])
        seen, depth = commander.eyes.look()
        assert depth is not None
        metres = (depth[0] + 0.5) * (spec.far_m - spec.near_m) + spec.near_m
        inputs = PolicyInputs(state, state.quat_wxyz, np.zeros(3), None, None, metres, run)
        targets = runner.step(inputs)
        command, thought = generator.look(seen, depth)
        commander.remember(thought)
        world.step(command, commander.place)
        np.testing.assert_allclose(runner.command, world.command[0], atol=2e-6, err_msg=f"command, step {step}")
        np.testing.assert_allclose(
            targets.position[MOTORS], world._target[0], atol=2e-5, err_msg=f"target, step {step}"
        )
        said.append(runner.command)
    world.close()
    return np.array(said), runner


def test_the_node_says_what_training_said(trained):
    said, _ = side_by_side(TASK, trained, STEPS)
    assert np.ptp(said, axis=0).max() > 1e-3  # it does not say one thing all the time
    assert np.abs(np.diff(said, axis=0)[RUN_AT - 1]).max() > 1e-4  # the run bit is heard at once


def test_in_quick_steps_a_pause_waits_for_the_landing_on_the_node_and_in_training(tmp_path):
    quick = policy_of(TASK, tmp_path / "quick", QUICK_S)
    paused, runner = side_by_side(TASK, quick, STEPS, PAUSE_AT)
    walked, _ = side_by_side(TASK, quick, STEPS)
    waits = round(WAITS[1] * QUICK_S / 0.02) + 40 + 1 - PAUSE_AT
    np.testing.assert_allclose(paused[: PAUSE_AT + waits - 1], walked[: PAUSE_AT + waits - 1], atol=1e-6)
    assert 3 <= waits <= 5 and np.abs(paused - walked)[PAUSE_AT + waits :].max() > 1e-3
    assert runner._gait is not None and runner._gait.since_s is None


def test_the_node_lifts_as_training_does(tmp_path, monkeypatch):
    """Both come to rest, and then go on by the law, at the same moments."""
    monkeypatch.setattr(lifting, "SETTLES_S", 0.2)
    tracker, generator, policy = policy_of(LIFT, tmp_path / "lift")
    near = np.array([0.45, 0.02, 0.0])
    for network in (generator, policy.generator):
        look, shape = network.look, (-1, 3) if network is generator else (3,)
        monkeypatch.setattr(
            network, "look", lambda *seen, look=look, shape=shape: (look(*seen)[0], near.reshape(shape).copy())
        )
    assert policy.generator.contract.lift == lift_path()
    said, runner = side_by_side(LIFT, (tracker, generator, policy), 70)
    assert runner._lifting is not None and runner._lifting.begun[0] and runner.needs_now.depth is None
    lifts_at = RUN_AT + lifting.SURE + round(0.2 / 0.02)
    assert np.abs(said[lifts_at + 15 :, 2]).max() > 0.02  # the root is led down


def test_a_heading_at_the_start_does_not_matter_to_the_node(trained):
    """Training starts with the world's own heading; the node's zero is wherever the inertial unit had it."""
    _, _, policy = trained
    rng, said = np.random.default_rng(0), []
    picture = rng.uniform(0.3, 2.0, (45, 80))
    qpos = np.concatenate([[0.0, 0.0, 0.75, 1.0, 0.0, 0.0, 0.0], g1.DEFAULT_STAND_POSE[MOTORS]])
    state = state_of(qpos, np.zeros(29))
    for yaw in (0.0, 2.0):
        runner = VisualRunner(policy)
        quat = np.array([np.cos(0.5 * yaw), 0.0, 0.0, np.sin(0.5 * yaw)])
        runner.begin(quat, None, align=False)
        turned = replace(state, quat_wxyz=quat)
        for _ in range(5):
            runner.step(PolicyInputs(turned, quat, np.zeros(3), None, None, picture, True))
        said.append(runner.command)
    np.testing.assert_allclose(said[0], said[1], atol=1e-6)
