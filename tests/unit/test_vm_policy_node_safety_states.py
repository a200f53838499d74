"""Conditions of a start, ranges of the limits, and the state machine."""

import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safety_measurements import BLIND, LIMITS, STAND, measured, one, state, tilted

from vm_policy_node.safety import SafetyLimits, SafetyMonitor, State, StateMachine, start_refusal


@pytest.mark.parametrize(
    ("changes", "still_s", "words"),
    [
        ({}, 0.1, "not still"),
        ({}, -1.0, "not still"),
        ({"quat_wxyz": tilted(0.5)}, 1.0, "not upright: tilt 0.50 rad"),
        ({"joint_pos": one(2.6, STAND)}, 1.0, "unknown pose: left_knee_joint is 1.9"),
    ],
)
def test_a_start_needs_a_still_upright_robot_in_a_known_pose(changes, still_s, words):
    assert start_refusal(state(), STAND, 1.0, LIMITS) is None
    refusal = start_refusal(state(**changes), STAND, still_s, LIMITS)
    assert refusal is not None and refusal.startswith(words)


def test_a_start_needs_charge():
    assert start_refusal(state(), STAND, 1.0, LIMITS, charge_percent=50.0) is None
    assert "9 % left" in (start_refusal(state(), STAND, 1.0, LIMITS, charge_percent=9.0) or "")


def test_stillness_counts_from_the_last_motion():
    monitor = SafetyMonitor(LIMITS)
    for k, speed in enumerate([2.0, 0.0, 0.0, 0.0]):
        monitor.update(measured(20 + 20 * k, joint_vel=one(speed)), BLIND, 0.02 * k)
    assert monitor.still_s == pytest.approx(0.06)
    monitor.update(measured(100, ang_vel_body=np.array([0.6, 0.0, 0.0])), BLIND, 0.08)
    assert monitor.still_s < 0.0


# -- limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_limits_keep_their_ranges(bad):
    with pytest.raises(ValueError, match=r"state_timeout_s must lie in \[0.01, 1\]"):
        SafetyLimits(state_timeout_s=bad)


@pytest.mark.parametrize("modes", [(), (300,)])
def test_robot_types_are_bytes(modes):
    with pytest.raises(ValueError, match="mode_machines"):
        SafetyLimits(mode_machines=modes)


def test_every_limit_is_described():
    described = SafetyLimits.describe()
    assert set(described) == {f.name for f in fields(SafetyLimits)} - {"mode_machines", "ignored_motor_faults"}
    assert all(low < high and len(text) > 10 for low, high, text in described.values())


# -- state machine -----------------------------------------------------------------------------------------------------


def running() -> StateMachine:
    machine = StateMachine()
    assert machine.stand(0.0, None).accepted
    assert machine.run(2.0, None, at_start_pose=True).accepted
    return machine


def test_the_whole_round():
    machine = running()
    assert machine.state == State.RUNNING
    assert machine.time_in_state_s(2.5) == pytest.approx(0.5)
    assert machine.damp(3.0, "operator").accepted
    assert machine.release(4.0).accepted
    assert machine.state == State.IDLE


def test_damping_is_latched_and_keeps_its_first_cause():
    machine = running()
    machine.watch(3.0, "tilt: 1.20 rad")
    machine.watch(3.1, None)
    machine.damp(3.2, "operator")
    assert (machine.state, machine.cause) == (State.DAMPING, "tilt: 1.20 rad")
    assert "release first" in machine.stand(3.3, None).message
    assert not machine.run(3.3, None, at_start_pose=True).accepted


def test_an_engaged_emergency_stop_keeps_it_damping():
    machine = running()
    machine.watch(3.0, "e-stop: topic")
    assert machine.release(3.1, "topic").message == "cannot release, the e-stop is engaged (topic)"
    assert machine.state == State.DAMPING
    assert machine.release(3.2, "").accepted


def test_requests_out_of_order_are_refused():
    machine = StateMachine()
    assert "stand first" in machine.run(0.0, None, at_start_pose=True).message
    assert machine.release(0.0).message == "already idle"
    assert "stale" in machine.stand(0.0, "stale state: none received").message
    machine.stand(0.0, None)
    assert machine.stand(0.1, None).accepted
    assert machine.entered_at_s == 0.0
    assert "start pose" in machine.run(0.5, None, at_start_pose=False).message
    assert "refused to run" in machine.run(0.5, "crc: …", at_start_pose=True).message
    assert "damp first" in machine.release(0.5).message
    machine.run(2.0, None, at_start_pose=True)
    assert machine.run(2.1, None, at_start_pose=True).message == "already running"
    assert "damp first" in machine.stand(2.2, None).message


def test_idle_does_not_trip():
    machine = StateMachine()
    machine.watch(0.0, "stale state: none received")
    assert machine.state == State.IDLE


@given(st.lists(st.sampled_from(["stand", "run", "damp", "release", "trip", "fine"]), max_size=30))
def test_only_release_leaves_damping(events):
    machine = StateMachine()
    for step, event in enumerate(events):
        before = machine.state
        actions = {
            "stand": lambda t: machine.stand(t, None),
            "run": lambda t: machine.run(t, None, at_start_pose=True),
            "damp": lambda t: machine.damp(t, "operator"),
            "release": lambda t: machine.release(t),
            "trip": lambda t: machine.watch(t, "tilt"),
            "fine": lambda t: machine.watch(t, None),
        }
        actions[event](float(step))
        if before == State.DAMPING and event != "release":
            assert machine.state == State.DAMPING
        if machine.state == State.RUNNING and before != State.RUNNING:
            assert (before, event) == (State.STANDING, "run")
