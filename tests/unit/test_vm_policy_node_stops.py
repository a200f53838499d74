"""Stops of every kind: buttons, emergency stops, transport, rivals, numbers that are none; and the automatic start."""

import controller_cases as cases
import numpy as np
import pytest
import two_policies

from vm_core import g1, unitree_cdr
from vm_core.remote import RemoteState
from vm_policy_node.automation import SETTLED_S, Automation
from vm_policy_node.controller import Controller
from vm_policy_node.emergency_stop import EmergencyStop
from vm_policy_node.safety import State


@pytest.fixture
def two(tmp_path) -> Controller:
    return two_policies.controller(tmp_path)


@pytest.mark.parametrize("pressed", [{"B"}, {"L2", "B"}, {"select"}])
def test_the_remote_stops_whenever_its_button_is_down(two, pressed):
    """A press that began before the robot stood counts, too: what matters is that somebody holds it."""
    cases.to_running(two)
    cases.drive(two, 2.2, 0.02, remote=RemoteState(pressed=frozenset(pressed)))
    assert (two.machine.state, two.machine.cause) == (State.DAMPING, "operator")


def test_buttons_that_are_down_from_the_beginning_start_nothing(two):
    """A node that starts beside a remote on which something lies, or whose button is stuck."""
    held = RemoteState(pressed=frozenset({"start"}))
    cases.drive(two, 0.0, 1.0, remote=held)
    assert two.machine.state == State.IDLE
    cases.drive(two, 1.0, 0.1)
    cases.drive(two, 1.1, 0.02, remote=held)
    assert two.machine.state == State.STANDING


def test_the_remote_switches_with_y(two):
    cases.to_running(two)
    cases.drive(two, 2.2, 0.06, remote=RemoteState(pressed=frozenset({"Y"})))
    assert two.policies.switch is not None


def test_the_estop_holds_until_it_is_released(two):
    cases.to_running(two)
    two.on_estop("engaged by topic", 2.2)
    record = cases.drive(two, 2.2, 0.02)
    assert two.machine.cause == "e-stop: engaged by topic"
    assert record is not None and not cases.motors(record, "kp").any()
    assert not two.request("release", 2.3).accepted
    two.on_estop("", 2.4)
    assert two.request("release", 2.4).accepted
    cases.drive(two, 2.4, 0.1)
    two.on_estop("engaged by topic", 2.5)
    assert two.machine.state == State.IDLE  # who commands nothing need not be stopped
    cases.drive(two, 2.5, 0.02)
    assert "e-stop" in two.request("stand", 2.6).message


def test_an_estop_that_is_released_within_the_same_period_stops(two):
    """Of a button that springs back, both messages may wait in the queue when it is emptied."""
    cases.to_running(two)
    two.on_estop("engaged by topic", 2.2)
    two.on_estop("", 2.2)
    record = cases.drive(two, 2.2, 0.02)
    assert (two.machine.state, two.machine.cause) == (State.DAMPING, "e-stop: engaged by topic")
    assert record is not None and not cases.motors(record, "kp").any()


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
