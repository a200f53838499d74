"""Every branch of the safety checks and of the state machine."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vm_core import frames, g1
from vm_policy_node.safety import Measurement, Needs, SafetyLimits, State, StateMachine, find_trip

LIMITS = SafetyLimits()
BLIND = Needs()


def measured(**changes) -> Measurement:
    values = {
        "joint_pos": g1.DEFAULT_STAND_POSE.copy(),
        "joint_vel": np.zeros(29),
        "quat_wxyz": np.array([1.0, 0.0, 0.0, 0.0]),
        "state_age_s": 0.002,
    }
    return Measurement(**(values | changes))


def tilted(angle: float) -> np.ndarray:
    return frames.quat_from_rotvec(np.array([0.0, angle, 0.0]))


def with_value(array: np.ndarray, index: int, value: float) -> np.ndarray:
    changed = array.copy()
    changed[index] = value
    return changed


def test_a_standing_robot_trips_nothing():
    assert find_trip(measured(), LIMITS, BLIND) is None
    assert find_trip(measured(grid_age_s=0.1, odometry_age_s=0.1), LIMITS, Needs(grid=True, odometry=True)) is None


STAND = g1.DEFAULT_STAND_POSE
KNEE = g1.motor_index("left_knee_joint")


@pytest.mark.parametrize(
    ("changes", "needs", "cause"),
    [
        ({"state_age_s": None}, BLIND, "stale state: none received"),
        ({"state_age_s": 0.11}, BLIND, "stale state: 0.110 s old"),
        ({"state_age_s": math.nan}, BLIND, "stale state"),
        ({}, Needs(grid=True), "stale grid: none received"),
        ({"grid_age_s": 0.3}, Needs(grid=True), "stale grid: 0.300 s old"),
        ({"odometry_age_s": 0.3}, Needs(odometry=True), "stale odometry: 0.300 s old"),
        ({"crc_ok": False}, BLIND, "crc:"),
        ({"joint_pos": None}, BLIND, "stale state"),
        ({"joint_pos": with_value(STAND, KNEE, math.nan)}, BLIND, "nan: joint position left_knee_joint"),
        ({"joint_vel": with_value(np.zeros(29), KNEE, math.inf)}, BLIND, "nan: joint velocity left_knee_joint"),
        ({"quat_wxyz": np.full(4, math.nan)}, BLIND, "nan: orientation"),
        ({"quat_wxyz": np.zeros(4)}, BLIND, "orientation: quaternion of length 0"),
        ({"quat_wxyz": tilted(1.1)}, BLIND, "tilt: 1.10 rad"),
        ({"quat_wxyz": tilted(math.pi)}, BLIND, "tilt: 3.14 rad"),
        ({"joint_pos": with_value(STAND, KNEE, 3.2)}, BLIND, "joint limit: left_knee_joint at 3.20 rad"),
        ({"joint_pos": with_value(STAND, KNEE, -0.3)}, BLIND, "joint limit: left_knee_joint"),
        ({"joint_vel": with_value(np.zeros(29), KNEE, -30.0)}, BLIND, "joint velocity: left_knee_joint at -30.0"),
    ],
)
def test_each_trip_has_a_named_cause(changes, needs, cause):
    trip = find_trip(measured(**changes), LIMITS, needs)
    assert trip is not None
    assert trip.startswith(cause)


def test_a_blind_policy_does_not_mind_a_missing_grid():
    assert find_trip(measured(grid_age_s=99.0), LIMITS, BLIND) is None


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_limits_must_be_positive(bad):
    with pytest.raises(ValueError, match="state_timeout_s"):
        SafetyLimits(state_timeout_s=bad)


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
