"""Checks that one measurement alone can fail. Each returns the cause in words, or None."""

from __future__ import annotations

import math

import numpy as np

from vm_core import g1
from vm_core.height_grid import HeightGridSpec
from vm_policy_node.safety.limits import SafetyLimits
from vm_policy_node.safety.measurement import Measurement, Needs, tilt_rad

MOTOR_FAULTS = (
    *("overcurrent", "overvoltage, transient", "overvoltage", "undervoltage", "chip too hot"),
    *("power stage too hot or cold", "power stage's sensor", "casing too hot or cold", "casing's sensor"),
    *("winding too hot", "rotor encoder 1", "rotor encoder 2", "output encoder", "calibration data", "reset by itself"),
    *("locked", "chip not verified", "calibration mode", "communication check", "old driver"),
)
"""Bits of MotorState.motorstate from the lowest on, as Unitree's list of error codes has them."""


def emergency_cause(reason: str) -> str:
    """The cause of a stop that somebody has engaged."""
    return f"e-stop: {reason}"


def emergency_stop(m: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    return emergency_cause(m.estop) if m.estop else None


def transport(m: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    return f"transport: {m.transport}" if m.transport else None


def other_publisher(m: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    count = m.command_publishers
    if count is None or count <= 1:
        return None
    return f"another publisher: {count} publish motor commands, expected this node alone"


def late_cycle(m: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    if m.period_s <= limits.late_cycle_s:
        return None
    return f"late cycle: {m.period_s:.3f} s since the last one, limit {limits.late_cycle_s:.3f} s"


def stale_input(m: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    """Age comes before values: everything else is worth nothing when it is old."""
    wanted = [("state", m.state_age_s if m.state is not None else None, limits.state_timeout_s)]
    if needs.grid is not None:
        wanted.append(("grid", m.grid_age_s if m.grid is not None else None, limits.grid_timeout_s))
    if needs.odometry:
        wanted.append(("odometry", m.odometry_age_s if m.odometry is not None else None, limits.odometry_timeout_s))
    if needs.depth is not None:
        wanted.append(("depth", m.depth_age_s, limits.depth_timeout_s))
    for name, age_s, limit_s in wanted:
        if name == "depth" and m.depth_problem and (age_s is None or not age_s <= limit_s):
            return f"depth: {m.depth_problem}"
        if age_s is None:
            return f"stale {name}: none received"
        if not age_s <= limit_s:  # also true for NaN
            if name == "state" and m.bad_states and not m.good_states:
                return f"crc: no state with a right checksum and form for {age_s:.3f} s"
            return f"stale {name}: {age_s:.3f} s old, limit {limit_s:.3f} s"
    return None


def stale_scan(m: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    """The grid itself may keep coming from memory after the LiDAR has failed."""
    if needs.grid is None or m.grid is None or m.grid.scan_age_s is None or m.grid.scan_age_s <= limits.scan_timeout_s:
        return None
    return f"stale scan: the height grid's newest is {m.grid.scan_age_s:.1f} s old, limit {limits.scan_timeout_s:.1f} s"


def wrong_robot(m: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    assert m.state is not None
    if m.state.mode_machine not in limits.mode_machines:
        known = ", ".join(map(str, limits.mode_machines))
        return f"mode_machine: the robot says {m.state.mode_machine}, this policy drives {known}"
    if m.state.mode_pr != 0:
        return f"mode_pr: the robot says {m.state.mode_pr}, expected 0 (ankles and waist by pitch and roll)"
    return None


def not_a_number(m: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    assert m.state is not None
    joints = (("position", m.state.joint_pos), ("velocity", m.state.joint_vel), ("torque", m.state.torque))
    for name, values in joints:
        if not _finite(values):
            return f"nan: joint {name} {g1.MOTOR_NAMES[int(np.argmax(~np.isfinite(values)))]} is not a number"
    if not _finite(m.state.quat_wxyz):
        return "nan: orientation is not a number"
    if not _finite(m.state.ang_vel_body):
        return "nan: angular velocity is not a number"
    return None


def _finite(values: np.ndarray) -> bool:
    """Whether all are numbers; a third of the time of looking at each. What float32 holds has squares in a double."""
    return math.isfinite(values @ values)


def orientation(m: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    assert m.state is not None
    length = float(np.linalg.norm(m.state.quat_wxyz))
    if abs(length - 1.0) > 0.05:
        return f"orientation: quaternion of length {length:.3f}, expected 1"
    tilt = tilt_rad(m.state.quat_wxyz)
    if tilt > limits.max_tilt_rad:
        return f"tilt: {tilt:.2f} rad, limit {limits.max_tilt_rad:.2f} rad"
    rate = float(np.linalg.norm(m.state.ang_vel_body))
    if rate > limits.max_turn_rate:
        return f"turn rate: {rate:.1f} rad/s, limit {limits.max_turn_rate:.1f} rad/s"
    return None


def joint_range(m: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    assert m.state is not None
    position = m.state.joint_pos
    beyond = np.maximum(g1.JOINT_LOWER - position, position - g1.JOINT_UPPER)
    worst = int(np.argmax(beyond))
    if beyond[worst] > limits.joint_margin_rad:
        return f"joint limit: {g1.MOTOR_NAMES[worst]} at {position[worst]:.2f} rad"
    return None


def joint_velocity(m: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    assert m.state is not None
    excess = np.abs(m.state.joint_vel) / (limits.velocity_factor * g1.VELOCITY_LIMIT)
    worst = int(np.argmax(excess))
    if excess[worst] > 1.0:
        return f"joint velocity: {g1.MOTOR_NAMES[worst]} at {m.state.joint_vel[worst]:.1f} rad/s"
    return None


def joint_torque(m: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    assert m.state is not None
    excess = np.abs(m.state.torque) / (limits.torque_factor * g1.TORQUE_LIMIT)
    worst = int(np.argmax(excess))
    if excess[worst] > 1.0:
        return f"joint torque: {g1.MOTOR_NAMES[worst]} at {m.state.torque[worst]:.0f} Nm"
    return None


def temperature(m: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    assert m.state is not None
    worst = int(np.argmax(m.state.temperature_c))
    hottest = float(m.state.temperature_c[worst])
    if hottest <= limits.max_temperature_c:
        return None
    return f"temperature: {g1.MOTOR_NAMES[worst]} at {hottest:.0f} °C, limit {limits.max_temperature_c:.0f} °C"


def motor_fault(m: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    assert m.state is not None
    faults = m.state.faults & np.uint32(~limits.ignored_motor_faults & 0xFFFFFFFF)
    if not faults.any():
        return None
    worst = int(np.argmax(faults != 0))
    bits = int(faults[worst])
    names = [name for bit, name in enumerate(MOTOR_FAULTS) if bits >> bit & 1] or ["unknown"]
    return f"motor fault: {g1.MOTOR_NAMES[worst]} reports {bits:#x} ({', '.join(names)})"


def battery(m: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    assert m.state is not None
    reported = m.state.voltage_v[np.isfinite(m.state.voltage_v) & (m.state.voltage_v > 0.0)]
    if not reported.size or reported.mean() >= limits.min_voltage_v:
        return None
    return f"battery: {reported.mean():.1f} V at the motors, limit {limits.min_voltage_v:.1f} V"


def grid_form(m: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    """The grid must be the one that the policy was trained on, with heights that a torso can stand over."""
    if needs.grid is None or m.grid is None:
        return None
    spec, wanted, heights = m.grid.spec, needs.grid, m.grid.terrain_height
    if _geometry(spec) != _geometry(wanted):
        return f"grid: {_geometry(spec)}, the policy expects {_geometry(wanted)}"
    if len(heights) != wanted.num_cells:
        return f"grid: {len(heights)} heights for {wanted.num_cells} cells"
    if not np.isfinite(m.grid.torso_height):
        return "grid: the torso's height is not a number"
    known = heights[~np.isnan(heights)]
    if known.size and not np.abs(m.grid.torso_height - known).max() <= limits.grid_height_m:
        return f"grid: a cell lies {np.abs(m.grid.torso_height - known).max():.1f} m off the torso"
    return None


def _geometry(spec: HeightGridSpec) -> str:
    """Names a grid's geometry, to what a message's float32 keeps of it."""
    ahead = f", {spec.center_x:.3f} m ahead" if abs(spec.center_x) > 5e-4 else ""
    means = f", means of {spec.samples_per_side}×{spec.samples_per_side} points" if spec.samples_per_side > 1 else ""
    leans = ", leaning" if spec.full_attitude else ""
    return f"{spec.size_x}×{spec.size_y} at {spec.resolution:.4g} m{ahead}{means}{leans}"


def grid_unknown(m: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    if needs.grid is None or m.grid is None or not np.isnan(m.grid.terrain_height).all():
        return None
    return "grid: no cell is known"


def frozen_depth(m: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    """The noise of a depth camera alone makes each picture different."""
    if needs.depth is None or m.depth_same_s < limits.depth_frozen_s:
        return None
    return f"frozen depth: the same picture for {m.depth_same_s:.2f} s"


def depth_below_floor(m: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    if needs.depth is None or m.depth_below <= limits.depth_below_share:
        return None
    return (
        f"depth: {m.depth_below:.0%} of the picture lies below the floor; the camera is upside down or has turned in "
        f"its mount"
    )


def lost_command(m: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    if limits.command_lost_s <= 0.0 or m.command_age_s is None or m.command_age_s <= limits.command_lost_s:
        return None
    return f"lost command: none for {m.command_age_s:.1f} s, limit {limits.command_lost_s:.1f} s"
