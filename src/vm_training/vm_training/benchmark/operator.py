"""Who steers in the benchmark: looks at the robots from outside and moves a stick, as a person would."""

from __future__ import annotations

import numpy as np

from vm_core.frames import wrap_angle
from vm_training.benchmark.courses import Episode

SETTLE_S = 1.0
"""Standing before the first command."""
HOLD_S = 1.5
"""Standing after the goal."""
SIT_S, BACK_M_S = 3.0, 0.15
"""Sitting before getting up, and how it is told to sit as long as it shall."""
UP_S, BORNE = 3.0, 0.05
"""Off the seat for so long before it walks; the share of its weight below which the seat bears it no longer."""
_YAW_GAIN, _SIDE_GAIN, _MOST_CORRECTION_RAD = 1.0, 0.6, 0.35
_RAMP_S = 0.3


class Operator:
    """Commands for N robots, each on its own episode's straight way.

    Attributes:
        arrived: (N,) bool: robots that have been at their goal.
    """

    def __init__(self, episodes: list[Episode], limits: np.ndarray) -> None:
        """Takes the episodes and the policy's command limits (3, 2)."""
        self._speed = np.array([episode.speed for episode in episodes])
        self._goal = np.array([episode.goal_m for episode in episodes])
        self._heading = np.array([episode.heading for episode in episodes])
        self._seat = np.array([episode.seat_m for episode in episodes])
        self._limits = limits
        self.arrived = np.zeros(len(episodes), dtype=bool)
        self._seated_s, self._off_seat_s = np.zeros(len(episodes)), np.zeros(len(episodes))

    def along(self, position_xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Progress along the way and offset to its left, each (N,) [m]."""
        c, s = np.cos(self._heading), np.sin(self._heading)
        x, y = position_xy.T
        return c * x + s * y, -s * x + c * y

    def watch(self, sits: np.ndarray, share: np.ndarray, period_s: float) -> None:
        """Counts how long robots have sat, and how long they have been off their seat again.

        Args:
            sits: (N,) bool.
            share: (N,) of their weight that the seat bears.
            period_s: since the last look.
        """
        self._seated_s += sits * period_s
        self._off_seat_s += (self._seat > 0.0) * self.sat * (share < BORNE) * period_s

    def command(self, time_s: float, position: np.ndarray, yaw: np.ndarray) -> np.ndarray:
        """(N, 3) vx, vy [m/s], yaw rate [rad/s] for pelvis positions (N, 3) and headings (N,)."""
        forward, aside = self.along(position[:, :2])
        waiting = (self._seat > 0.0) & (self._seated_s < SIT_S)
        self.arrived |= (forward >= self._goal) & (self._goal > 0.0) & ~waiting
        going = (self._goal > 0.0) & ~self.arrived & (time_s >= SETTLE_S)
        back = going & waiting
        rising = (self._seat > 0.0) & ~waiting & (self._off_seat_s < UP_S)
        ramp = min(max((time_s - SETTLE_S) / _RAMP_S, 0.0), 1.0)
        wanted = np.clip(-_SIDE_GAIN * aside, -_MOST_CORRECTION_RAD, _MOST_CORRECTION_RAD)
        turn = _YAW_GAIN * wrap_angle(self._heading + wanted - yaw)
        speed = np.where(back, -BACK_M_S, ~rising * self._speed)
        found = np.column_stack([going * ramp * speed, np.zeros(len(yaw)), (going & ~back & ~rising) * ramp * turn])
        return np.clip(found, self._limits[:, 0], self._limits[:, 1])

    @property
    def sat(self) -> np.ndarray:
        """(N,) bool: robots that have sat long enough, or that had no seat."""
        return (self._seat == 0.0) | (self._seated_s >= SIT_S)
