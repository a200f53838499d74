"""All checks in the order in which their causes count, with the time for which some must last."""

from __future__ import annotations

from collections.abc import Callable

from vm_policy_node.safety import checks
from vm_policy_node.safety.detectors import (
    BadChecksums,
    ClockLag,
    Frozen,
    Jumps,
    LateCycles,
    MotorOff,
    Restart,
    Still,
)
from vm_policy_node.safety.limits import SafetyLimits
from vm_policy_node.safety.measurement import Measurement, Needs

Finder = Callable[[Measurement, SafetyLimits, Needs], "str | None"]

CHECKS: tuple[tuple[Finder, str], ...] = (
    (checks.emergency_stop, ""),
    (checks.transport, ""),
    (checks.other_publisher, ""),
    (checks.late_cycle, ""),
    (checks.stale_input, ""),
    (checks.stale_scan, ""),
    (checks.wrong_robot, ""),
    (checks.not_a_number, ""),
    (checks.orientation, ""),
    (checks.joint_range, ""),
    (checks.joint_velocity, ""),
    (checks.joint_torque, "torque_hold_s"),
    (checks.temperature, ""),
    (checks.motor_fault, ""),
    (checks.battery, "battery_hold_s"),
    (checks.grid_form, ""),
    (checks.grid_unknown, "grid_unknown_s"),
    (checks.frozen_depth, ""),
    (checks.depth_below_floor, "depth_below_s"),
    (checks.lost_command, ""),
)
"""Each with the name of the limit that says for how long it must last; those on a state's values after its age."""


class SafetyMonitor:
    """Feed it one measurement a control cycle.

    Attributes:
        limits: the thresholds; may be exchanged between cycles.
        trip: why the robot must not move, in words, or None.
        complaint: the same without waiting for conditions that must last; a start is refused for it.
        still_s: for how long the robot has been still; negative in motion.
    """

    def __init__(self, limits: SafetyLimits) -> None:
        self.limits = limits
        self.trip: str | None = "stale state: none received"
        self.complaint: str | None = self.trip
        self.still_s = -1.0
        self._still = Still()
        self._since: dict[Finder, float] = {}
        self._motor_off = MotorOff()
        self._detectors = (BadChecksums(), Restart(), ClockLag(), LateCycles(), Frozen(), Jumps())

    def forget_motors(self) -> None:
        """Call while idle: motors may be switched off then."""
        self._motor_off = MotorOff()

    def update(self, m: Measurement, needs: Needs, now_s: float) -> str | None:
        """Runs every check and detector; returns `trip`."""
        self.still_s = self._still.update(m.state, self.limits, now_s)
        over_time = [d.find(m, self.limits, needs, now_s) for d in (*self._detectors, self._motor_off)]
        self.complaint = None
        self.trip = self._check(m, needs, now_s) or next((cause for cause in over_time if cause), None)
        self.complaint = self.trip or self.complaint
        return self.trip

    def _check(self, m: Measurement, needs: Needs, now_s: float) -> str | None:
        for find, hold in CHECKS:
            cause = find(m, self.limits, needs)
            if cause is None:
                self._since.pop(find, None)
                continue
            began_s = self._since.setdefault(find, now_s)
            if not hold or now_s - began_s >= getattr(self.limits, hold):
                return cause
            self.complaint = self.complaint or cause
        return None
