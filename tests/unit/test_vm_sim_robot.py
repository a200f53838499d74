"""The simulated robot without ROS: torques, refusals, timeout, gantry, inertial sensors."""

from __future__ import annotations

import numpy as np
import pytest

from vm_core import g1
from vm_core.remote import RemoteState, decode_remote
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_core.unitree_cdr import get_motors, low_cmd_crc, low_state_crc, new_low_cmd, set_motor, set_motors
from vm_sim.imu import LIDAR_IMU, PELVIS_IMU
from vm_sim.robot import DAMPING_KD, SimulatedG1

KNEE = g1.motor_index("left_knee_joint")


def _command(**fields: np.ndarray | float) -> np.ndarray:
    record = new_low_cmd()
    for name, value in {"mode": 1, **fields}.items():
        set_motors(record, name, np.broadcast_to(value, g1.NUM_MOTORS))
    record["crc"] = low_cmd_crc(record)
    return record


def _stand() -> np.ndarray:
    """A stand that needs no balancing: ankles stiffer than the weight above them is unstable (m g h = 240 Nm/rad)."""
    stiffness = np.where(["ankle" in name for name in g1.MOTOR_NAMES], 12.0, 3.0)
    return _command(q=g1.DEFAULT_STAND_POSE, kp=stiffness * g1.MJLAB_KP, kd=2.0 * g1.MJLAB_KD)


def _robot(**options) -> SimulatedG1:
    return SimulatedG1(SceneAsset(), **{"start_noise": 0.0, **options})


def _run(robot: SimulatedG1, seconds: float, command: np.ndarray | None = None) -> None:
    for i in range(round(seconds / 0.002)):
        if command is not None and i % 10 == 0:
            assert robot.command(command)
        robot.step()


def test_torque_is_the_pd_law():
    robot = _robot()
    q, dq, tau, kp, kd = g1.DEFAULT_STAND_POSE + 0.05, 0.3, 0.4, 20.0, 1.5
    assert robot.command(_command(q=q, dq=dq, tau=tau, kp=kp, kd=kd))
    before = robot.data.qpos[7:].copy(), robot.data.qvel[6:].copy()
    robot.step()
    expected = kp * (q - before[0]) + kd * (dq - before[1]) + tau
    limited = np.clip(expected, -g1.TORQUE_LIMIT, g1.TORQUE_LIMIT)
    np.testing.assert_allclose(robot.data.actuator_force, limited, atol=1e-4)


def test_torques_keep_their_limits():
    robot = _robot()
    _run(robot, 0.02, _command(tau=1000.0))
    np.testing.assert_allclose(robot.data.actuator_force, g1.TORQUE_LIMIT)
    np.testing.assert_allclose(get_motors(robot.low_state(), "tau_est")[: g1.NUM_MOTORS], g1.TORQUE_LIMIT)


@pytest.mark.parametrize("damage", ["crc", "nan"])
def test_damaged_commands_change_nothing(damage):
    robot = _robot()
    record = _command(tau=np.nan) if damage == "nan" else _stand()
    if damage == "crc":
        record["crc"] ^= 1
    assert not robot.command(record)
    assert robot.rejected_commands == 1
    assert robot.state_of_command == "limp"


def test_limp_before_commands_and_for_disabled_motors():
    robot = _robot()
    _run(robot, 0.1)
    assert not robot.data.actuator_force.any()
    record = _stand()
    set_motor(record, "mode", KNEE, 0)
    record["crc"] = low_cmd_crc(record)
    _run(robot, 0.1, record)
    assert robot.data.actuator_force[KNEE] == 0.0
    assert np.count_nonzero(robot.data.actuator_force) >= g1.NUM_MOTORS - 2


def test_silence_leads_to_damping():
    robot = _robot()
    _run(robot, 0.1, _stand())
    _run(robot, 0.45)
    assert robot.state_of_command == "commanded"
    _run(robot, 0.2)
    assert robot.state_of_command == "damping"
    speed = robot.data.qvel[6:].copy()
    robot.step()
    expected = np.clip(-DAMPING_KD * speed, -g1.TORQUE_LIMIT, g1.TORQUE_LIMIT)
    np.testing.assert_allclose(robot.data.actuator_force, expected, atol=1e-9)


def test_gantry_holds_a_limp_robot_and_lets_go_of_a_standing_one():
    robot = _robot()
    height = robot.data.qpos[2]
    _run(robot, 1.0)
    assert robot.gantry_share == 1.0
    assert abs(robot.data.qpos[2] - height) < 0.03
    _run(robot, 4.0, _stand())
    assert robot.gantry_share == 0.0
    assert abs(robot.data.qpos[2] - height) < 0.05
    assert not robot.data.eq_active.any()


def test_a_gantry_that_stays_holds_a_standing_robot_until_it_is_let_down():
    robot = _robot(gantry_stays=True)
    _run(robot, 4.0, _stand())
    assert robot.gantry_share == 1.0
    assert robot.release_gantry()
    _run(robot, 1.2, _stand())
    assert robot.gantry_share == 0.0


def test_without_gantry_a_limp_robot_falls():
    robot = _robot(hang=False)
    _run(robot, 1.5)
    assert robot.data.qpos[2] < 0.5


def test_imus_at_rest_feel_one_g_upwards():
    robot = _robot()
    _run(robot, 3.0, _stand())
    pelvis = np.mean([robot.read_imu(PELVIS_IMU).accelerometer for _ in range(200)], axis=0)
    lidar = np.mean([robot.read_imu(LIDAR_IMU).accelerometer for _ in range(200)], axis=0)
    assert np.linalg.norm(pelvis) == pytest.approx(9.81, abs=0.3)
    assert pelvis[2] > 9.0
    assert lidar[2] < -9.0  # its z axis points down


def test_low_state_says_what_the_robot_does():
    robot = _robot()
    robot.remote = RemoteState(left_y=0.5, pressed=frozenset({"A"}))
    _run(robot, 0.1, _stand())
    state = robot.low_state()
    assert int(state["crc"]) == low_state_crc(state)
    assert int(state["mode_machine"]) == 5
    assert int(state["tick"]) == 100
    np.testing.assert_allclose(get_motors(state, "q")[: g1.NUM_MOTORS], robot.data.qpos[7:], atol=2e-3)
    assert not get_motors(state, "q")[g1.NUM_MOTORS :].any()
    assert decode_remote(state["wireless_remote"]) == robot.remote


def test_start_is_on_the_scene_and_noise_follows_the_seed():
    scene = SceneAsset(boxes=(SceneBox((0.0, 0.0, 0.1), (1.0, 1.0, 0.1)),))
    flat, high = (SimulatedG1(s, start_noise=0.0).data.qpos[2] for s in (SceneAsset(), scene))
    assert high - flat == pytest.approx(0.2)
    starts = [SimulatedG1(scene, seed=seed).data.qpos.copy() for seed in (1, 1, 2)]
    np.testing.assert_array_equal(starts[0], starts[1])
    assert np.abs(starts[0] - starts[2]).max() > 1e-3
