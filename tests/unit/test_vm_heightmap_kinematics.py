"""The chains to torso and soles are those of the G1's model."""

import mujoco
import numpy as np
import pytest

from vm_core import g1
from vm_heightmap.kinematics import soles_in_pelvis, torso_in_pelvis
from vm_sim.g1_model import joint_addresses, load_g1_spec


@pytest.mark.parametrize("seed", range(3))
def test_chains_match_the_model(seed: int) -> None:
    model = load_g1_spec().compile()
    data = mujoco.MjData(model)
    joints = np.random.default_rng(seed).uniform(g1.JOINT_LOWER, g1.JOINT_UPPER)
    data.qpos[3] = 1.0
    data.qpos[joint_addresses(model, g1.MOTOR_NAMES)[0]] = joints
    mujoco.mj_kinematics(model, data)
    pelvis = data.body(g1.PELVIS_BODY).xpos
    pos, quat = torso_in_pelvis(joints)
    np.testing.assert_allclose(pos, data.body(g1.TORSO_BODY).xpos - pelvis, atol=1e-5)
    assert abs(np.dot(quat, data.body(g1.TORSO_BODY).xquat)) > 1 - 1e-9
    for sole, body in zip(soles_in_pelvis(joints), g1.FOOT_BODIES, strict=True):
        low = g1.SOLE_POINTS.mean(axis=0) - [0.0, 0.0, g1.SOLE_SPHERE_RADIUS_M]
        low[1] = 0.0
        expected = data.body(body).xpos + data.body(body).xmat.reshape(3, 3) @ low - pelvis
        np.testing.assert_allclose(sole, expected, atol=1e-4)
