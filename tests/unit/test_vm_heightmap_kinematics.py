"""Links, soles and capsules are those of the G1's model."""

import mujoco
import numpy as np
import pytest

from vm_core import g1
from vm_heightmap.kinematics import (
    capsules_in_torso,
    link_poses,
    sole_ends_in_torso,
    soles_in_pelvis,
    soles_in_torso,
    torso_in_pelvis,
)
from vm_sim.g1_model import joint_addresses, load_g1_spec


@pytest.fixture(params=range(3))
def robot(request):
    model = load_g1_spec(collision="full").compile()
    data = mujoco.MjData(model)
    joints = np.random.default_rng(request.param).uniform(g1.JOINT_LOWER, g1.JOINT_UPPER)
    data.qpos[3] = 1.0
    data.qpos[joint_addresses(model, g1.MOTOR_NAMES)[0]] = joints
    mujoco.mj_kinematics(model, data)
    return model, data, joints


def test_every_link_matches_the_model(robot) -> None:
    model, data, joints = robot
    pos, turn = link_poses(joints)
    pelvis = data.body(g1.PELVIS_BODY).xpos
    for motor, name in enumerate(g1.MOTOR_NAMES):
        body = int(model.joint(name).bodyid[0])
        np.testing.assert_allclose(pos[motor], data.xpos[body] - pelvis, atol=1e-4, err_msg=name)
        np.testing.assert_allclose(turn[motor], data.xmat[body].reshape(3, 3), atol=5e-4, err_msg=name)


def test_torso_and_soles_match_the_model(robot) -> None:
    _, data, joints = robot
    pelvis = data.body(g1.PELVIS_BODY).xpos
    pos, quat = torso_in_pelvis(joints)
    torso = data.body(g1.TORSO_BODY)
    np.testing.assert_allclose(pos, torso.xpos - pelvis, atol=1e-5)
    assert abs(np.dot(quat, torso.xquat)) > 1 - 1e-9
    in_torso, normals = soles_in_torso(joints)
    for i, body in enumerate(g1.FOOT_BODIES):
        low = g1.SOLE_POINTS.mean(axis=0) - [0.0, 0.0, g1.SOLE_SPHERE_RADIUS_M]
        low[1] = 0.0
        foot = data.body(body)
        expected = foot.xpos + foot.xmat.reshape(3, 3) @ low
        np.testing.assert_allclose(soles_in_pelvis(joints)[i], expected - pelvis, atol=1e-4)
        np.testing.assert_allclose(in_torso[i], torso.xmat.reshape(3, 3).T @ (expected - torso.xpos), atol=1e-4)
        np.testing.assert_allclose(normals[i], torso.xmat.reshape(3, 3).T @ foot.xmat.reshape(3, 3)[:, 2], atol=1e-4)


def test_capsules_hold_the_collision_shapes(robot) -> None:
    """Each end of each of the model's capsules lies in one of ours, grown by a centimetre."""
    model, data, joints = robot
    torso = data.body(g1.TORSO_BODY)
    ours = capsules_in_torso(joints)
    for geom in range(model.ngeom):
        half = model.geom_size[geom, 1] if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_CAPSULE else 0.0
        for sign in (-1.0, 1.0):
            end = data.geom_xpos[geom] + sign * half * data.geom_xmat[geom].reshape(3, 3)[:, 2]
            point = torso.xmat.reshape(3, 3).T @ (end - torso.xpos)
            axis = ours[:, 3:6] - ours[:, :3]
            share = np.clip(((point - ours[:, :3]) * axis).sum(1) / (axis**2).sum(1), 0.0, 1.0)
            gap = np.linalg.norm(point - ours[:, :3] - share[:, None] * axis, axis=1) - ours[:, 6]
            assert gap.min() < 0.01, model.geom(geom).name


def test_heels_and_toes_lie_around_the_soles_middles_and_a_pitched_foot_stands_on_its_toe() -> None:
    joint_pos = g1.DEFAULT_STAND_POSE.copy()
    ends, (middles, _) = sole_ends_in_torso(joint_pos), soles_in_torso(joint_pos)
    np.testing.assert_allclose(ends.mean(axis=1), middles, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1), 0.17, atol=1e-9)
    joint_pos[g1.motor_index("left_ankle_pitch_joint")] += 0.3  # heel up
    heel, toe = sole_ends_in_torso(joint_pos)[0]
    assert heel[2] - toe[2] > 0.04
