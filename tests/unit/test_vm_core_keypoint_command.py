"""The 18 numbers: zero for no error, independent of place and north, and the points sit where MuJoCo has them."""

import mujoco
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vm_core import frames, g1
from vm_core.errors import VmError
from vm_core.g1_kinematics import link_frames_in_pelvis, link_poses_world
from vm_core.keypoint_command import (
    COMMAND_NAMES,
    COMMAND_SIZE,
    KEYPOINTS,
    CommandStatistics,
    commanded_points,
    keypoint_command,
    keypoints_of_joints,
)
from vm_sim.g1_model import load_g1_spec

seeds = st.integers(0, 2**32 - 1)


def poses(seed: int, count: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Roots and motor angles of upright and fallen robots."""
    rng = np.random.default_rng(seed)
    root, quat = rng.normal(0.0, 2.0, (count, 3)), frames.quat_from_rotvec(rng.normal(0.0, 1.0, (count, 3)))
    return root, quat, rng.uniform(g1.JOINT_LOWER, g1.JOINT_UPPER, (count, 29))


def goal_and_robot(seed: int) -> list[np.ndarray]:
    goal, robot = poses(seed), poses(seed + 1)
    return [goal[0], keypoints_of_joints(*goal), robot[0], keypoints_of_joints(*robot)]


def axes(yaw: float) -> np.ndarray:
    return np.tile(frames.quat_from_yaw(np.array(yaw)), (4, 1))


@settings(max_examples=25)
@given(seeds)
def test_points_are_where_mujoco_has_them(seed):
    model = load_g1_spec().compile()
    data, (root, quat, joints) = mujoco.MjData(model), poses(seed, 2)
    points = keypoints_of_joints(root, quat, joints)
    for row in range(2):
        data.qpos[:] = np.concatenate([root[row], quat[row], joints[row]])
        mujoco.mj_kinematics(model, data)
        for k, point in enumerate(KEYPOINTS):
            body = data.body(point.body)
            wanted = body.xpos + body.xmat.reshape(3, 3) @ point.offset
            np.testing.assert_allclose(points[row, k], wanted, atol=2e-4)
        np.testing.assert_allclose(points[row, 1], data.site("left_palm").xpos, atol=2e-4)


@given(seeds)
def test_the_fast_way_to_all_links_is_the_same(seed):
    _, _, joints = poses(seed, 1)
    pos, turn = link_frames_in_pelvis(joints[0])
    upright = np.array([1.0, 0.0, 0.0, 0.0])
    wanted_pos, wanted_quat = link_poses_world(np.zeros(3), upright, joints[0], np.arange(29))
    np.testing.assert_allclose(pos, wanted_pos, atol=1e-9)
    np.testing.assert_allclose(turn, frames.matrix_from_quat(wanted_quat), atol=1e-9)


@given(seeds, st.lists(st.integers(0, 28), min_size=1, max_size=6))
def test_some_links_of_many_robots_are_as_all_links_of_one(seed, motors):
    """Any links in any order, any batch, numpy and torch."""
    root, quat, joints = poses(seed, 6)
    shaped = root.reshape(2, 3, 3), quat.reshape(2, 3, 4), joints.reshape(2, 3, 29)
    pos, turned = link_poses_world(*shaped, np.array(motors))
    assert pos.shape == (2, 3, len(motors), 3)
    for row in range(6):
        own, matrix = link_frames_in_pelvis(joints[row])
        wanted = root[row] + frames.quat_rotate(np.tile(quat[row], (len(motors), 1)), own[motors])
        np.testing.assert_allclose(pos.reshape(6, -1, 3)[row], wanted, atol=1e-9)
        whole = frames.matrix_from_quat(quat[row]) @ matrix[motors]
        np.testing.assert_allclose(frames.matrix_from_quat(turned.reshape(6, -1, 4)[row]), whole, atol=1e-9)
    as_torch = [torch.from_numpy(part).float() for part in shaped]
    on_torch, _ = link_poses_world(as_torch[0], as_torch[1], as_torch[2], np.array(motors))
    np.testing.assert_allclose(on_torch.numpy(), pos, atol=1e-5)


@given(seeds, st.floats(-3.1, 3.1))
def test_no_error_is_zero(seed, yaw):
    _, _, root, points = goal_and_robot(seed)
    assert np.all(keypoint_command(root, points, root, points, axes(yaw)) == 0.0)
    assert COMMAND_SIZE == 18 and COMMAND_NAMES[0] == "root_x" and COMMAND_NAMES[-1] == "right_foot_z"


@given(seeds, st.lists(st.floats(-50.0, 50.0), min_size=3, max_size=3))
def test_place_does_not_matter(seed, shift):
    """Moving all changes nothing; moving the goal alone changes the root's three numbers alone."""
    goal, goal_points, root, points = goal_and_robot(seed)
    before = keypoint_command(goal, goal_points, root, points, axes(0.3))
    all_moved = [value + np.array(shift) for value in (goal, goal_points, root, points)]
    np.testing.assert_allclose(keypoint_command(*all_moved, axes(0.3)), before, atol=1e-9)
    goal_moved = keypoint_command(goal + np.array(shift), goal_points + np.array(shift), root, points, axes(0.0))
    np.testing.assert_allclose((goal_moved - keypoint_command(goal, goal_points, root, points, axes(0.0)))[:, :3],
                               np.tile(shift, (4, 1)), atol=1e-9)  # fmt: skip
    np.testing.assert_allclose(goal_moved[:, 3:], keypoint_command(goal, goal_points, root, points, axes(0.0))[:, 3:],
                               atol=1e-9)  # fmt: skip


@given(seeds, st.floats(-3.1, 3.1), st.floats(-3.1, 3.1))
def test_north_does_not_matter_but_the_task_frame_does(seed, turn, yaw):
    everything = goal_and_robot(seed)
    about_z = frames.quat_from_yaw(np.array(turn))
    turned = [frames.quat_rotate(about_z, value) for value in everything]
    before = keypoint_command(*everything, axes(yaw))
    np.testing.assert_allclose(keypoint_command(*turned, axes(yaw + turn)), before, atol=1e-9)
    vectors = frames.quat_rotate(about_z, keypoint_command(*everything, axes(0.0)).reshape(4, 6, 3)).reshape(4, 18)
    np.testing.assert_allclose(keypoint_command(*turned, axes(0.0)), vectors, atol=1e-9)


@given(seeds, st.floats(-3.1, 3.1))
def test_a_command_leads_to_its_goal(seed, yaw):
    goal, goal_points, root, points = goal_and_robot(seed)
    command = keypoint_command(goal, goal_points, root, points, axes(yaw))
    back = commanded_points(command, root, points, axes(yaw))
    np.testing.assert_allclose(back[0], goal, atol=1e-9)
    np.testing.assert_allclose(back[1], goal_points, atol=1e-9)


def test_torch_and_the_23_joints_give_the_same():
    root, quat, joints = poses(3)
    joints[:, [g1.motor_index(name) for name in g1.WRIST_JOINT_NAMES]] = 0.0
    policy = joints[:, [g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]]
    wanted = keypoints_of_joints(root, quat, joints)
    np.testing.assert_array_equal(keypoints_of_joints(root, quat, policy), wanted)
    tensors = [torch.from_numpy(value) for value in (root, quat, policy)]
    np.testing.assert_allclose(keypoints_of_joints(*tensors).numpy(), wanted, atol=1e-12)
    command = keypoint_command(*(torch.from_numpy(value) for value in (*goal_and_robot(5), axes(0.4))))
    np.testing.assert_allclose(command.numpy(), keypoint_command(*goal_and_robot(5), axes(0.4)), atol=1e-12)
    with pytest.raises(VmError, match="22 joints"):
        keypoints_of_joints(root, quat, policy[:, :22])


def test_commands_stay_among_human_motions():
    statistics = CommandStatistics(mean=tuple(0.01 * i for i in range(18)), deviation=(0.1,) * 18)
    wild = np.array([[-9.0] * 18, [9.0] * 18])
    np.testing.assert_allclose(statistics.clamped(wild), statistics.bounds)
    np.testing.assert_allclose(statistics.bounds[1] - statistics.bounds[0], 2 * 0.164)
    np.testing.assert_allclose(statistics.clamped(torch.from_numpy(wild)).numpy(), statistics.bounds)
    for mean, deviation in (((0.0,) * 17, (1.0,) * 18), ((0.0,) * 18, (0.0,) * 18), ((np.nan,) * 18, (1.0,) * 18)):
        with pytest.raises(VmError):
            CommandStatistics(mean, deviation)
