"""Two policies, and the way from one to the other."""

import controller_cases as cases
import numpy as np
import policy_files as files
import pytest
import two_policies

from vm_core.errors import VmError
from vm_core.height_grid import HeightGridSpec
from vm_core.policy_contract import METADATA_KEY, REFERENCE_KEY, GoldenPair, ObservationTerm
from vm_policy_node.bringup.demo import DEMO_POLICY
from vm_policy_node.controller import Controller, ControllerConfig
from vm_policy_node.inputs import Grid
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.policy_switch import MAX_STEP_RAD
from vm_policy_node.safety import State


@pytest.fixture
def two(tmp_path) -> Controller:
    return two_policies.controller(tmp_path)


def test_a_switch_moves_no_target_by_a_bump(two):
    cases.to_running(two)
    before = two_policies.targets_of(two, 2.2, 20)
    for runner in two.policies.runners:  # still policies: whatever moves then is the switch
        runner.policy.act = lambda observation: np.zeros(23)
    before = two_policies.targets_of(two, 2.6, 5)
    assert two.request("switch", 2.7).message == "switching to other"
    assert two.request("switch", 2.7).accepted is False  # one at a time
    switch = two.policies.switch
    after = two_policies.targets_of(two, 2.7, 60)
    steps = np.abs(np.diff(np.concatenate([before[-1:], after]), axis=0)).max(axis=1)
    assert steps.max() <= MAX_STEP_RAD + 1e-6
    assert switch is not None and 0.01 < switch.largest_step_rad <= MAX_STEP_RAD
    assert two.policies.switch is None and two.policy.name == "other"
    np.testing.assert_allclose(after[-1][cases.MOVED], np.array(two_policies.POSE) + 0.4, atol=1e-5)
    assert two.command.upper[0] == 0.2
    assert two.machine.state == State.RUNNING, two.machine.cause


def test_a_quick_switch_takes_the_time_that_small_steps_need(tmp_path):
    first = two_policies.load(tmp_path, "first", files.contract(default_joint_pos=two_policies.POSE))
    second = two_policies.load(tmp_path, "second", two_policies.other_contract())
    controller = Controller(first, ControllerConfig(switch_s=0.02), two_policies.QUICK, second=second)
    cases.to_running(controller)
    for runner in controller.policies.runners:
        runner.policy.act = lambda observation: np.zeros(23)
    before = two_policies.targets_of(controller, 2.2, 10)
    controller.request("switch", 2.4)
    after = two_policies.targets_of(controller, 2.4, 60)
    assert np.abs(np.diff(np.concatenate([before[-1:], after]), axis=0)).max() <= MAX_STEP_RAD + 1e-6
    assert controller.policies.switch is None


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
    controller = Controller(
        two_policies.load(tmp_path, "p", files.contract(default_joint_pos=two_policies.POSE)), limits=two_policies.QUICK
    )
    assert "no second policy" in controller.request("switch", 0.0).message


def test_no_switch_to_a_policy_without_its_inputs(tmp_path):
    terms = (ObservationTerm("height_grid", 121), ObservationTerm("projected_gravity", 3))
    pair = GoldenPair((0.0,) * 124, (0.0,) * 23)
    fitting = two_policies.other_contract(observation=terms, golden=pair, height_grid=HeightGridSpec())
    path = tmp_path / "grid.onnx"
    path.write_bytes(files.onnx_bytes({METADATA_KEY: fitting.to_json()}, np.zeros((124, 23), dtype=np.float32)))
    first = two_policies.load(tmp_path, "first", files.contract(default_joint_pos=two_policies.POSE))
    controller = Controller(first, limits=two_policies.QUICK, second=OnnxPolicy.load(path))
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


def test_while_one_takes_over_the_stricter_contract_counts(two):
    cases.to_running(two)
    assert two.command.upper[0] > 0.2
    assert two.request("switch", 2.2).accepted
    assert two.command.upper[0] == 0.2  # the newcomer knows no faster command, and already acts
    two.request("damp", 2.3)
    cases.drive(two, 2.3, 0.04)
    assert two.policy.name == "linear" and two.command.upper[0] > 0.2  # the switch was not finished


def test_no_switch_to_a_policy_that_allows_no_grid_so_old(tmp_path):
    terms = (ObservationTerm("height_grid", 121), ObservationTerm("projected_gravity", 3))
    pair = GoldenPair((0.0,) * 124, (0.0,) * 23)
    strict = two_policies.other_contract(
        observation=terms, golden=pair, height_grid=HeightGridSpec(), height_grid_max_age_s=0.1
    )
    path = tmp_path / "grid.onnx"
    path.write_bytes(files.onnx_bytes({METADATA_KEY: strict.to_json()}, np.zeros((124, 23), dtype=np.float32)))
    first = two_policies.load(tmp_path, "first", files.contract(default_joint_pos=two_policies.POSE))
    controller = Controller(first, limits=two_policies.QUICK, second=OnnxPolicy.load(path))
    cases.to_running(controller)
    controller.on_grid(Grid(0.8, np.zeros(121), HeightGridSpec(), 0.1), 2.0)
    assert "stale grid" in controller.request("switch", 2.2).message
    controller.on_grid(Grid(0.8, np.zeros(121), HeightGridSpec(), 0.1), 2.2)
    assert controller.request("switch", 2.2).accepted
    assert controller.monitor.limits.grid_timeout_s == 0.1


def test_no_switch_into_the_middle_of_a_clip(tmp_path):
    follower = two_policies.other_contract(action_base="reference_target")
    path = files.write(tmp_path / "clip.onnx", follower, **{REFERENCE_KEY: files.embedded(files.clip())})
    first = two_policies.load(tmp_path, "first", files.contract(default_joint_pos=two_policies.POSE))
    controller = Controller(first, limits=two_policies.QUICK, second=OnnxPolicy.load(path))
    cases.to_running(controller)
    assert "follows a clip from its first frame" in controller.request("switch", 2.2).message


def test_policies_of_different_grids_do_not_go_together():
    """There is one height map; the other's grid would reach the network as numbers too many, in mid-walk."""
    longer, usual = (OnnxPolicy.load(DEMO_POLICY.with_name(f"{name}.onnx")) for name in ("g1_generalist", "g1_walk"))
    with pytest.raises(VmError, match="height grids of different sizes"):
        Controller(longer, second=usual)


def test_policies_of_different_periods_do_not_go_together(tmp_path):
    first = two_policies.load(tmp_path, "first", files.contract())
    second = two_policies.load(tmp_path, "second", two_policies.other_contract(control_period_s=0.01))
    with pytest.raises(VmError, match="different control periods"):
        Controller(first, second=second)
