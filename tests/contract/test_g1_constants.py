"""Every G1 constant against the compiled MuJoCo model."""

import mujoco
import numpy as np
import pytest

from vm_core import g1
from vm_core.frames import quat_rotate
from vm_sim.g1_model import load_g1_spec, stand_qpos


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return load_g1_spec(collision="full").compile()


def test_joints_limits_and_actuators(model):
    assert [model.actuator(i).name for i in range(model.nu)] == list(g1.MOTOR_NAMES)
    ranges = np.array([model.joint(name).range for name in g1.MOTOR_NAMES])
    np.testing.assert_allclose(ranges, np.stack([g1.JOINT_LOWER, g1.JOINT_UPPER], axis=-1))
    np.testing.assert_allclose(model.actuator_forcerange[:, 1], g1.TORQUE_LIMIT)
    np.testing.assert_allclose([model.dof_armature[model.joint(n).dofadr[0]] for n in g1.MOTOR_NAMES], g1.ARMATURE)


def test_policy_joints_are_all_but_the_wrists():
    assert len(g1.MOTOR_NAMES) == 29 and len(g1.POLICY_JOINT_NAMES) == 23
    assert load_g1_spec(wrists=False).compile().nu == 23


def test_frames(model):
    np.testing.assert_allclose(model.body("waist_roll_link").pos, g1.WAIST_ROLL_IN_WAIST_YAW, atol=1e-6)
    np.testing.assert_allclose(model.body("waist_yaw_link").pos, 0)
    np.testing.assert_allclose(model.body(g1.TORSO_BODY).pos, 0)
    np.testing.assert_allclose(model.site("imu_in_pelvis").pos, g1.IMU_POS_IN_PELVIS)
    up = quat_rotate(g1.LIDAR_QUAT_IN_TORSO_WXYZ, np.array([0.0, 0.0, 1.0]))
    assert up[2] < -0.99  # hangs upside down
    forward = quat_rotate(g1.LIDAR_QUAT_IN_TORSO_WXYZ, np.array([1.0, 0.0, 0.0]))
    assert forward[0] > 0.99 and forward[2] < 0  # 2.3 degrees nose-down


def test_leg_length(model):
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    hip, ankle = (data.body(f"left_{name}_link").xpos for name in ("hip_pitch", "ankle_pitch"))
    assert abs(np.linalg.norm(hip - ankle) - g1.LEG_LENGTH_M) < 0.05


def test_standing_soles_touch_the_floor(model):
    data = mujoco.MjData(model)
    data.qpos[:] = stand_qpos(model)
    mujoco.mj_kinematics(model, data)
    soles = [i for i in range(model.ngeom) if "_sole" in model.geom(i).name]
    assert len(soles) == 8
    np.testing.assert_allclose(data.geom_xpos[soles, 2].min(), g1.SOLE_SPHERE_RADIUS_M, atol=1e-9)
    assert abs(data.qpos[2] - g1.STAND_PELVIS_HEIGHT_M) < 0.02
