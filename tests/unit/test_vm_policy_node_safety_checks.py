"""Each check of one measurement trips with its cause, and only then."""

import math
from dataclasses import replace

import numpy as np
import pytest
from safety_measurements import (
    BLIND,
    FLAT,
    LIMITS,
    POSITIONED,
    SEEING,
    SPEC,
    STAND,
    grid,
    measured,
    odometry,
    one,
    tilted,
    trips,
)

from vm_core.depth_image import DepthSpec
from vm_core.height_grid import HeightGridSpec
from vm_policy_node.safety import Measurement, Needs, SafetyMonitor

LOOKING, SEEN = Needs(depth=DepthSpec()), {"depth_age_s": 0.01}


def test_a_standing_robot_trips_nothing():
    assert trips(measured()) is None
    assert trips(measured(about=grid() | odometry()), Needs(SPEC, odometry=True)) is None


def test_before_the_first_state_everything_trips():
    monitor = SafetyMonitor(LIMITS)
    assert monitor.trip == monitor.complaint == "stale state: none received"
    assert monitor.update(Measurement(None, None), BLIND, 0.0) == "stale state: none received"
    assert monitor.still_s < 0.0


@pytest.mark.parametrize(
    ("m", "needs", "cause"),
    [
        (measured(about={"estop": "topic"}), BLIND, "e-stop: topic"),
        (measured(about={"transport": "the command stream has ended"}), BLIND, "transport: the command stream"),
        (measured(about={"command_publishers": 2}), BLIND, "another publisher: 2 publish"),
        (measured(about={"period_s": 0.11}), BLIND, "late cycle: 0.110 s"),
        (measured(about={"state_age_s": 0.11}), BLIND, "stale state: 0.110 s old"),
        (measured(about={"state_age_s": math.nan}), BLIND, "stale state"),
        (measured(about={"state_age_s": 0.11, "bad_states": 3}), BLIND, "stale state"),
        (measured(about={"state_age_s": 0.11, "bad_states": 3, "good_states": 0}), BLIND, "crc: no state"),
        (measured(), SEEING, "stale grid: none received"),
        (measured(about=grid(age=0.6)), SEEING, "stale grid: 0.600 s old"),
        (measured(about=grid(scan_age=1.2)), SEEING, "stale scan: the height grid's newest is 1.2 s old"),
        (measured(about=grid(scan_age=math.inf)), SEEING, "stale scan"),
        (measured(), POSITIONED, "stale odometry: none received"),
        (measured(about=odometry(age=0.3)), POSITIONED, "stale odometry: 0.300 s old"),
        (measured(mode_machine=4), BLIND, "mode_machine: the robot says 4, this policy drives 5"),
        (measured(mode_pr=1), BLIND, "mode_pr: the robot says 1"),
        (measured(joint_pos=one(math.nan, STAND)), BLIND, "nan: joint position left_knee_joint"),
        (measured(joint_vel=one(math.inf)), BLIND, "nan: joint velocity left_knee_joint"),
        (measured(torque=one(math.nan)), BLIND, "nan: joint torque left_knee_joint"),
        (measured(quat_wxyz=np.full(4, math.nan)), BLIND, "nan: orientation"),
        (measured(ang_vel_body=np.array([0.0, math.nan, 0.0])), BLIND, "nan: angular velocity"),
        (measured(quat_wxyz=np.zeros(4)), BLIND, "orientation: quaternion of length 0"),
        (measured(quat_wxyz=tilted(1.1)), BLIND, "tilt: 1.10 rad"),
        (measured(quat_wxyz=tilted(math.pi)), BLIND, "tilt: 3.14 rad"),
        (measured(ang_vel_body=np.array([0.0, 13.0, 0.0])), BLIND, "turn rate: 13.0 rad/s"),
        (measured(joint_pos=one(3.2, STAND)), BLIND, "joint limit: left_knee_joint at 3.20 rad"),
        (measured(joint_pos=one(-0.3, STAND)), BLIND, "joint limit: left_knee_joint"),
        (measured(joint_vel=one(-30.0)), BLIND, "joint velocity: left_knee_joint at -30.0"),
        (measured(temperature_c=one(96.0, 40.0)), BLIND, "temperature: left_knee_joint at 96 °C"),
        (
            measured(faults=one(0x210, dtype=np.uint32)),
            BLIND,
            "motor fault: left_knee_joint reports 0x210 (chip too hot",
        ),
        (
            measured(faults=one(1 << 30, dtype=np.uint32)),
            BLIND,
            "motor fault: left_knee_joint reports 0x40000000 (unkn",
        ),
        (measured(about=grid(spec=HeightGridSpec(5, 5, 0.2))), SEEING, "grid: 5×5 at 0.2 m, the policy expects 11×11"),
        (measured(about=grid(spec=HeightGridSpec(center_x=0.3))), SEEING, "grid: 11×11 at 0.1 m, 0.300 m ahead, the"),
        (measured(about=grid(spec=HeightGridSpec(full_attitude=True))), SEEING, "grid: 11×11 at 0.1 m, leaning, the"),
        (
            measured(about=grid(spec=HeightGridSpec(samples_per_side=3))),
            SEEING,
            "grid: 11×11 at 0.1 m, means of 3×3 po",
        ),
        (measured(about=grid(FLAT[:7])), SEEING, "grid: 7 heights for 121 cells"),
        (measured(about=grid(torso=math.nan)), SEEING, "grid: the torso's height"),
        (measured(about=grid(FLAT - 50.0)), SEEING, "grid: a cell lies 50.8 m off the torso"),
        (measured(about=grid(FLAT + math.inf)), SEEING, "grid: a cell lies inf m"),
    ],
)
def test_each_trip_has_a_named_cause(m, needs, cause):
    trip = trips(m, needs)
    assert trip is not None
    assert trip.startswith(cause)


@pytest.mark.parametrize(
    ("about", "cause"),
    [
        ({}, "stale depth: none received"),
        ({"depth_age_s": 0.3}, "stale depth: 0.300 s old"),
        ({"depth_age_s": math.nan}, "stale depth"),
        ({"depth_problem": "pictures come as 'rgb8'"}, "depth: pictures come as 'rgb8'"),
        ({"depth_age_s": 0.3, "depth_problem": "pictures come as 'rgb8'"}, "depth: pictures come as 'rgb8'"),
        ({"depth_age_s": 0.01, "depth_same_s": 0.6}, "frozen depth: the same picture for 0.60 s"),
    ],
)
def test_a_policy_that_sees_needs_good_pictures(about, cause):
    trip = trips(measured(about=about), LOOKING)
    assert trip is not None and trip.startswith(cause)
    assert trips(measured(about=about)) is None  # another one does not look


def test_one_bad_picture_between_good_ones_trips_nothing():
    assert trips(measured(about={"depth_age_s": 0.01}), LOOKING) is None
    assert trips(measured(about={"depth_age_s": 0.1, "depth_problem": "cut off"}), LOOKING) is None


def test_a_blind_policy_does_not_mind_what_it_does_not_read():
    bad = grid(FLAT[:7], math.nan, age=99.0) | odometry(age=99.0)
    assert trips(measured(about=bad)) is None
    assert trips(measured(about=grid(scan_age=None)), SEEING) is None  # not told


@pytest.mark.parametrize("faults", [0x20000, 0x80000])
def test_set_up_notes_of_a_motor_are_no_faults(faults):
    assert trips(measured(faults=one(faults, dtype=np.uint32))) is None
    assert trips(measured(faults=one(faults, dtype=np.uint32)), limits=replace(LIMITS, ignored_motor_faults=0))


@pytest.mark.parametrize(
    ("changes", "hold_s", "cause"),
    [
        ({"torque": one(200.0)}, LIMITS.torque_hold_s, "joint torque: left_knee_joint at 200 Nm"),
        ({"voltage_v": np.full(29, 39.0)}, LIMITS.battery_hold_s, "battery: 39.0 V"),
        ({"about": grid(np.full(121, np.nan)) | SEEN}, LIMITS.grid_unknown_s, "grid: no cell is known"),
        ({"about": grid() | SEEN | {"depth_below": 0.4}}, LIMITS.depth_below_s, "depth: 40% of the picture lies below"),
    ],
)
def test_what_may_pass_must_last(changes, hold_s, cause):
    monitor, needs = SafetyMonitor(LIMITS), Needs(SPEC, depth=DepthSpec())

    def update(now_s: float, changed: dict) -> str | None:
        m = measured(20 + round(1000 * now_s), **({"about": grid() | SEEN} | changed))
        return monitor.update(m, needs if "about" in changes else BLIND, now_s)

    assert update(0.0, changes) is None
    assert monitor.complaint is not None and monitor.complaint.startswith(cause)  # a start is refused at once
    assert update(0.5 * hold_s, {}) is None
    assert monitor.complaint is None
    assert update(0.6 * hold_s, changes) is None
    assert update(1.5 * hold_s, changes) is None
    trip = update(1.61 * hold_s, changes)
    assert trip is not None and trip.startswith(cause)


@pytest.mark.parametrize("volts", [0.0, math.nan])
def test_a_voltage_that_nobody_reports_says_nothing(volts):
    assert trips(measured(voltage_v=np.full(29, volts)), limits=replace(LIMITS, battery_hold_s=0.0)) is None


def test_a_lost_command_damps_only_if_asked_for():
    lost = measured(about={"command_age_s": 3.0})
    assert trips(lost) is None
    asked = replace(LIMITS, command_lost_s=2.0)
    assert trips(lost, limits=asked) == "lost command: none for 3.0 s, limit 2.0 s"
    assert trips(measured(about={"command_age_s": 1.0}), limits=asked) is None
    assert trips(measured(), limits=asked) is None  # none was ever given
