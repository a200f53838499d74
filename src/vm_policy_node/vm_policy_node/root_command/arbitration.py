"""Who steers: the remote's sticks before cmd_vel before a path, each with a timeout; with none of them, stand still."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from vm_core.frames import yaw_from_quat
from vm_policy_node.root_command.config import CommandConfig
from vm_policy_node.root_command.path_follower import PathFollower
from vm_policy_node.root_command.sticks import stick_velocity


@dataclass
class RootCommandMixer:
    """Chooses who steers, limits, times out and smooths.

    A cmd_vel of zero is a wish to stand still and keeps a path waiting; only its silence gives the path way.

    Attributes:
        lower, upper: (3,) limits of vx, vy [m/s], yaw rate [rad/s] that the policy was trained for.
        value: (3,) the command of this period.
        source: who steers: remote, cmd_vel, path or none.
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
    _pose: tuple[np.ndarray, float] = field(default_factory=lambda: (np.zeros(2), 0.0))
    _pose_s: float = -math.inf

    def __post_init__(self) -> None:
        self.path = PathFollower(self.config)

    def on_remote(self, left_x: float, left_y: float, right_x: float, now_s: float) -> None:
        """Sticks of the remote, each in [-1, 1], right and up positive; left moves, right turns."""
        sticks = (left_x, left_y, right_x)
        self._remote, moved = stick_velocity(sticks, self.config.deadzone, self.lower, self.upper)
        if moved:
            self._remote_moved_s = now_s

    def on_cmd_vel(self, vx: float, vy: float, yaw_rate: float, now_s: float) -> None:
        """A Twist's x, y and z. Numbers that are not finite are dropped, so the last good one times out."""
        wish = np.array([vx, vy, yaw_rate])
        if np.all(np.isfinite(wish)):
            self._cmd_vel, self._cmd_vel_s = wish, now_s

    def on_path(self, points: np.ndarray, final_yaw: float | None = None) -> str:
        """A path (N, 2) [m] in the odometry's frame; an empty one ends following. Returns why it is not followed."""
        return self.path.set_path(points, final_yaw)

    def on_pose(self, pos: np.ndarray, quat_wxyz: np.ndarray, now_s: float) -> None:
        """The pelvis in the odometry's frame: (3,) [m], (4,). What is no pose is dropped and goes stale."""
        if not (np.all(np.isfinite(pos)) and 0.9 < float(quat_wxyz @ quat_wxyz) < 1.1):
            return
        self._pose, self._pose_s = (np.asarray(pos, dtype=float)[:2], float(yaw_from_quat(quat_wxyz))), now_s

    def update(self, now_s: float, dt_s: float) -> np.ndarray:
        """The command (3,) for this period: vx, vy [m/s], yaw rate [rad/s] in the heading frame."""
        wish, self.source = self._wish(now_s)
        wish = wish.clip(self.lower, self.upper)
        change = (1.0 - math.exp(-dt_s / self.config.decay_s)) * (wish - self.value)
        self.value = self.value + self._slewed(change, dt_s)
        self.value = np.where((wish == 0.0) & (np.abs(self.value) < self.config.rest), 0.0, self.value)
        return self.value

    def _slewed(self, change: np.ndarray, dt_s: float) -> np.ndarray:
        """A change within what the legs can follow; slowing down may be quicker."""
        most = np.array([self.config.acceleration, self.config.acceleration, self.config.yaw_acceleration]) * dt_s
        most = np.where(self.value * change < 0.0, self.config.braking * most, most)
        return change.clip(-most, most)

    def _wish(self, now_s: float) -> tuple[np.ndarray, str]:
        if now_s - self._remote_moved_s <= self.config.remote_hold_s:
            return self._remote, "remote"
        if now_s - self._cmd_vel_s <= self.config.timeout_s:
            return self._cmd_vel, "cmd_vel"
        if self.path.active and now_s - self._pose_s <= self.config.pose_timeout_s:
            wish = self.path.wish(*self._pose)
            if wish is not None:
                return wish, "path"
        return np.zeros(3), "none"
