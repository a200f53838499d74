"""From a stick's deflection to a velocity."""

from __future__ import annotations

import math

import numpy as np


def with_deadzone(value: float, deadzone: float) -> float:
    """Stick value in [-1, 1] with a dead centre, continuous at its edge."""
    if not math.isfinite(value) or abs(value) <= deadzone:
        return 0.0
    return math.copysign((min(abs(value), 1.0) - deadzone) / (1.0 - deadzone), value)


def scale_to_range(value: float, low: float, high: float) -> float:
    """Stick value in [-1, 1] to a velocity: full forward is `high`, full back is `low`."""
    return value * high if value >= 0.0 else -value * low


def stick_velocity(
    sticks: tuple[float, float, float], deadzone: float, lower: np.ndarray, upper: np.ndarray
) -> tuple[np.ndarray, bool]:
    """Velocity (3,) [m/s, m/s, rad/s] of the remote's sticks, and whether any is off centre.

    Args:
        sticks: left x, left y, right x, each in [-1, 1], right and up positive; left moves, right turns.
        deadzone: of each.
        lower, upper: (3,) what full deflection means.
    """
    left_x, left_y, right_x = sticks
    values = [with_deadzone(value, deadzone) for value in (left_y, -left_x, -right_x)]
    velocity = [scale_to_range(v, low, high) for v, low, high in zip(values, lower, upper, strict=True)]
    return np.array(velocity, dtype=float), any(values)
