"""Where the body was over the last scans, and the world levelled by what is learnt of up."""

from __future__ import annotations

from collections import deque

import numpy as np

from vm_core import frames
from vm_heightmap.inertial_filter import InertialFilter, exp_so3
from vm_heightmap.pose_buffer import Pose

KNOTS = 21
CAPACITY = 400


class Trajectory:
    """The body's poses (time, turn (3, 3), position (3,)) in the plane map's world, one an inertial sample."""

    def __init__(self) -> None:
        self.entries: deque[tuple[float, np.ndarray, np.ndarray]] = deque(maxlen=CAPACITY)

    @property
    def start_s(self) -> float:
        """Time of the oldest pose."""
        return self.entries[0][0]

    def add(self, time_s: float, state: InertialFilter) -> None:
        """Appends the filter's pose."""
        self.entries.append((time_s, state.turn.copy(), state.position.copy()))

    def at_knots(self, start_s: float, end_s: float) -> tuple[np.ndarray, np.ndarray, float]:
        """Turns (K, 3, 3) and positions (K, 3) at equal steps over a scan, and the step [s]."""
        times = np.linspace(start_s, max(end_s, start_s + 1e-3), KNOTS)
        recent = [entry for entry in self.entries if entry[0] >= start_s - 0.02]
        stamps = np.array([entry[0] for entry in recent])
        positions, turns = np.array([entry[2] for entry in recent]), np.array([entry[1] for entry in recent])
        after = np.clip(np.searchsorted(stamps, times), 1, len(stamps) - 1)
        share = np.clip((times - stamps[after - 1]) / (stamps[after] - stamps[after - 1]), 0.0, 1.0)[:, None]
        position = positions[after - 1] + share * (positions[after] - positions[after - 1])
        # samples are 5 ms apart: the mean of two rotation matrices is a rotation to within 1e-5
        turn = turns[after - 1] + share[..., None] * (turns[after] - turns[after - 1])
        return turn, position, float(times[1] - times[0])

    def move(self, turn: np.ndarray, center: np.ndarray, move: np.ndarray, start_s: float) -> None:
        """Applies a match's correction about `center` to the poses since start_s."""
        moved = [
            (t, turn @ r, turn @ (p - center) + center + move) if t >= start_s else (t, r, p)
            for t, r, p in self.entries
        ]
        self.entries = deque(moved, maxlen=CAPACITY)


class LeveledWorld:
    """Turns the plane map's world about the robot until what is known by now to be up points up.

    Attributes:
        turn: (3, 3) from the plane map's world to the levelled one.
        releveled: (3,) small turn about `pivot` (3,) that the last call brought; maps must follow it.
    """

    def __init__(self, imu_pos: np.ndarray) -> None:
        self._imu_pos = imu_pos
        self.turn, self._move = np.eye(3), np.zeros(3)
        self.releveled, self.pivot = np.zeros(3), np.zeros(3)

    def update(self, up: np.ndarray, position: np.ndarray) -> None:
        """Lays z along `up` (3,) by a turn about the robot's position (3,), both in the plane map's world."""
        here = self.turn @ position + self._move
        up = self.turn @ (up / np.linalg.norm(up))
        self.releveled = np.array([up[1], -up[0], 0.0])  # small turn that brings `up` to z
        self.turn = exp_so3(self.releveled) @ self.turn
        self._move = here - self.turn @ position
        self.pivot = here

    def torso(self, time_s: float, turn: np.ndarray, position: np.ndarray) -> Pose:
        """The torso's pose, from the body's in the plane map's world."""
        pos = self.turn @ (position - turn @ self._imu_pos) + self._move
        return Pose(time_s, pos, frames.quat_from_matrix(self.turn @ turn))
