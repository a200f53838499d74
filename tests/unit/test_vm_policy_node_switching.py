"""Two policies, the remote's buttons, stops of every kind, and what the node puts around the controller."""

import math
from dataclasses import replace
from pathlib import Path

import controller_cases as cases
import numpy as np
import policy_files as files
import pytest

from vm_core import g1, unitree_cdr
from vm_core.errors import VmError
from vm_core.height_grid import HeightGridSpec
from vm_core.policy_contract import METADATA_KEY, REFERENCE_KEY, GoldenPair, ObservationTerm
from vm_core.remote import RemoteState
from vm_policy_node.automation import SETTLED_S, Automation
from vm_policy_node.controller import Controller, ControllerConfig
from vm_policy_node.emergency_stop import EmergencyStop
from vm_policy_node.inputs import Grid
from vm_policy_node.node_setup import changed_limits, make_controller
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.parameters import LIMITS, PARAMETERS
from vm_policy_node.policy_switch import MAX_STEP_RAD
from vm_policy_node.safety import SafetyLimits, State

POSE = tuple(cases.POSE[cases.MOVED])
QUICK = SafetyLimits(start_still_s=0.0)


def other_contract(**changes):
    """Another policy: softer, around a pose that lies 0.4 rad off, with a narrower range of commands."""
    values = {
        "name": "other",
        "default_joint_pos": tuple(np.array(POSE) + 0.4),
        "kp": (50.0,) * 23,
        "command_limits": ((-0.1, 0.2), (0.0, 0.0), (0.0, 0.0)),
    }
    return files.contract(**(values | changes))


def load(folder: Path, name: str, contract) -> OnnxPolicy:
    return OnnxPolicy.load(files.write(folder / f"{name}.onnx", contract))


@pytest.fixture
def two(tmp_path) -> Controller:
    first = load(tmp_path, "first", files.contract(default_joint_pos=POSE))
    second = load(tmp_path, "second", other_contract())
    return Controller(first, ControllerConfig(), QUICK, second=second)


def targets_of(controller: Controller, start_s: float, cycles: int, **state) -> np.ndarray:
    records = [cases.drive(controller, start_s + 0.02 * k, 0.02, **state) for k in range(cycles)]
    return np.array([cases.motors(record, "q") for record in records])


def test_a_switch_moves_no_target_by_a_bump(two):
    cases.to_running(two)
    before = targets_of(two, 2.2, 20)
    for runner in two.policies.runners:  # still policies: whatever moves then is the switch
        runner.policy.act = lambda observation: np.zeros(23)
    before = targets_of(two, 2.6, 5)
    assert two.request("switch", 2.7).message == "switching to other"
    assert two.request("switch", 2.7).accepted is False  # one at a time
    switch = two.switch
    after = targets_of(two, 2.7, 60)
    steps = np.abs(np.diff(np.concatenate([before[-1:], after]), axis=0)).max(axis=1)
    assert steps.max() <= MAX_STEP_RAD + 1e-6
    assert switch is not None and 0.01 < switch.largest_step_rad <= MAX_STEP_RAD
    assert two.switch is None and two.policy.name == "other"
    np.testing.assert_allclose(after[-1][cases.MOVED], np.array(POSE) + 0.4, atol=1e-5)
    assert two.command.upper[0] == 0.2
    assert two.machine.state == State.RUNNING, two.machine.cause


def test_a_quick_switch_takes_the_time_that_small_steps_need(tmp_path):
    first = load(tmp_path, "first", files.contract(default_joint_pos=POSE))
    second = load(tmp_path, "second", other_contract())
    controller = Controller(first, ControllerConfig(switch_s=0.02), QUICK, second=second)
    cases.to_running(controller)
    for runner in controller.policies.runners:
        runner.policy.act = lambda observation: np.zeros(23)
    before = targets_of(controller, 2.2, 10)
    controller.request("switch", 2.4)
    after = targets_of(controller, 2.4, 60)
    assert np.abs(np.diff(np.concatenate([before[-1:], after]), axis=0)).max() <= MAX_STEP_RAD + 1e-6
    assert controller.switch is None


def test_switching_while_idle_chooses_and_while_standing_is_refused(two):
    cases.drive(two, 0.0, 0.1)
    assert two.request("switch", 0.1).message == "other will run"
    assert two.policy.name == "other"
    two.request("switch", 0.1)
    assert two.request("stand", 0.1).accepted
    cases.drive(two, 0.1, 0.1)
    assert not two.request("switch", 0.2).accepted
    assert two.policy.name == "linear"


def test_one_policy_cannot_switch(tmp_path):
    controller = Controller(load(tmp_path, "p", files.contract(default_joint_pos=POSE)), limits=QUICK)
    assert "no second policy" in controller.request("switch", 0.0).message


def test_no_switch_to_a_policy_without_its_inputs(tmp_path):
    terms = (ObservationTerm("height_grid", 121), ObservationTerm("projected_gravity", 3))
    pair = GoldenPair((0.0,) * 124, (0.0,) * 23)
    fitting = other_contract(observation=terms, golden=pair, height_grid=HeightGridSpec())
    path = tmp_path / "grid.onnx"
    path.write_bytes(files.onnx_bytes({METADATA_KEY: fitting.to_json()}, np.zeros((124, 23), dtype=np.float32)))
    first = load(tmp_path, "first", files.contract(default_joint_pos=POSE))
    controller = Controller(first, limits=QUICK, second=OnnxPolicy.load(path))
    cases.to_running(controller)
    assert controller.needs.grid == HeightGridSpec()
    refused = controller.request("switch", 2.2)
    assert refused.message == "refused to switch to other, stale grid: none received"
    cases.drive(controller, 2.2, 0.1)
    assert controller.machine.state == State.RUNNING  # the blind one goes on
    controller.on_grid(Grid(0.8, np.zeros(121), HeightGridSpec(), 0.1), 2.3)
    assert controller.request("switch", 2.3).accepted
    cases.drive(controller, 2.3, 0.9)
    assert controller.machine.cause.startswith("stale grid")  # while it blends it already needs one


def test_no_switch_into_the_middle_of_a_clip(tmp_path):
    follower = other_contract(action_base="reference_target")
    path = files.write(tmp_path / "clip.onnx", follower, **{REFERENCE_KEY: files.embedded(files.clip())})
    first = load(tmp_path, "first", files.contract(default_joint_pos=POSE))
    controller = Controller(first, limits=QUICK, second=OnnxPolicy.load(path))
    cases.to_running(controller)
    assert "follows a clip from its first frame" in controller.request("switch", 2.2).message


def test_policies_of_different_periods_do_not_go_together(tmp_path):
    first = load(tmp_path, "first", files.contract())
    second = load(tmp_path, "second", other_contract(control_period_s=0.01))
    with pytest.raises(VmError, match="different control periods"):
        Controller(first, second=second)


# -- stops -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pressed", [{"B"}, {"L2", "B"}, {"select"}])
def test_the_remote_stops_whenever_its_button_is_down(two, pressed):
    """A press that began before the robot stood counts, too: what matters is that somebody holds it."""
    cases.to_running(two)
    cases.drive(two, 2.2, 0.02, remote=RemoteState(pressed=frozenset(pressed)))
    assert (two.machine.state, two.machine.cause) == (State.DAMPING, "operator")


def test_the_remote_switches_with_y(two):
    cases.to_running(two)
    cases.drive(two, 2.2, 0.06, remote=RemoteState(pressed=frozenset({"Y"})))
    assert two.switch is not None


def test_the_estop_holds_until_it_is_released(two):
    cases.to_running(two)
    two.estop = "engaged by topic"
    record = cases.drive(two, 2.2, 0.02)
    assert two.machine.cause == "e-stop: engaged by topic"
    assert record is not None and not cases.motors(record, "kp").any()
    assert not two.request("release", 2.3).accepted
    two.estop = ""
    assert two.request("release", 2.4).accepted
    cases.drive(two, 2.4, 0.1)
    two.estop = "engaged by topic"
    cases.drive(two, 2.5, 0.02)
    assert "e-stop" in two.request("stand", 2.6).message


def test_the_estop_service_damps(two):
    cases.to_running(two)
    assert two.request("estop", 2.2).accepted
    assert two.machine.cause == "e-stop: by service"


def test_a_broken_transport_or_a_rival_trips(two):
    cases.to_running(two)
    two.transport = "the command stream has ended"
    cases.drive(two, 2.2, 0.02)
    assert two.machine.cause == "transport: the command stream has ended"


def test_an_observation_that_is_no_number_trips_before_the_network_sees_it(two):
    cases.to_running(two)
    two.command.update = lambda now_s, period_s: np.full(3, np.nan)
    two.runner.policy.act = lambda observation: pytest.fail("asked")
    two.runner._last_action = np.full(23, np.nan)
    cases.drive(two, 2.2, 0.02)
    assert two.machine.cause == "nan: the policy's input last_action is not a number"


def test_emergency_stop_by_message_and_by_silence():
    stop = EmergencyStop(0.0, 0.0)
    assert stop.reason(1e6) == ""
    stop.on_message(True, 1.0)
    assert stop.reason(99.0) == "engaged by topic"
    stop.on_message(False, 100.0)
    assert stop.reason(1e6) == ""
    heart = EmergencyStop(0.5, 0.0)
    assert heart.reason(0.4) == ""
    assert heart.reason(0.6) == "its topic is silent for 0.6 s, limit 0.5 s"
    heart.on_message(False, 0.7)
    assert heart.reason(0.8) == ""


# -- around the controller ---------------------------------------------------------------------------------------------


def test_automation_stands_and_runs_once(two):
    automation = Automation(stand=True, run=True)
    automation.update(two, 0.0)
    assert automation.waits_for == "stale state: none received"
    for k in range(200):
        now = 0.02 * k
        cases.drive(two, now, 0.02)
        automation.update(two, now)
    assert two.machine.state == State.RUNNING
    assert two.machine.entered_at_s > SETTLED_S + two.config.stand_duration_s - 0.1
    two.request("damp", 4.0)
    two.request("release", 4.0)
    for k in range(200):
        cases.drive(two, 4.0 + 0.02 * k, 0.02)
        automation.update(two, 4.0 + 0.02 * k)
    assert two.machine.state == State.IDLE  # an operator's business from here on


def values(tmp_path: Path, **changes) -> dict:
    path = files.write(tmp_path / "p.onnx", files.contract(default_joint_pos=POSE))
    return {name: parameter.default for name, parameter in PARAMETERS.items()} | {"policy": str(path)} | changes


def test_parameters_make_a_controller(tmp_path):
    given = {"max_tilt_rad": 0.5, "mode_machines": [2, 5], "damping_kd": 3.0}
    controller = make_controller(values(tmp_path, **given))
    assert (controller.monitor.limits.max_tilt_rad, controller.monitor.limits.mode_machines) == (0.5, (2, 5))
    assert controller.config.damping_kd == 3.0
    assert controller.second is None
    second = files.write(tmp_path / "second.onnx", other_contract())
    assert make_controller(values(tmp_path, second_policy=str(second))).second is not None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"policy": ""}, "no policy: give"),
        ({"policy": "nowhere.onnx"}, "no such policy file"),
        ({"max_tilt_rad": 9.0}, "parameter max_tilt_rad must lie in"),
        ({"mode_machines": []}, "parameter mode_machines"),
        ({"damping_kd": 0.0}, "parameter damping_kd must be positive"),
        ({"second_policy": "nowhere.onnx"}, "no such policy file"),
        ({"reference": "nowhere.npz"}, "nowhere.npz"),
    ],
)
def test_bad_parameters_are_refused_by_name(tmp_path, changes, words):
    with pytest.raises(VmError, match=words):
        make_controller(values(tmp_path, **changes))


def test_another_clip_takes_the_place_of_the_embedded_one(tmp_path):
    follower = files.contract(action_base="reference_target", default_joint_pos=POSE)
    path = files.write(tmp_path / "follower.onnx", follower, **{REFERENCE_KEY: files.embedded(files.clip())})
    longer = files.clip(frames=80)
    longer.save(tmp_path / "longer.npz")
    controller = make_controller(values(tmp_path, policy=str(path), reference=str(tmp_path / "longer.npz")))
    assert controller.policy.reference is not None
    assert controller.policy.reference.num_frames == 80
    blind = files.write(tmp_path / "blind.onnx", files.contract(default_joint_pos=POSE))
    with pytest.raises(VmError, match="follows no clip"):
        make_controller(values(tmp_path, policy=str(blind), reference=str(tmp_path / "longer.npz")))


def test_limits_change_by_name_and_in_range():
    assert changed_limits(QUICK, {"max_tilt_rad": 0.7}) == replace(QUICK, max_tilt_rad=0.7)
    with pytest.raises(ValueError, match="lowcmd_topic: cannot change"):
        changed_limits(QUICK, {"lowcmd_topic": "/x"})
    with pytest.raises(ValueError, match="max_tilt_rad must lie in"):
        changed_limits(QUICK, {"max_tilt_rad": math.nan})


def test_every_parameter_is_described():
    assert all(len(parameter.text) > 10 for parameter in PARAMETERS.values())
    assert all(p.low is not None and p.high is not None and p.low <= p.default <= p.high for p in LIMITS.values())
    assert all(p.changeable == (name in LIMITS) for name, p in PARAMETERS.items())


def test_a_swapped_or_old_state_does_not_take_the_newest_ones_place(two):
    cases.to_running(two)
    older, newer = cases.low_state(), cases.low_state()
    for data in (newer, older):
        two.on_low_state(data, 2.2)
    two.step(2.2)
    assert two.state is not None and two.state.tick == int(unitree_cdr.parse_low_state(newer)["tick"])
    two.on_low_state(older, 2.22)
    two.step(2.22)
    assert two.state.tick == int(unitree_cdr.parse_low_state(newer)["tick"])
    assert len(g1.MOTOR_NAMES) == len(two.state.joint_pos)
