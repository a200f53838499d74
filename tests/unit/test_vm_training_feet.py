"""Feet from joint angles, and what a robot knows of its place over them."""

import mujoco
import numpy as np

from vm_core import g1
from vm_core.frames import quat_from_yaw, quat_multiply, quat_rotate
from vm_training.mdp.feet import PelvisOverFeet, foot_poses
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
    xy, yaw = PelvisOverFeet.of(moved).error(wanted, bearing)
    np.testing.assert_allclose(xy, 0.0, atol=1e-9)
    np.testing.assert_allclose(yaw, 0.0, atol=1e-9)
    moved[:, 7:] = random_qpos(4, seed=1)[:, 7:]
    assert np.abs(PelvisOverFeet.of(moved).error(wanted, bearing)[0]).max() > 0.05
