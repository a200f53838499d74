"""Feet from joint angles, and what a robot knows of its place over them."""

import mujoco
import numpy as np

from vm_core import g1
from vm_core.frames import quat_from_yaw, quat_multiply, quat_rotate
from vm_training.mdp.feet import LEG_JOINTS, PelvisOverFeet, foot_poses, leg_jacobians, without_what_feet_block
from vm_training.motions.whole_body import reference_model


def random_qpos(count: int, seed: int = 0) -> np.ndarray:
    qpos = np.random.default_rng(seed).normal(0.0, 0.4, (count, 30))
    qpos[:, 3:7] = [1.0, 0.1, -0.1, 0.3]
    qpos[:, 3:7] /= np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True)
    return qpos


def test_the_feet_are_where_the_model_has_them():
    model, qpos = reference_model(), random_qpos(5)
    position, quat = foot_poses(qpos)
    data = mujoco.MjData(model)
    for robot in range(5):
        data.qpos[:] = qpos[robot]
        mujoco.mj_kinematics(model, data)
        for side, name in enumerate(g1.FOOT_BODIES):
            body = model.body(name).id
            sole = data.xpos[body] + data.xmat[body].reshape(3, 3) @ g1.SOLE_CENTER
            np.testing.assert_allclose(position[robot, side], sole, atol=1e-5)
            assert abs(float(quat[robot, side] @ data.xquat[body])) > 1.0 - 1e-6


def test_the_place_in_the_world_is_not_known():
    """A robot moved and turned as a whole has no error; a pelvis that has moved over its feet has."""
    qpos = random_qpos(4)
    moved, turn = qpos.copy(), quat_from_yaw(np.array(0.7))
    moved[:, :3] = quat_rotate(turn, qpos[:, :3]) + [0.5, -0.2, 0.1]
    moved[:, 3:7] = quat_multiply(np.broadcast_to(turn, (4, 4)), qpos[:, 3:7])
    bearing = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.3, 0.7]])
    wanted = PelvisOverFeet.of(qpos)
    xyz, yaw = PelvisOverFeet.of(moved).error(wanted, bearing)
    np.testing.assert_allclose(xyz, 0.0, atol=1e-9)
    np.testing.assert_allclose(yaw, 0.0, atol=1e-9)
    moved[:, 7:] = random_qpos(4, seed=1)[:, 7:]
    assert np.abs(PelvisOverFeet.of(moved).error(wanted, bearing)[0]).max() > 0.05


def test_standing_feet_block_what_they_differ_in():
    """A stance that is wider or turned asks for nothing; a pelvis that has moved over both feet asks for all."""
    jacobians, rng = leg_jacobians(random_qpos(1)[0]), np.random.default_rng(2)
    off = rng.normal(0.0, 0.02, (3, 6))
    for sign, share in ((-1.0, 0.0), (1.0, 1.0)):
        joints = rng.normal(0.0, 0.1, (3, 23))
        joints[:, LEG_JOINTS[0]] = np.linalg.solve(jacobians[0], off.T).T
        joints[:, LEG_JOINTS[1]] = np.linalg.solve(jacobians[1], sign * off.T).T
        left = without_what_feet_block(joints, jacobians)
        np.testing.assert_allclose(left[:, LEG_JOINTS], share * joints[:, LEG_JOINTS], atol=1e-9)
        others = np.setdiff1d(np.arange(23), LEG_JOINTS)
        np.testing.assert_array_equal(left[:, others], joints[:, others])


def test_jacobians_say_where_the_feet_go():
    qpos = random_qpos(1)
    qpos[:, :7] = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    jacobians, moved = leg_jacobians(qpos[0]), qpos.copy()
    change = np.random.default_rng(3).normal(0.0, 1e-4, 23)
    moved[0, 7:] += change
    went = foot_poses(moved)[0][0] - foot_poses(qpos)[0][0]
    for side in range(2):
        np.testing.assert_allclose(went[side], (jacobians[side] @ change[LEG_JOINTS[side]])[:3], atol=1e-6)
