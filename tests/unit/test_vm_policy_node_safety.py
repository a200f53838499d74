"""Every branch of the safety checks, the detectors, the start conditions and the state machine."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vm_core import frames, g1
from vm_core.height_grid import HeightGridSpec
from vm_policy_node.inputs import Grid, Odometry, RobotState
from vm_policy_node.safety import Measurement, Needs, SafetyLimits, SafetyMonitor, State, StateMachine, start_refusal

LIMITS = SafetyLimits()
BLIND = Needs()
SPEC = HeightGridSpec()
SEEING = Needs(grid=SPEC)
POSITIONED = Needs(odometry=True)
STAND = g1.DEFAULT_STAND_POSE
KNEE = g1.motor_index("left_knee_joint")
LEVEL = np.array([1.0, 0.0, 0.0, 0.0])
FLAT = np.zeros(SPEC.num_cells)


def state(tick: int = 20, **changes) -> RobotState:
    values = {
        "joint_pos": STAND.copy(),
        "joint_vel": np.zeros(29),
        "quat_wxyz": LEVEL,
        "ang_vel_body": np.zeros(3),
        "tick": tick,
        "mode_machine": 5,
        "crc_ok": True,
        "remote": bytes(40),
        "voltage_v": np.full(29, 50.0),
        "modes": np.ones(29, dtype=np.uint8),
    }
    return RobotState(**(values | changes))


def measured(tick: int = 20, *, about: dict | None = None, **changes) -> Measurement:
    """A measurement with changes to the robot's state, and `about` with changes to the rest."""
    return replace(Measurement(state(tick, **changes), 0.002), **(about or {}))


def tilted(angle: float) -> np.ndarray:
    return frames.quat_from_rotvec(np.array([0.0, angle, 0.0]))


def one(value: float, rest: np.ndarray | float = 0.0, dtype: type = float) -> np.ndarray:
    """Numbers of all motors; the left knee's is `value`."""
    values = np.array(np.broadcast_to(rest, 29), dtype=dtype)
    values[KNEE] = value
    return values


def trips(m: Measurement, needs: Needs = BLIND, limits: SafetyLimits = LIMITS) -> str | None:
    return SafetyMonitor(limits).update(m, needs, 0.0)


def grid(height=FLAT, torso: float = 0.8, spec=SPEC, age: float = 0.01, scan_age: float | None = 0.1) -> dict:
    return {"grid": Grid(torso, height, spec, scan_age), "grid_age_s": age}


def odometry(x: float = 0.0, age: float = 0.01) -> dict:
    return {"odometry": Odometry(np.array([x, 0.0, 0.8]), np.zeros(3)), "odometry_age_s": age}


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
        ({"about": grid(np.full(121, np.nan))}, LIMITS.grid_unknown_s, "grid: no cell is known"),
    ],
)
def test_what_may_pass_must_last(changes, hold_s, cause):
    monitor = SafetyMonitor(LIMITS)

    def update(now_s: float, changed: dict) -> str | None:
        fine = {"about": grid()} if "about" in changes else {}
        m = measured(20 + round(1000 * now_s), **(fine | changed))
        return monitor.update(m, SEEING if "about" in changes else BLIND, now_s)

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


# -- over time ---------------------------------------------------------------------------------------------------------


def causes(measurements, needs: Needs = BLIND, period_s: float = 0.02) -> list[str | None]:
    monitor = SafetyMonitor(LIMITS)
    return [monitor.update(m, needs, k * period_s) for k, m in enumerate(measurements)]


def first(found: list[str | None]) -> tuple[int, str]:
    return next((k, cause) for k, cause in enumerate(found) if cause)


def test_a_clock_that_falls_behind_is_a_delay():
    assert not any(causes(measured(20 + 15 * k) for k in range(200)))  # three quarters of real time: a slow simulation
    step, cause = first(causes(measured(20 + 8 * k) for k in range(200)))
    assert cause.startswith("delayed state: the robot's clock fell 0.5")
    assert 0.02 * step == pytest.approx(LIMITS.state_lag_s / 0.6, abs=0.05)


def test_a_clock_that_begins_anew_is_a_restart():
    assert first(causes([measured(90_000), measured(20)])) == (1, "restart: the robot's clock went from 90000 to 20 ms")


def test_bad_checksums_trip_by_their_share():
    few = [measured(20 + 20 * k, about={"bad_states": k % 10 == 0, "good_states": 1}) for k in range(100)]
    assert not any(causes(few))
    many = [measured(20 + 20 * k, about={"bad_states": 4, "good_states": 6}) for k in range(100)]
    assert first(causes(many))[1] == "crc: 4 of the last 10 robot states have a wrong checksum or form"


def test_many_late_cycles_trip_though_none_is_very_late():
    about = {"period_s": 0.04, "nominal_period_s": 0.02}
    step, cause = first(causes((measured(20 + 40 * k, about=about) for k in range(100)), period_s=0.04))
    assert (step, cause) == (9, "late cycles: 10 of the last 10 took over 1.5 periods")
    assert not any(causes(measured(20 + 20 * k, about={"period_s": 0.04 if k % 3 else 0.02}) for k in range(9)))


def moving(k: int, **still) -> Measurement:
    """A robot in motion, whose sensors all show it but for those in `still`."""
    values = {
        "joint_pos": STAND + 0.1 * math.sin(0.3 * k),
        "joint_vel": np.full(29, 0.01 * k),
        "ang_vel_body": np.array([0.3 * math.sin(0.2 * k), 0.0, 0.0]),
        "quat_wxyz": tilted(0.001 * k),
    }
    return measured(20 + 20 * k, about=odometry(0.01 * k), **(values | still))


@pytest.mark.parametrize(
    ("name", "still"),
    [
        ("imu", {"ang_vel_body": np.zeros(3), "quat_wxyz": LEVEL}),
        ("encoders", {"joint_pos": STAND, "joint_vel": np.zeros(29)}),
    ],
)
def test_a_sensor_that_repeats_itself_in_motion_is_frozen(name, still):
    assert not any(causes(moving(k) for k in range(50)))
    step, cause = first(causes(moving(k, **still) for k in range(50)))
    assert cause.startswith(f"frozen {name}: the same numbers for 0.2")
    assert step <= 12


def test_odometry_that_repeats_itself_in_motion_is_frozen():
    frozen = [replace(moving(k), **odometry(0.0)) for k in range(50)]
    assert first(causes(frozen, POSITIONED))[1].startswith("frozen odometry")
    assert not any(causes(frozen, BLIND))
    assert not any(causes((moving(k) for k in range(50)), POSITIONED))


def test_a_robot_at_rest_is_not_frozen():
    assert not any(causes(measured(20 + 20 * k) for k in range(50)))


def test_a_joint_cannot_jump():
    jumped = [measured(20), measured(40, joint_pos=one(STAND[KNEE] + 1.0, STAND))]
    assert first(causes(jumped)) == (1, "joint jump: left_knee_joint by 1.00 rad in 0.020 s")
    after_a_gap = [measured(20), measured(95, joint_pos=one(STAND[KNEE] + 1.0, STAND), about={"period_s": 0.08})]
    assert not any(causes(after_a_gap, period_s=0.08))


def test_the_odometry_cannot_jump():
    jumped = [measured(20, about=odometry(0.0)), measured(40, about=odometry(1.0))]
    assert first(causes(jumped, POSITIONED)) == (1, "odometry jump: 1.00 m in 0.020 s")
    assert not any(causes(jumped, BLIND))


def test_an_enabled_motor_must_stay_enabled():
    monitor = SafetyMonitor(LIMITS)
    off = one(0, 1, np.uint8)
    assert monitor.update(measured(20, modes=off), BLIND, 0.0) is None  # never was on
    assert monitor.update(measured(40), BLIND, 0.02) is None
    assert monitor.update(measured(60, modes=off), BLIND, 0.04) == "motor off: left_knee_joint has switched itself off"
    monitor.forget_motors()
    assert monitor.update(measured(80, modes=off), BLIND, 0.06) is None


# -- start -------------------------------------------------------------------------------------------------------------


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
