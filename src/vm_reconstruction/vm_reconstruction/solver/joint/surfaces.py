"""Which seen surface carries a resting heel, toe or pelvis: the static points around it, as one small plane a rest."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from vm_reconstruction.stages.stances import intervals

RADIUS_M, REACH_M = 0.15, 0.20  # around the point, horizontally and in height
MIN_POINTS = 12
STEEPEST = 0.35  # rise over run of what can be stood on


def carriers(
    points: np.ndarray, still: np.ndarray, above_m: np.ndarray, cloud: np.ndarray, scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Planes under resting points.

    Args:
        points: (T, K, 3) [m, world]; still: (T, K) 0/1; above_m: (K,) how far each is above what carries it.
        cloud: (N, 3) static points [m, world]; scale: metres per unit.

    Returns:
        normal (T, K, 3), offset (T, K) [units], touch (T, K) 0..1, 0 where nothing was seen below.
    """
    tree = cKDTree(cloud[:, :2])
    normal = np.tile([0.0, 0.0, 1.0], (*still.shape, 1))
    offset, touch = np.zeros(still.shape), np.zeros(still.shape)
    for k in range(still.shape[1]):
        for start, end in intervals(still[:, k] > 0.5):
            place = points[start:end, k].mean(axis=0) - [0.0, 0.0, above_m[k]]
            found = _plane(cloud[tree.query_ball_point(place[:2], RADIUS_M)], place)
            if found is not None:
                normal[start:end, k], offset[start:end, k] = found[0], found[1] / scale
                touch[start:end, k] = 1.0 / np.sqrt(end - start)  # one look at the surface, however long the rest
    return normal, offset, touch


def _plane(near: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Unit normal and offset of the surface closest in height, level if few points show it."""
    near = near[np.abs(near[:, 2] - place[2]) < REACH_M]
    if len(near) < MIN_POINTS:
        return None
    # A step's edge may be near: keep the level that the point is at.
    near = near[np.abs(near[:, 2] - np.median(near[:, 2])) < 0.5 * REACH_M]
    rows = np.column_stack([near[:, :2] - place[:2], np.ones(len(near))])
    slope = np.linalg.solve(rows.T @ rows + np.diag([0.3, 0.3, 0.0]), rows.T @ near[:, 2])
    if np.hypot(slope[0], slope[1]) > STEEPEST:
        slope = np.array([0.0, 0.0, float(np.median(near[:, 2]))])
    normal = np.array([-slope[0], -slope[1], 1.0]) / np.sqrt(1 + slope[0] ** 2 + slope[1] ** 2)
    return normal, float(normal @ [place[0], place[1], slope[2]])
