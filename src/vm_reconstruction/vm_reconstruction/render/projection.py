"""World points into the picture."""

from __future__ import annotations

import numpy as np

NEAR_M = 0.1  # points nearer than this to the camera's plane are not in the picture


def project(points_world: np.ndarray, K: np.ndarray, T_world_camera: np.ndarray) -> np.ndarray:
    """World points (N, 3) [m] to (N, 3): pixel x, pixel y, depth [m]."""
    points = (points_world - T_world_camera[:3, 3]) @ T_world_camera[:3, :3]
    safe = np.where(points[:, 2] > NEAR_M, points[:, 2], NEAR_M)
    return np.column_stack([(points / safe[:, None] @ K.T)[:, :2], points[:, 2]])
