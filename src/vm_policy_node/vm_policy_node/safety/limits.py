"""Every threshold of the safety core with unit, range and purpose; ROS parameters are made from this."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

BENIGN_MOTOR_FAULTS = 0xA0000
"""Bits of a motor's state that say something about its set-up, not about its health: calibration mode, old driver."""


def _limit(default: float, low: float, high: float, text: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "text": text})


@dataclass(frozen=True)
class SafetyLimits:
    """What trips, and what a start asks for; `describe` gives the text and the range of each.

    Attributes:
        mode_machines: robot types (LowState.mode_machine) whose motors are the 29 of this project; 5 is the G1 with
            29 motors.
        ignored_motor_faults: bits of a motor's state that trip nothing.
    """

    state_timeout_s: float = _limit(0.1, 0.01, 1.0, "oldest robot state that a command may be computed from [s]")
    state_lag_s: float = _limit(0.5, 0.05, 5.0, "how far the robot's clock may fall behind ours within a second [s]")
    crc_share: float = _limit(0.2, 0.0, 1.0, "share of states with a wrong checksum within a second")
    frozen_s: float = _limit(0.2, 0.05, 2.0, "time for which a sensor may repeat itself while another moves [s]")
    grid_timeout_s: float = _limit(0.5, 0.02, 5.0, "oldest height grid, where the policy reads one [s]")
    scan_timeout_s: float = _limit(1.0, 0.1, 10.0, "oldest scan that a height grid's newest cells may come from [s]")
    grid_unknown_s: float = _limit(0.5, 0.02, 10.0, "time for which a height grid may have no known cell [s]")
    grid_height_m: float = _limit(3.0, 0.5, 10.0, "largest distance between torso and a cell of the height grid [m]")
    depth_timeout_s: float = _limit(0.2, 0.05, 5.0, "oldest depth picture, where the policy sees [s]")
    depth_frozen_s: float = _limit(0.5, 0.1, 5.0, "time for which a depth picture may repeat itself [s]")
    depth_below_share: float = _limit(0.1, 0.02, 1.0, "share of a depth picture that may lie below the floor")
    depth_below_s: float = _limit(1.0, 0.1, 10.0, "time for which more of it may lie there [s]")
    odometry_timeout_s: float = _limit(0.2, 0.02, 5.0, "oldest odometry, where the policy needs it [s]")
    odometry_jump_m: float = _limit(0.3, 0.05, 5.0, "step of the odometry beyond what 5 m/s explain [m]")
    late_cycle_s: float = _limit(0.1, 0.03, 1.0, "longest time between two control cycles [s]")
    late_share: float = _limit(0.5, 0.01, 1.0, "share of cycles within a second that may take over 1.5 periods")
    max_tilt_rad: float = _limit(1.0, 0.1, 1.6, "largest angle between the pelvis' z axis and up [rad]")
    max_turn_rate: float = _limit(12.0, 1.0, 30.0, "largest angular velocity of the pelvis [rad/s]")
    joint_margin_rad: float = _limit(0.1, 0.0, 0.5, "how far a joint may lie beyond its range [rad]")
    joint_jump_rad: float = _limit(0.3, 0.05, 2.0, "step of a joint between two states beyond what its speed explains")
    velocity_factor: float = _limit(1.2, 0.1, 2.0, "measured joint speed as a multiple of the motor's limit")
    torque_factor: float = _limit(1.2, 0.1, 3.0, "measured torque as a multiple of the motor's limit")
    torque_hold_s: float = _limit(0.1, 0.0, 2.0, "time for which the torque may be beyond that [s]")
    max_temperature_c: float = _limit(95.0, 40.0, 130.0, "hottest motor, casing or winding [°C]")
    min_voltage_v: float = _limit(40.0, 20.0, 55.0, "lowest supply voltage at the motors; 0 V counts as unreported")
    battery_hold_s: float = _limit(2.0, 0.0, 10.0, "time for which the voltage may sag below that [s]")
    min_start_charge: float = _limit(10.0, 0.0, 100.0, "battery's charge below which no start is allowed [%]")
    command_lost_s: float = _limit(0.0, 0.0, 60.0, "time without any root command that damps; 0: it stands still")
    start_still_s: float = _limit(0.2, 0.0, 5.0, "time for which the robot must have been still before a start [s]")
    start_joint_speed: float = _limit(1.0, 0.05, 5.0, "fastest joint that counts as still [rad/s]")
    start_turn_rate: float = _limit(0.5, 0.05, 5.0, "fastest turn of the pelvis that counts as still [rad/s]")
    start_tilt_rad: float = _limit(0.4, 0.05, 1.6, "largest tilt that counts as upright [rad]")
    start_distance_rad: float = _limit(1.8, 0.1, 4.0, "largest distance of a joint from the start pose [rad]")
    mode_machines: tuple[int, ...] = (5,)
    ignored_motor_faults: int = BENIGN_MOTOR_FAULTS

    def __post_init__(self) -> None:
        for name, (low, high, _) in self.describe().items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise ValueError(f"{name} must lie in [{low:g}, {high:g}], got {value}")
        if not self.mode_machines or not all(0 <= mode <= 255 for mode in self.mode_machines):
            raise ValueError(f"mode_machines must be numbers of 0 to 255, got {self.mode_machines}")

    @staticmethod
    def describe() -> dict[str, tuple[float, float, str]]:
        """Lowest value, highest value and meaning of each threshold by its name."""
        described = (f for f in fields(SafetyLimits) if f.metadata)
        return {f.name: (f.metadata["low"], f.metadata["high"], f.metadata["text"]) for f in described}
