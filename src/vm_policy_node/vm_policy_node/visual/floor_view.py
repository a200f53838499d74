"""What a depth picture must look like to a robot that knows by its joints how high over the floor its camera is.

From the picture, the inertial unit and the joints: how much of it lies below the floor, which cannot be (a camera that
is upside down or has turned in its mount), and how much stands on it that is not the robot itself. No odometry needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core import g1
from vm_core.depth_image import DepthSpec
from vm_core.frames import matrix_from_quat
from vm_core.g1_kinematics import link_frames_in_pelvis
from vm_core.keypoint_command import KEYPOINT_OFFSETS

BELOW_M, BELOW_SHARE = 0.3, 0.15
"""Points so far below the soles, or by this share of their depth, are no floor: 5 degrees of tilt make 0.09 of it."""
_EVERY = 2  # every second pixel of every second row is enough for shares
_ABOVE_M, _OWN_M = (
    0.08,
    0.14,
)  # higher than this over the floor something stands; nearer than this to an arm or leg is own
_JOINTS = ("elbow", "wrist_yaw", "knee", "ankle_roll", "hip_yaw", "shoulder_roll")
_MOTORS = np.array([g1.motor_index(f"{side}_{name}_joint") for side in ("left", "right") for name in _JOINTS])
_TORSO = g1.motor_index("waist_pitch_joint")
_SEGMENTS = ((0, 1), (1, 1), (2, 3), (4, 2), (3, 3), (5, 0))
"""Forearm, hand, shin, thigh, foot and upper arm of a side, as pairs of _JOINTS; equal ones end at the keypoint."""


@dataclass(frozen=True)
class FloorView:
    """Shares of the known pixels.

    Attributes:
        below: far below the floor.
        standing: on the floor, within range, not the robot's own.
    """

    below: float
    standing: float


class FloorCheck:
    """Compares pictures of one camera with the floor."""

    def __init__(self, spec: DepthSpec) -> None:
        self._spec = spec
        self._mount = matrix_from_quat(spec.quat_in_torso)
        self._rays = spec.rays[::_EVERY, ::_EVERY].reshape(-1, 3)

    def look(self, depth: np.ndarray, joint_pos: np.ndarray, quat_wxyz: np.ndarray) -> FloorView:
        """What a picture shows.

        Args:
            depth: (height, width) [m] of the spec, 0 where nothing is known.
            joint_pos: (29,) [rad] in motor order.
            quat_wxyz: (4,) of the pelvis; its heading does not matter.
        """
        depth = depth[::_EVERY, ::_EVERY]
        shape, depth = depth.shape, depth.reshape(-1)
        known = depth > 0.0
        if not known.any():
            return FloorView(0.0, 0.0)
        pos, turn = link_frames_in_pelvis(joint_pos)
        upright = matrix_from_quat(quat_wxyz)
        pos, turn = pos @ upright.T, upright @ turn
        camera = pos[_TORSO] + turn[_TORSO] @ self._spec.pos_in_torso
        points = camera + (depth[known, None] * self._rays[known]) @ (turn[_TORSO] @ self._mount).T
        ends = self._limbs(pos[_MOTORS], turn[_MOTORS])
        floor = float(ends[:, 1, 2].min())
        height = points[:, 2] - floor
        near = depth[known] < self._spec.far_m
        standing = near & (height > _ABOVE_M)
        if standing.any():
            standing[standing] = _distance(points[standing], ends).min(axis=1) > _OWN_M
        whole = np.zeros(shape, dtype=bool)
        whole[known.reshape(shape)] = standing
        return FloorView(
            float(np.mean(height < -np.maximum(BELOW_M, BELOW_SHARE * depth[known]))),
            float(_with_neighbours(whole).sum() / len(height)),
        )

    def _limbs(self, pos: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """(12, 2, 3) ends of the limbs' axes, with palms and soles."""
        tips = {1: KEYPOINT_OFFSETS[1:3] * 2.0, 3: KEYPOINT_OFFSETS[3:5]}
        ends = []
        for side in (0, 1):
            first = side * len(_JOINTS)
            for start, end in _SEGMENTS:
                a, b = pos[first + start], pos[first + end]
                if start == end:
                    b = a + turn[first + end] @ tips[end][side]
                ends.append((a, b))
        return np.array(ends)


def _with_neighbours(mask: np.ndarray) -> np.ndarray:
    """Pixels that are not alone: at edges a camera sees single points in the air."""
    padded = np.pad(mask, 1)
    beside = padded[1:-1, :-2].astype(np.int64) + padded[1:-1, 2:] + padded[:-2, 1:-1] + padded[2:, 1:-1]
    return mask & (beside >= 2)


def _distance(points: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(P, S) distances [m] of points (P, 3) from segments (S, 2, 3)."""
    axis = ends[:, 1] - ends[:, 0]
    away = points[:, None] - ends[None, :, 0]
    share = np.clip((away * axis).sum(-1) / np.maximum((axis * axis).sum(-1), 1e-9), 0.0, 1.0)
    return np.linalg.norm(away - share[..., None] * axis, axis=-1)
