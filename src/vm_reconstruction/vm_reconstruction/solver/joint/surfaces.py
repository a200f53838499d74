"""Which seen surface is under a heel, toe or pelvis, and carries it: the static points around it."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from vm_reconstruction.stages.stances import intervals

RADIUS_M, REACH_M = 0.15, 0.20  # around the point, horizontally and in height
MIN_POINTS = 12
STEEPEST = 0.35  # rise over run of what can be stood on
UNDER_M, UNDER_POINTS = 0.10, 24  # around the point, horizontally: where a surface must be seen to tell its distance
BELOW_M, ABOVE_M = 0.8, 0.3  # so far under the point, and over it
SAME_M, FEWEST = 0.06, 4  # points of one surface, and how many it takes


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


def heights_over(points: np.ndarray, above_m: np.ndarray, cloud: np.ndarray) -> np.ndarray:
    """How far points (T, K, 3) [m, world] less above_m (K,) are over the nearest surface seen there (T, K) [m].

    NaN where too little was seen under them. cloud: (N, 3) static points [m, world].
    """
    result = np.full(points.shape[:2], np.nan)
    if len(cloud) < FEWEST:
        return result
    tree = cKDTree(cloud[:, :2])
    for k in range(points.shape[1]):
        away, index = tree.query(points[:, k, :2], k=min(UNDER_POINTS, len(cloud)), distance_upper_bound=UNDER_M)
        over = (points[:, k, 2] - above_m[k])[:, None] - cloud[np.minimum(index, len(cloud) - 1), 2]
        off = np.where(np.isfinite(away) & (over < BELOW_M) & (over > -ABOVE_M), np.abs(over), np.inf)
        nearest = np.take_along_axis(over, off.argmin(axis=1)[:, None], axis=1)
        same = np.isfinite(off) & (np.abs(over - nearest) < SAME_M)
        count = same.sum(axis=1)
        mean = np.where(same, over, 0.0).sum(axis=1) / np.maximum(count, 1)
        result[:, k] = np.where(count >= FEWEST, mean, np.nan)
    return result


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
