"""The joints over time, and where they put the robot's body during a scan."""

from __future__ import annotations

from collections import deque

import numpy as np

from vm_core import frames, unitree_cdr
from vm_core.errors import VmError
from vm_heightmap.kinematics import capsules_in_torso, soles_in_torso

PERIOD_S = 0.01
SNAPSHOTS = 4
LIMB_SPEED = 1.5  # m/s that a limb may have moved since its joints were heard of


class JointTrack:
    """The newest joint angles, and those of the last half second.

    Attributes:
        newest: (29,) [rad], None before the first LowState.
    """

    def __init__(self) -> None:
        self.newest: np.ndarray | None = None
        self._track: deque[tuple[float, np.ndarray]] = deque(maxlen=64)

    def wants(self, time_s: float | None) -> bool:
        """Whether a LowState at this time, None before the first pose, tells more than the last one."""
        return time_s is None or not self._track or abs(time_s - self._track[-1][0]) >= PERIOD_S - 1e-6

    def add(self, data: bytes, time_s: float | None) -> np.ndarray:
        """Takes a raw LowState; returns its angles (29,) [rad].

        Raises:
            VmError: it is none, or angles are not finite.
        """
        joint_pos = unitree_cdr.get_motors(unitree_cdr.parse_low_state(data), "q").astype(float)
        if not np.all(np.isfinite(joint_pos)):
            raise VmError("LowState with joint angles that are not finite, dropped")
        self.newest = joint_pos
        if time_s is not None:
            self._track.append((time_s, joint_pos))
        return joint_pos

    def body(self, times: np.ndarray, pos: np.ndarray, quat: np.ndarray) -> tuple[np.ndarray | None, float]:
        """Capsules around the links over a scan, in the world, and the height of the lower sole [m].

        Args:
            times, pos, quat: (K,), (K, 3) and (K, 4) poses of the torso over the scan.

        Returns:
            (S, C, 7) capsules, None if no joints were heard of, and the height, -inf then.
        """
        if not self._track:
            return None, -np.inf
        stamps = np.array([stamp for stamp, _ in self._track])
        picks = np.linspace(0, len(times) - 1, SNAPSHOTS).round().astype(int)
        found, lowest = [], np.inf
        for k, turn in zip(picks, frames.matrix_from_quat(quat[picks]), strict=True):
            nearest = int(np.abs(stamps - times[k]).argmin())
            joints = self._track[nearest][1]
            capsules = capsules_in_torso(joints)
            capsules[:, :3] = capsules[:, :3] @ turn.T + pos[k]
            capsules[:, 3:6] = capsules[:, 3:6] @ turn.T + pos[k]
            capsules[:, 6] += LIMB_SPEED * min(abs(float(stamps[nearest] - times[k])), 0.1)
            found.append(capsules)
            if k in (picks[0], picks[-1]):
                lowest = min(lowest, float((soles_in_torso(joints)[0] @ turn[2] + pos[k, 2]).min()))
        return np.stack(found), lowest
