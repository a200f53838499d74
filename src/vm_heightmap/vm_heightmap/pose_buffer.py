"""Poses over time: a bounded buffer with interpolation that tells when time or pose jumped."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

import numpy as np

from vm_core import frames
from vm_heightmap.compiled_turns import slerp


class PoseVerdict(Enum):
    """What became of a pose that was offered."""

    ACCEPTED = "accepted"
    LATE = "late: not newer than the last one, dropped"
    NOT_FINITE = "not finite or no unit quaternion, dropped"
    TIME_JUMP = "time jumped, started afresh"
    POSE_JUMP = "pose jumped, started afresh"


@dataclass(frozen=True)
class OdometryLimits:
    """When a step is no motion any more.

    Attributes:
        max_gap_s: a longer pause, or a step back in time by more than `max_late_s`, is a jump in time.
        max_late_s: poses that are older than the newest by less are only late.
        max_step_m, max_step_rad: jump that is always allowed for.
        max_speed, max_turn_rate: fastest motion on top of that [m/s], [rad/s].
        capacity: poses kept.
    """

    max_gap_s: float = 1.0
    max_late_s: float = 0.1
    max_step_m: float = 0.10
    max_step_rad: float = 0.17
    max_speed: float = 4.0
    max_turn_rate: float = 8.0
    capacity: int = 400


@dataclass(frozen=True)
class Pose:
    """A pose in the world: time [s], position (3,) [m], quaternion (4,) wxyz."""

    time_s: float
    pos: np.ndarray
    quat_wxyz: np.ndarray


class PoseBuffer:
    """The newest poses, in order of time.

    Attributes:
        epoch: rises with each jump; whoever keeps a map in this frame must clear it then.
    """

    def __init__(self, limits: OdometryLimits | None = None) -> None:
        self._limits = limits or OdometryLimits()
        self._poses: deque[Pose] = deque(maxlen=self._limits.capacity)
        self.epoch = 0

    @property
    def newest(self) -> Pose | None:
        return self._poses[-1] if self._poses else None

    @property
    def oldest(self) -> Pose | None:
        return self._poses[0] if self._poses else None

    def add(self, time_s: float, pos: np.ndarray, quat_wxyz: np.ndarray) -> PoseVerdict:
        """Takes a pose if it continues the others; a jump empties the buffer first and raises the epoch."""
        norm = float(np.linalg.norm(quat_wxyz))
        if not (np.isfinite(time_s) and np.all(np.isfinite(pos)) and abs(norm - 1.0) < 0.05):
            return PoseVerdict.NOT_FINITE
        pose = Pose(time_s, np.asarray(pos, dtype=float), np.asarray(quat_wxyz, dtype=float) / norm)
        verdict = self._judge(pose)
        if verdict in (PoseVerdict.TIME_JUMP, PoseVerdict.POSE_JUMP):
            self._poses.clear()
            self.epoch += 1
        if verdict is not PoseVerdict.LATE:
            self._poses.append(pose)
        return verdict

    def at(self, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions (N, 3) and quaternions (N, 4) at rising times_s (N,), which should lie between oldest and newest.

        Outside, the pose at that end holds; the caller checks `covers`.
        """
        recent: list[Pose] = []
        for pose in reversed(self._poses):  # a scan needs a few of hundreds
            recent.append(pose)
            if pose.time_s <= times_s[0]:
                break
        recent.reverse()
        if len(recent) == 1:
            return np.tile(recent[0].pos, (len(times_s), 1)), np.tile(recent[0].quat_wxyz, (len(times_s), 1))
        stamps = np.array([pose.time_s for pose in recent])
        after = np.clip(np.searchsorted(stamps, times_s), 1, len(stamps) - 1)
        share = np.clip((times_s - stamps[after - 1]) / (stamps[after] - stamps[after - 1]), 0.0, 1.0)
        pos, quat = np.array([pose.pos for pose in recent]), np.array([pose.quat_wxyz for pose in recent])
        a, b, p, q = pos[after - 1], pos[after], quat[after - 1], quat[after]
        return a + share[:, None] * (b - a), slerp(p, q, share)

    def covers(self, start_s: float, end_s: float) -> bool:
        """Whether both times lie within the buffer."""
        return bool(self._poses) and self._poses[0].time_s <= start_s and end_s <= self._poses[-1].time_s

    def _judge(self, pose: Pose) -> PoseVerdict:
        last, limits = self.newest, self._limits
        if last is None:
            return PoseVerdict.ACCEPTED
        dt = pose.time_s - last.time_s
        if dt > limits.max_gap_s or dt < -limits.max_late_s:
            return PoseVerdict.TIME_JUMP
        if dt <= 0.0:
            return PoseVerdict.LATE
        step = float(np.linalg.norm(pose.pos - last.pos))
        turn = frames.rotvec_from_quat(frames.quat_multiply(frames.quat_conjugate(last.quat_wxyz), pose.quat_wxyz))
        too_far = step > limits.max_step_m + limits.max_speed * dt
        too_turned = float(np.linalg.norm(turn)) > limits.max_step_rad + limits.max_turn_rate * dt
        return PoseVerdict.POSE_JUMP if too_far or too_turned else PoseVerdict.ACCEPTED
