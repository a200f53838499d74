"""The controller from message bytes to LowCmd records, without ROS and without physics."""

import numpy as np
import policy_files as files
import pytest
from controller_cases import MOVED, POSE, drive, low_state, motors, to_running

from vm_core import frames, g1, unitree_cdr
from vm_core.height_grid import HeightGridSpec
from vm_core.policy_contract import METADATA_KEY, GoldenPair, ObservationTerm
from vm_core.remote import RemoteState
from vm_policy_node import onnx_policy
from vm_policy_node.controller import Controller, ControllerConfig
from vm_policy_node.inputs import Grid, read_low_state
from vm_policy_node.safety import SafetyLimits, State


@pytest.fixture
def controller(tmp_path) -> Controller:
    policy = onnx_policy.OnnxPolicy.load(
        files.write(tmp_path / "p.onnx", files.contract(default_joint_pos=tuple(POSE[MOVED])))
    )
    return Controller(policy, ControllerConfig(echo_tick=True), SafetyLimits(start_still_s=0.0))


def test_idle_sends_nothing(controller):
    assert drive(controller, 0.0, 0.2) is None


def test_low_state_is_read_in_motor_order():
    state = read_low_state(low_state(tick=42))
    np.testing.assert_allclose(state.joint_pos, POSE, atol=1e-6)
    assert (state.tick, state.mode_machine, state.crc_ok) == (42, 5, True)


def test_standing_starts_at_the_measured_pose_and_ends_at_the_goal(controller):
    bent = np.clip(POSE + 0.2, g1.JOINT_LOWER, g1.JOINT_UPPER)
    drive(controller, 0.0, 0.1, pose=bent)
    controller.request("stand", 0.1)
    first = controller.step(0.1)
    assert first is not None
    np.testing.assert_allclose(motors(first, "q"), bent, atol=1e-5)
    assert int(first["crc"]) == unitree_cdr.low_cmd_crc(first)
    assert controller.state is not None
    assert (int(first["mode_machine"]), int(first["reserve"][0])) == (5, controller.state.tick)
    assert not controller.at_start_pose(0.1)
    arriving = [POSE + (bent - POSE) * max(1.0 - 0.02 * k, 0.0) for k in range(110)]
    records = [drive(controller, 0.12 + 0.02 * k, 0.02, pose=pose) for k, pose in enumerate(arriving)]
    targets = np.array([motors(r, "q") for r in records if r is not None])
    assert len(targets) == 110, controller.machine.cause
    assert np.abs(np.diff(targets, axis=0)).max() < 0.02
    assert controller.at_start_pose(2.4), controller.machine.cause
    np.testing.assert_allclose(targets[-1][:15], POSE[:15], atol=1e-3)


def test_running_takes_over_without_a_jump_and_holds_the_wrists(controller):
    to_running(controller)
    before = controller.step(2.2)
    assert before is not None
    records = [drive(controller, 2.22 + 0.02 * k, 0.02) for k in range(20)]
    torque = [motors(r, "kp") * (motors(r, "q") - POSE) for r in records if r is not None]
    assert np.abs(torque[0] - motors(before, "kp") * (motors(before, "q") - POSE)).max() < 25.0
    wrists = [g1.motor_index(name) for name in files.HELD]
    np.testing.assert_allclose(motors(records[-1], "q")[wrists], 0.0, atol=1e-6)
    np.testing.assert_allclose(motors(records[-1], "kp")[MOVED], 80.0)
    assert np.all(motors(records[-1], "mode") == 1)


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        ({"quat": tuple(frames.quat_from_rotvec(np.array([1.2, 0.0, 0.0])))}, "tilt"),
        ({"pose": np.full(29, np.nan)}, "nan"),
        ({"pose": POSE + 4.0}, "joint limit"),
    ],
)
def test_a_bad_state_while_running_is_damping(controller, state, cause):
    to_running(controller)
    record = drive(controller, 2.2, 0.02, **state)
    assert controller.machine.state == State.DAMPING
    assert controller.machine.cause.startswith(cause)
    assert record is not None
    assert not motors(record, "kp").any()
    assert np.all(motors(record, "kd") == 5.0)
    assert np.all(np.isfinite(motors(record, "q")))
    drive(controller, 2.22, 1.0)
    assert controller.machine.state == State.DAMPING  # latched
    assert controller.request("release", 4.0).accepted
    assert drive(controller, 4.0, 0.1) is None


def test_silence_is_damping_after_the_timeout(controller):
    to_running(controller)
    assert controller.step(2.27) is not None
    assert controller.machine.state == State.RUNNING
    controller.step(2.33)
    assert controller.machine.cause.startswith("stale state")


@pytest.mark.parametrize("message", [b"\x00\x01\x00\x00short", low_state(spoil=True, tick=10**9)])
def test_messages_of_wrong_length_or_checksum_count_as_silence(controller, message):
    to_running(controller)
    for k in range(7):
        controller.on_low_state(message, 2.19 + 0.02 * k)
        controller.step(2.19 + 0.02 * k)
        assert (controller.machine.state == State.RUNNING) == (k < 5)
    assert controller.machine.cause == "crc: no state with a right checksum and form for 0.110 s"
    assert controller.request("release", 2.4).accepted
    drive(controller, 2.4, 0.1)
    assert controller.trip is None  # a corrupted clock was not believed


def test_the_policy_output_is_checked(controller):
    to_running(controller)
    controller.policy.act = lambda observation: np.full(23, np.nan)
    record = drive(controller, 2.2, 0.02)
    assert controller.machine.cause.startswith("nan: the policy")
    assert record is not None
    assert not motors(record, "kp").any()


def test_targets_never_ask_for_much_more_than_the_torque(controller):
    to_running(controller)
    controller.policy.act = lambda observation: np.full(23, 1e6)
    record = drive(controller, 2.2, 0.4)
    assert record is not None
    asked = motors(record, "kp") * (motors(record, "q") - POSE)
    assert np.all(np.abs(asked) <= 2.0 * g1.TORQUE_LIMIT * 1.001)


def test_buttons_act_once_a_press(controller):
    drive(controller, 0.0, 0.1)
    start = RemoteState(pressed=frozenset({"start"}))
    drive(controller, 0.1, 0.1, remote=start)
    assert controller.machine.state == State.STANDING
    drive(controller, 0.2, 2.2)
    drive(controller, 2.4, 0.04, remote=RemoteState(pressed=frozenset({"A"})))
    assert controller.machine.state == State.RUNNING
    drive(controller, 2.44, 0.02, remote=RemoteState(pressed=frozenset({"B"})))
    assert (controller.machine.state, controller.machine.cause) == (State.DAMPING, "operator")
    drive(controller, 2.46, 0.02)
    drive(controller, 2.48, 0.02, remote=RemoteState(pressed=frozenset({"X"})))
    assert controller.machine.state == State.IDLE


def grid_controller(tmp_path) -> Controller:
    terms = (ObservationTerm("height_grid", 121), ObservationTerm("projected_gravity", 3))
    weights = np.zeros((124, 23), dtype=np.float32)
    pair = GoldenPair((0.0,) * 124, (0.0,) * 23)
    fitting = files.contract(observation=terms, golden=pair, height_grid=HeightGridSpec())
    path = tmp_path / "grid.onnx"
    path.write_bytes(files.onnx_bytes({METADATA_KEY: fitting.to_json()}, weights))
    return Controller(onnx_policy.OnnxPolicy.load(path), limits=SafetyLimits(start_still_s=0.0))


def test_a_policy_with_a_grid_waits_for_one_that_fits(tmp_path):
    controller = grid_controller(tmp_path)
    drive(controller, 0.0, 0.1)
    assert controller.request("stand", 0.1).message == "refused to stand, stale grid: none received"
    controller.on_grid(Grid(0.8, np.zeros(25), HeightGridSpec(5, 5, 0.2)), 0.1)
    drive(controller, 0.1, 0.02)
    assert "5×5 at 0.2 m, the policy expects 11×11 at 0.1 m" in controller.request("stand", 0.12).message
    others = {"0.300 m ahead": HeightGridSpec(center_x=0.3), "leaning": HeightGridSpec(full_attitude=True)}
    for words, spec in others.items():
        controller.on_grid(Grid(0.8, np.zeros(121), spec), 0.12)
        drive(controller, 0.12, 0.02)
        assert words in controller.request("stand", 0.14).message
    controller.on_grid(Grid(0.8, np.zeros(7), HeightGridSpec()), 0.12)
    drive(controller, 0.12, 0.02)
    assert "7 heights for 121 cells" in controller.request("stand", 0.14).message
    controller.on_grid(Grid(0.8, np.full(121, np.nan), HeightGridSpec()), 0.14)
    drive(controller, 0.14, 0.02)
    assert controller.request("stand", 0.16).message == "refused to stand, grid: no cell is known"
    controller.on_grid(Grid(0.8, np.array([*np.full(120, np.nan), 0.0]), HeightGridSpec()), 0.14)
    drive(controller, 0.14, 0.02)
    assert controller.request("stand", 0.16).accepted
    for k in range(20):
        controller.on_grid(Grid(0.8, np.zeros(121), HeightGridSpec()), 0.16 + 0.02 * k)
        drive(controller, 0.16 + 0.02 * k, 0.02)
    drive(controller, 0.56, 0.7)
    assert controller.machine.cause.startswith("stale grid: 0.5")


def test_heading_is_corrected_by_the_newest_state(controller):
    """A turning robot's odometry belongs to the state that came with it, not to the one of the last step."""
    drive(controller, 0.0, 0.1)
    later = frames.quat_from_yaw(np.array(0.3))  # turned since the last step; the compass is off by 1 rad
    controller.on_low_state(low_state(quat=later), 0.11)
    controller.on_odometry(np.zeros(3), frames.quat_from_yaw(np.array(1.3)), np.zeros(3), 0.11)
    controller.step(0.12)
    assert float(frames.yaw_from_quat(controller._root_quat())) == pytest.approx(1.3, abs=1e-6)


def test_an_active_controller_of_the_robots_own_forbids_a_start(controller):
    drive(controller, 0.0, 1.0)
    controller.motion_mode = "motion mode: the robot's own controller 'ai' is active"
    answer = controller.request("stand", 1.0)
    assert not answer.accepted and "'ai' is active" in answer.message
    controller.motion_mode = ""
    assert controller.request("stand", 1.0).accepted
