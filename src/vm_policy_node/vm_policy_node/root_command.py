"""The velocity that the operator wants: remote sticks before cmd_vel, each with a timeout, decaying to zero."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class CommandConfig:
    """How commands become a velocity.

    Attributes:
        deadzone: stick deflection (of 1) below which a stick is at rest.
        remote_hold_s: how long the remote keeps priority after a stick was last off centre.
        timeout_s: age after which the last command counts as gone.
        decay_s: time constant with which the velocity goes to a new wish or to zero.
    """

    deadzone: float = 0.05
    remote_hold_s: float = 0.5
    timeout_s: float = 0.5
    decay_s: float = 0.2

    def __post_init__(self) -> None:
        if not 0.0 <= self.deadzone < 1.0:
            raise ValueError(f"deadzone must lie in [0, 1), got {self.deadzone}")
        if min(self.remote_hold_s, self.timeout_s, self.decay_s) <= 0.0:
            raise ValueError("remote_hold_s, timeout_s and decay_s must be positive")


def with_deadzone(value: float, deadzone: float) -> float:
    """Stick value in [-1, 1] with a dead centre, continuous at its edge."""
    if not math.isfinite(value) or abs(value) <= deadzone:
        return 0.0
    return math.copysign((min(abs(value), 1.0) - deadzone) / (1.0 - deadzone), value)


def scale_to_range(value: float, low: float, high: float) -> float:
    """Stick value in [-1, 1] to a velocity: full forward is `high`, full back is `low`."""
    return value * high if value >= 0.0 else -value * low


@dataclass
class RootCommandMixer:
    """Chooses between the remote and cmd_vel, limits, times out and smooths.

    Args:
        lower, upper: (3,) limits of vx, vy [m/s], yaw rate [rad/s] that the policy was trained for.
    """

    lower: np.ndarray
    upper: np.ndarray
    config: CommandConfig = field(default_factory=CommandConfig)
    value: np.ndarray = field(default_factory=lambda: np.zeros(3))
    source: str = "none"
    _remote: np.ndarray = field(default_factory=lambda: np.zeros(3))
    _remote_moved_s: float = -math.inf
    _cmd_vel: np.ndarray = field(default_factory=lambda: np.zeros(3))
    _cmd_vel_s: float = -math.inf

    def on_remote(self, left_x: float, left_y: float, right_x: float, now_s: float) -> None:
        """Sticks of the remote, each in [-1, 1], right and up positive; left moves, right turns."""
        sticks = [with_deadzone(v, self.config.deadzone) for v in (left_y, -left_x, -right_x)]
        self._remote = np.array(
            [scale_to_range(v, lo, hi) for v, lo, hi in zip(sticks, self.lower, self.upper, strict=True)]
        )
        if any(sticks):
            self._remote_moved_s = now_s

    def on_cmd_vel(self, vx: float, vy: float, yaw_rate: float, now_s: float) -> None:
        """A Twist's x, y and z. Numbers that are not finite are dropped, so the last good one times out."""
        wish = np.array([vx, vy, yaw_rate])
        if np.all(np.isfinite(wish)):
            self._cmd_vel, self._cmd_vel_s = wish, now_s

    def update(self, now_s: float, dt_s: float) -> np.ndarray:
        """The command (3,) for this period: vx, vy [m/s], yaw rate [rad/s] in the heading frame."""
        wish, self.source = self._wish(now_s)
        share = 1.0 - math.exp(-dt_s / self.config.decay_s)
        self.value = self.value + share * (np.clip(wish, self.lower, self.upper) - self.value)
        return self.value

    def _wish(self, now_s: float) -> tuple[np.ndarray, str]:
        if now_s - self._remote_moved_s <= self.config.remote_hold_s:
            return self._remote, "remote"
        if now_s - self._cmd_vel_s <= self.config.timeout_s:
            return self._cmd_vel, "cmd_vel"
        return np.zeros(3), "none"
