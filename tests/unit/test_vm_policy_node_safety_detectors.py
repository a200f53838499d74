"""Faults that show only over time."""

import math
from dataclasses import replace

import numpy as np
import pytest
from safety_measurements import BLIND, KNEE, LEVEL, LIMITS, POSITIONED, STAND, measured, odometry, one, tilted

from vm_policy_node.safety import Measurement, Needs, SafetyMonitor
from vm_policy_node.safety.detectors import WINDOW_S, ClockLag, Share


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


@pytest.mark.parametrize("seed", range(5))
def test_what_is_counted_as_it_comes_and_goes_is_what_the_last_second_holds(seed):
    """Both count on; here each window is looked through anew."""
    rng = np.random.default_rng(seed)
    now_s = np.cumsum(rng.choice([0.0, 0.005, 0.02, 0.3, 1.5], 300, p=[0.1, 0.3, 0.55, 0.04, 0.01]))
    bad, total, offset_s = rng.integers(0, 3, 300), rng.integers(3, 9, 300), rng.normal(0.0, 0.3, 300)
    share, lag = Share(), ClockLag()
    for k in range(300):
        within = (now_s >= now_s[k] - WINDOW_S) & (np.arange(300) <= k)
        share.add(int(bad[k]), int(total[k]), now_s[k])
        assert (share.bad, share.total) == (bad[within].sum(), total[within].sum())
        m = measured(0, about={"state_age_s": float(now_s[k] - offset_s[k])})
        late_s = offset_s[k] - offset_s[within].min()
        assert bool(lag.find(m, LIMITS, BLIND, float(now_s[k]))) == (late_s > LIMITS.state_lag_s)


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
