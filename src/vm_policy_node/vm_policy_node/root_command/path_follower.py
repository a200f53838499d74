"""Walks along a path: pure pursuit (Coulter 1992) of a point that lies a little ahead, in the odometry's frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from vm_core.frames import wrap_angle
from vm_policy_node.root_command.config import CommandConfig

_SEARCH_AHEAD_M = 1.0
"""How far along the path the nearest point may jump: where a path crosses itself, it is followed in its order."""
_TURN_GAIN_S = 1.5
_LEAST_STRETCH_M = 1e-6
_SLOWING = 0.5
"""Deceleration [m/s²] towards the end: the speed is what still stops there."""
_AWAY_RAD = 0.5 * math.pi


@dataclass
class PathFollower:
    """Follows one path from its start to its end, then wants nothing more."""

    config: CommandConfig = field(default_factory=CommandConfig)
    _points: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    _along_m: np.ndarray = field(default_factory=lambda: np.zeros(0))
    _final_yaw: float | None = None
    _reached_m: float = 0.0
    _arrived: bool = False

    @property
    def active(self) -> bool:
        """Whether there is some way left to go."""
        return len(self._points) > 0

    def clear(self) -> None:
        """No path."""
        self._points = np.zeros((0, 2))

    def set_path(self, points: np.ndarray, final_yaw: float | None = None) -> str:
        """Begins a path, or ends following with an empty one.

        Args:
            points: (N, 2) [m] in the odometry's frame.
            final_yaw: heading at the end [rad], or None for any.

        Returns:
            Why the path is not followed, or nothing.
        """
        self.clear()
        points = np.asarray(points, dtype=float).reshape(-1, 2)
        if not np.all(np.isfinite(points)) or (final_yaw is not None and not math.isfinite(final_yaw)):
            return "path with numbers that are none"
        if len(points) == 0:
            return ""
        stretch = np.linalg.norm(np.diff(points, axis=0), axis=1)
        kept = np.concatenate([[True], stretch > _LEAST_STRETCH_M])
        self._points = points[kept]
        self._along_m = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(self._points, axis=0), axis=1))])
        self._final_yaw, self._reached_m, self._arrived = final_yaw, 0.0, False
        return ""

    def wish(self, pos_xy: np.ndarray, yaw: float) -> np.ndarray | None:
        """Velocity (3,) [m/s, m/s, rad/s] in the heading frame, or None once the end is reached.

        Args:
            pos_xy: (2,) pelvis [m].
            yaw: its heading [rad].
        """
        if not self.active:
            return None
        self._reached_m = self._nearest(pos_xy)
        left_m = self._along_m[-1] - self._reached_m
        to_end_m = float(np.linalg.norm(self._points[-1] - pos_xy))
        at_end = left_m <= self.config.look_ahead_m and to_end_m <= self.config.goal_tolerance_m
        self._arrived = self._arrived or at_end
        if self._arrived:
            return self._turn_at_end(yaw)
        return self._pursue(pos_xy, yaw, max(left_m, to_end_m))

    def _nearest(self, pos_xy: np.ndarray) -> float:
        """How far along the path the nearest point lies, never backwards and never far ahead."""
        if len(self._points) == 1:
            return 0.0
        first = int(np.searchsorted(self._along_m, self._reached_m, side="right")) - 1
        first = min(max(first, 0), len(self._points) - 2)
        last = int(np.searchsorted(self._along_m, self._reached_m + _SEARCH_AHEAD_M, side="left"))
        starts = self._points[first : max(last, first + 1)]
        ends = self._points[first + 1 : first + 1 + len(starts)]
        starts = starts[: len(ends)]
        steps = ends - starts
        share = np.sum((pos_xy - starts) * steps, axis=1) / np.maximum(np.sum(steps**2, axis=1), 1e-12)
        share = np.clip(share, 0.0, 1.0)
        away = np.linalg.norm(starts + share[:, None] * steps - pos_xy, axis=1)
        best = int(np.argmin(away))
        found = self._along_m[first + best] + share[best] * float(np.linalg.norm(steps[best]))
        return max(self._reached_m, float(found))

    def _pursue(self, pos_xy: np.ndarray, yaw: float, left_m: float) -> np.ndarray:
        at = min(self._reached_m + self.config.look_ahead_m, float(self._along_m[-1]))
        target = np.array([np.interp(at, self._along_m, self._points[:, k]) for k in range(2)])
        offset = target - pos_xy
        angle = float(wrap_angle(np.array(math.atan2(offset[1], offset[0]) - yaw)))
        speed = min(self.config.path_speed, math.sqrt(2.0 * _SLOWING * left_m))
        if abs(angle) >= _AWAY_RAD:  # what lies behind is turned to, not walked backwards
            return np.array([0.0, 0.0, math.copysign(_TURN_GAIN_S * _AWAY_RAD, angle)])
        distance = max(float(np.linalg.norm(offset)), self.config.goal_tolerance_m)
        curvature = 2.0 * math.sin(angle) / distance
        forward = speed * math.cos(angle)
        turn = forward * curvature + (1.0 - math.cos(angle)) * math.copysign(_TURN_GAIN_S, angle)
        return np.array([forward, 0.0, turn])

    def _turn_at_end(self, yaw: float) -> np.ndarray | None:
        error = 0.0 if self._final_yaw is None else float(wrap_angle(np.array(self._final_yaw - yaw)))
        if abs(error) <= self.config.goal_tolerance_rad:
            self.clear()
            return None
        return np.array([0.0, 0.0, _TURN_GAIN_S * error])
