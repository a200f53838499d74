"""Numbers of the root command, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class CommandConfig:
    """How commands become a velocity.

    Attributes:
        deadzone: stick deflection (of 1) below which a stick is at rest.
        remote_hold_s: how long the remote keeps priority after a stick was last off centre.
        timeout_s: age after which the last cmd_vel counts as gone.
        pose_timeout_s: age after which the odometry is too old to follow a path with.
        decay_s: time constant with which the velocity goes to a new wish or to zero.
        acceleration: most change of vx and vy [m/s²] while speeding up.
        yaw_acceleration: most change of the yaw rate [rad/s²] while speeding up.
        braking: slowing down may be this many times quicker.
        rest: with no wish, what is left below this [m/s, rad/s] is exactly 0: stand still.
        path_speed: along a path [m/s].
        look_ahead_m: distance along the path to the point that is walked towards.
        goal_tolerance_m: distance to the path's end that counts as there.
        goal_tolerance_rad: angle to the heading at the path's end that counts as there.
    """

    deadzone: float = 0.05
    remote_hold_s: float = 0.5
    timeout_s: float = 0.5
    pose_timeout_s: float = 0.3
    decay_s: float = 0.2
    acceleration: float = 1.5
    yaw_acceleration: float = 3.0
    braking: float = 2.0
    rest: float = 0.01
    path_speed: float = 0.4
    look_ahead_m: float = 0.5
    goal_tolerance_m: float = 0.1
    goal_tolerance_rad: float = 0.15

    def __post_init__(self) -> None:
        if not 0.0 <= self.deadzone < 1.0:
            raise ValueError(f"deadzone must lie in [0, 1), got {self.deadzone}")
        for name, value in vars(self).items():
            if name != "deadzone" and not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"{name} must be a positive number, got {value}")
