"""The newest of everything that the controller is told, with its age and in one world."""

from __future__ import annotations

from typing import Any

import numpy as np

from vm_core import frames
from vm_core.depth_image import DepthSpec
from vm_policy_node.inputs import Grid, Latest, Odometry, RobotState, StateInbox
from vm_policy_node.visual.depth_input import DepthInput
from vm_policy_node.visual.floor_view import FloorCheck, FloorView


class Sensing:
    """Robot states, odometry and height grids.

    Attributes:
        state: newest good robot state that `take` has seen, or None.
        inbox: the messages that wait.
        grid, odometry: the newest with their times.
        depth: the depth camera, where a policy sees.
        floor: what its newest picture shows, or None.
        looked: the last `look` has seen a new picture.
    """

    def __init__(self, depth: DepthSpec | None = None) -> None:
        self.inbox = StateInbox()
        self.grid: Latest[Grid] = Latest()
        self.odometry: Latest[Odometry] = Latest()
        self.depth = None if depth is None else DepthInput(depth)
        self.floor: FloorView | None = None
        self.looked = False
        self._floor_check = None if depth is None else FloorCheck(depth)
        self._looked_s: float | None = None
        self._yaw_correction = np.array([1.0, 0.0, 0.0, 0.0])

    @property
    def state(self) -> RobotState | None:
        return self.inbox.state

    def take(self) -> bool:
        """Decodes the messages that wait; whether there is a new state."""
        return self.inbox.take() is not None

    def look(self) -> None:
        """Compares a new picture with the floor, once there is a state."""
        self.looked = False
        if self.depth is None or self.depth.picture is None or self._floor_check is None or self.state is None:
            return
        if self.depth.time_s == self._looked_s or not np.isfinite(self.state.joint_pos).all():
            return
        self._looked_s, self.looked = self.depth.time_s, True
        self.floor = self._floor_check.look(self.depth.picture.depth, self.state.joint_pos, self.state.quat_wxyz)

    def on_odometry(self, pos: np.ndarray, quat_wxyz: np.ndarray, lin_vel_world: np.ndarray, now_s: float) -> None:
        """Pelvis pose and velocity in the world. Its heading corrects the IMU's, whose zero is arbitrary."""
        norm = float(quat_wxyz @ quat_wxyz)
        if not (np.isfinite(pos).all() and np.isfinite(lin_vel_world).all() and 0.9 < norm < 1.1):
            return  # goes stale by itself
        self.odometry = Latest(Odometry(pos, lin_vel_world), now_s)
        # the newest state, not the one of the last step: a turning robot's heading would lag by up to a period
        own = self.inbox.newest_quat()
        if own is not None:
            heading = frames.quat_conjugate(frames.heading_quat(own))
            self._yaw_correction = frames.quat_multiply(frames.heading_quat(quat_wxyz), heading)

    def root_quat(self) -> np.ndarray:
        """Pelvis orientation (4,) wxyz in the odometry's world."""
        assert self.state is not None
        return frames.quat_multiply(self._yaw_correction, self.state.quat_wxyz)

    def measured(self, now_s: float) -> dict[str, Any]:
        """What the checks look at, by the names of `Measurement`."""
        measured = {
            "state": self.state,
            "state_age_s": self.inbox.age_s(now_s),
            "grid": self.grid.value,
            "grid_age_s": self.grid.age_s(now_s),
            "odometry": self.odometry.value,
            "odometry_age_s": self.odometry.age_s(now_s),
            "bad_states": self.inbox.bad,
            "good_states": self.inbox.good,
        }
        if self.depth is None:
            return measured
        return measured | {
            "depth_age_s": self.depth.age_s(now_s),
            "depth_same_s": self.depth.same_s,
            "depth_problem": self.depth.problem,
            "depth_below": 0.0 if self.floor is None else self.floor.below,
        }

    def age_ms(self, what: str, now_s: float) -> float:
        """Age of the newest state, grid, odometry or depth [ms]; NaN if there was none."""
        latest = {"state": self.inbox, "grid": self.grid, "odometry": self.odometry, "depth": self.depth}[what]
        age = None if latest is None else latest.age_s(now_s)
        return float("nan") if age is None else 1000.0 * age
