"""Where the body was over the last scans, and the world levelled by what is learnt of up."""

from __future__ import annotations

import numpy as np

from vm_core import frames
from vm_heightmap.compiled_turns import exp_so3, quat_of
from vm_heightmap.inertial_filter import InertialFilter
from vm_heightmap.pose_buffer import Pose

KNOTS = 21
CAPACITY, KEPT = 800, 400
TIME, TURN, POSITION = 0, slice(1, 10), slice(10, 13)  # columns


class Trajectory:
    """The body's poses in the plane map's world, one an inertial sample."""

    def __init__(self) -> None:
        self._table, self._size = np.empty((CAPACITY, 13)), 0

    @property
    def start_s(self) -> float:
        """Time of the oldest pose."""
        return float(self._table[0, TIME])

    def add(self, time_s: float, state: InertialFilter) -> None:
        """Appends the filter's pose."""
        if self._size == CAPACITY:
            self._table[:KEPT], self._size = self._table[-KEPT:], KEPT
        row = self._table[self._size]
        row[TIME], row[TURN], row[POSITION] = time_s, state.turn.reshape(9), state.position
        self._size += 1

    def between(self, start_s: float, end_s: float = np.inf) -> np.ndarray:
        """Rows (N, 13) of time, turn (9) and position (3), a view."""
        times = self._table[: self._size, TIME]
        return self._table[np.searchsorted(times, start_s) : np.searchsorted(times, end_s, side="right")]

    def at_knots(self, start_s: float, end_s: float) -> tuple[np.ndarray, np.ndarray, float]:
        """Turns (K, 3, 3) and positions (K, 3) at equal steps over a scan, and the step [s]."""
        times = np.linspace(start_s, max(end_s, start_s + 1e-3), KNOTS)
        rows = self.between(start_s - 0.02)
        after = np.clip(np.searchsorted(rows[:, TIME], times), 1, len(rows) - 1)
        low, high = rows[after - 1], rows[after]
        share = np.clip((times - low[:, TIME]) / (high[:, TIME] - low[:, TIME]), 0.0, 1.0)[:, None]
        # samples are 5 ms apart: the mean of two rotation matrices is a rotation to within 1e-5
        mean = low + share * (high - low)
        return mean[:, TURN].reshape(-1, 3, 3), mean[:, POSITION], float(times[1] - times[0])

    def move(self, turn: np.ndarray, center: np.ndarray, move: np.ndarray, start_s: float) -> None:
        """Applies a match's correction about `center` to the poses since start_s."""
        rows = self.between(start_s)
        rows[:, TURN] = (turn @ rows[:, TURN].reshape(-1, 3, 3)).reshape(-1, 9)
        rows[:, POSITION] = (rows[:, POSITION] - center) @ turn.T + center + move


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
        return Pose(time_s, pos, quat_of(self.turn @ turn))

    def torsos(self, rows: np.ndarray) -> list[Pose]:
        """The same for rows of a trajectory."""
        turns = rows[:, TURN].reshape(-1, 3, 3)
        pos = (rows[:, POSITION] - turns @ self._imu_pos) @ self.turn.T + self._move
        quats = frames.quat_from_matrix(self.turn @ turns)
        return [Pose(float(time_s), *pose) for time_s, *pose in zip(rows[:, TIME], pos, quats, strict=True)]
