"""What must hold beside the absence of trips before the robot may stand up."""

from __future__ import annotations

import numpy as np

from vm_core import g1
from vm_policy_node.inputs import RobotState
from vm_policy_node.safety.limits import SafetyLimits
from vm_policy_node.safety.measurement import tilt_rad


def start_refusal(
    state: RobotState,
    pose: np.ndarray,
    still_s: float,
    limits: SafetyLimits,
    *,
    charge_percent: float | None = None,
) -> str | None:
    """Why a start is refused, in words, or None.

    Args:
        state: the newest state; nothing trips on it.
        pose: start pose (29,) [rad] in motor order.
        still_s: for how long the robot has been still; negative in motion.
        limits: thresholds.
        charge_percent: of the battery, if something tells it.
    """
    if still_s < limits.start_still_s:
        speed, turn = float(np.abs(state.joint_vel).max()), float(np.linalg.norm(state.ang_vel_body))
        return f"not still: joints up to {speed:.2f} rad/s, pelvis {turn:.2f} rad/s; wait {limits.start_still_s:.1f} s"
    tilt = tilt_rad(state.quat_wxyz)
    if tilt > limits.start_tilt_rad:
        return f"not upright: tilt {tilt:.2f} rad, limit {limits.start_tilt_rad:.2f} rad"
    distance = np.abs(state.joint_pos - pose)
    worst = int(np.argmax(distance))
    if distance[worst] > limits.start_distance_rad:
        return f"unknown pose: {g1.MOTOR_NAMES[worst]} is {distance[worst]:.2f} rad from the start pose"
    if charge_percent is not None and charge_percent < limits.min_start_charge:
        return f"battery: {charge_percent:.0f} % left, a start needs {limits.min_start_charge:.0f} %"
    return None
