"""What a walker saw in training is what the node sees on the robot: history, gait clock, command and height grid."""

from dataclasses import replace

import numpy as np
import pytest
import test_vm_training_policy_parity as tracker
import torch

from vm_core.height_grid import cell_points_world, mean_heights
from vm_policy_node.controller import Controller
from vm_policy_node.inputs import Grid
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.safety import SafetyLimits, State
from vm_sim.g1_model import load_g1_spec
from vm_training.export import export_policy, walking_contract
from vm_training.make_motions import MakeMotions, make_motions
from vm_training.mdp.clip_tracking import ClipTracking, StartNoise
from vm_training.mdp.observations import SensorNoise
from vm_training.mdp.operators import ClipOperator
from vm_training.mdp.randomization import DomainRanges
from vm_training.mdp.walk_observations import GRID, OBSERVATION_SIZE, WALK_TERMS, WalkObserver, torso_pose
from vm_training.motions.courses import WALKING_GAIT
from vm_training.student import Student
from vm_training.tasks.motion_folder import Motion, load_motion

PERIOD_S = 0.02


@pytest.fixture(scope="module")
def motion(tmp_path_factory) -> Motion:
    out = tmp_path_factory.mktemp("motions")
    make_motions(MakeMotions(out, count=1, kinds=("kerb",), gait=replace(WALKING_GAIT, stand_s=0.6, drop_roll_s=0.3)))
    return load_motion(out, "kerb_0000")


@pytest.fixture(scope="module")
def policy(motion, tmp_path_factory) -> OnnxPolicy:
    torch.manual_seed(0)
    student = Student(OBSERVATION_SIZE, 23)
    torch.nn.init.normal_(student.layers[-1].weight, 0.0, 0.5)
    out = tmp_path_factory.mktemp("policy") / "walker.onnx"
    contract = walking_contract("parity", motion.clip.joint_pos[0], motion.gait.step_s, {})
    export_policy(student, contract, np.zeros(OBSERVATION_SIZE), out)
    return OnnxPolicy.load(out)


def walking(motion: Motion) -> tuple[ClipTracking, WalkObserver]:
    """One robot on the clip, seen without noise."""
    env = ClipTracking(
        motion.clip, motion.scene, 1, DomainRanges.none(), StartNoise(0.0, 0.0, 0.0, 0.0, 0.0, 0.0), 0, threads=1
    )
    silent = SensorNoise(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    return env, WalkObserver(env, ClipOperator(env, motion.gait), motion.clip.joint_pos[0], silent, grid_errors=0.0)


def tell(controller: Controller, env: ClipTracking, now_s: float) -> None:
    """State and grid of one control period, as the node gives them, and a step."""
    qpos, qvel = env.physics.qpos[0], env.physics.qvel[0]
    torso, quat = (part[0] for part in torso_pose(qpos[None]))
    heights = mean_heights(GRID, cell_points_world(GRID, torso, quat)[:, :2], quat, env.scene.height_at)
    controller.on_low_state(tracker.low_state(qpos, qvel, 0.0), now_s)
    controller.on_grid(Grid(float(torso[2]), heights, GRID), now_s)
    controller.step(now_s)


def test_the_node_sees_what_the_walker_saw(motion, policy):
    env, observer = walking(motion)
    controller, rng = Controller(policy, limits=SafetyLimits(start_still_s=0.0)), np.random.default_rng(0)
    seen, wanted = [], []
    everyone = np.arange(1)
    env.reset(everyone, np.zeros(1, dtype=int))
    observer.reset(everyone)
    for k in range(110):
        tell(controller, env, k * PERIOD_S)
        if k == 2:
            assert controller.request("stand", k * PERIOD_S).accepted
    assert controller.request("run", 110 * PERIOD_S).accepted
    action = np.zeros(23)
    controller.policy.act = lambda observation: (seen.append(observation), action)[1]
    for frame in range(env.clip.num_frames):
        env.reset(everyone, np.array([frame]))
        env.physics.qpos[0, 7:] = (env.physics.qpos[0, 7:] + rng.normal(0.0, 0.02, 23)).astype(np.float32)
        env.physics.qpos[0, 3:7] = env.physics.qpos[0, 3:7].astype(np.float32)
        env.physics.qvel[0] = (env.physics.qvel[0] + rng.normal(0.0, 0.3, 29)).astype(np.float32)
        said = observer.operator.command()[0]
        controller.command.update = lambda now_s, period_s, said=said: said
        action = rng.normal(0.0, 1.0, 23).astype(np.float32)  # both see it next time
        tell(controller, env, (111 + frame) * PERIOD_S)
        assert controller.machine.state == State.RUNNING, controller.machine.cause
        wanted.append(observer.observe()[0])
        observer.last_action[0] = action
    ours, theirs = np.array(seen), np.array(wanted)
    assert ours.shape == theirs.shape == (env.clip.num_frames, OBSERVATION_SIZE)
    at = 0
    for term in WALK_TERMS:
        part = slice(at, at + term.size * term.history_length)
        if term.name == "height_grid":  # a cell on an edge may fall to either side by the last digit
            off = np.abs(ours[:, part] - theirs[:, part]) > 1e-5
            assert off.mean() < 1e-3
            assert theirs[:, part].std() > 0.01
        else:
            np.testing.assert_allclose(ours[:, part], theirs[:, part], atol=2e-6, err_msg=term.name)
            assert theirs[:, part].std() > 1e-3 or term.name == "velocity_commands"
        at = part.stop


def test_the_torso_is_where_the_model_has_it():
    import mujoco

    model = load_g1_spec(wrists=False).compile()
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    torso = model.body("torso_link").id
    for _ in range(20):
        data.qpos[:] = rng.normal(0.0, 0.4, model.nq)
        data.qpos[3:7] /= np.linalg.norm(data.qpos[3:7])
        mujoco.mj_kinematics(model, data)
        position, quat = torso_pose(data.qpos[None].copy())
        np.testing.assert_allclose(position[0], data.xpos[torso], atol=1e-9)
        assert abs(float(quat[0] @ data.xquat[torso])) == pytest.approx(1.0, abs=1e-9)
