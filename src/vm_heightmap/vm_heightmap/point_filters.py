"""Which points of a scan may touch the map, and where they lie in the world."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np


@dataclass(frozen=True)
class FilterConfig:
    """What is dropped.

    Attributes:
        min_range_m: nearer points are no-returns (0, 0, 0) or the sensor's housing.
        max_range_m: farther points do not matter to the map.
        body_margin_m: points so near to the capsules around the robot's links are the robot.
        body_radius_m: radius of the upright cylinder around the torso that stands in for them while joints are unknown.
        body_bottom_m: the cylinder's lower end relative to the torso origin.
        ground_margin_m: points no higher than this above the lower sole are never taken for the robot.
        ceiling_m: points higher than this above the torso origin are no ground to step on.
    """

    min_range_m: float = 0.3
    max_range_m: float = 8.0
    body_margin_m: float = 0.05
    body_radius_m: float = 0.45
    body_bottom_m: float = -0.35
    ground_margin_m: float = 0.03
    ceiling_m: float = 0.3


@dataclass(frozen=True)
class FilterCounts:
    """How many points of a scan were dropped, by cause, and how many were kept."""

    total: int
    not_finite: int
    no_return: int
    body: int
    out_of_bounds: int
    kept: int


def filter_and_place(
    xyz: np.ndarray,
    offset_s: np.ndarray,
    knots: np.ndarray,
    knot_step_s: float,
    config: FilterConfig,
    body: np.ndarray | None = None,
    ground_z: float = -np.inf,
) -> tuple[np.ndarray, np.ndarray, FilterCounts]:
    """Drops bad points and moves the others into the world, each by the sensor's pose at its own time.

    Args:
        xyz: (N, 3) float32 in the sensor frame [m].
        offset_s: (N,) time after the first knot [s].
        knots: (K, 15) sensor position (3), sensor rotation matrix (9, row-major) and torso position (3) in the world at
            equal steps in time.
        knot_step_s: time between knots [s].
        config: limits.
        body: (S, C, 7) capsules around the links in the world at S equal steps over the scan, or None: the cylinder.
        ground_z: height of the lower sole in the world [m].

    Returns:
        points_world (M, 3) [m], origins_world (M, 3): where the sensor was then, and the counts.
    """
    size = len(xyz)
    points, origins = np.empty((size, 3)), np.empty((size, 3))
    counts = np.zeros(5, dtype=np.int64)
    radius = config.body_radius_m if body is None else 0.0
    limits = (config.min_range_m, config.max_range_m, radius, config.body_bottom_m, config.ceiling_m)
    capsules = np.zeros((0, 0, 7)) if body is None else body
    shell = (capsules, config.body_margin_m, ground_z + config.ground_margin_m)
    _filter_and_place(xyz, offset_s, knots, knot_step_s, limits, shell, points, origins, counts)
    kept = int(counts[4])
    return points[:kept], origins[:kept], FilterCounts(size, *(int(c) for c in counts))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _filter_and_place(xyz, offset_s, knots, knot_step_s, limits, shell, points, origins, counts):
    capsules, margin, ground = shell
    min_range, max_range, body_radius, body_bottom, ceiling = limits
    last, per_knot = len(knots) - 1, 1.0 / knot_step_s
    kept, snapshots = 0, len(capsules)
    for i in range(len(xyz)):
        x, y, z = float(xyz[i, 0]), float(xyz[i, 1]), float(xyz[i, 2])
        distance_sq = x * x + y * y + z * z
        if not np.isfinite(distance_sq):
            counts[0] += 1
            continue
        if distance_sq < min_range * min_range:
            counts[1] += 1
            continue
        at = offset_s[i] * per_knot
        if distance_sq > max_range * max_range or not (at >= 0.0 and at <= last):
            counts[3] += 1
            continue
        k = min(int(at), last - 1)
        # between knots a few milliseconds apart, a straight line between both placements is as good as a slerp
        share = at - k
        for j in range(3):
            r = 3 + 3 * j
            a = knots[k, j] + knots[k, r] * x + knots[k, r + 1] * y + knots[k, r + 2] * z
            b = knots[k + 1, j] + knots[k + 1, r] * x + knots[k + 1, r + 1] * y + knots[k + 1, r + 2] * z
            points[kept, j] = a + share * (b - a)
            origins[kept, j] = knots[k, j] + share * (knots[k + 1, j] - knots[k, j])
        dx = points[kept, 0] - (knots[k, 12] + share * (knots[k + 1, 12] - knots[k, 12]))
        dy = points[kept, 1] - (knots[k, 13] + share * (knots[k + 1, 13] - knots[k, 13]))
        dz = points[kept, 2] - (knots[k, 14] + share * (knots[k + 1, 14] - knots[k, 14]))
        flat = dx * dx + dy * dy
        if (
            dz > body_bottom
            and flat < body_radius * body_radius
            or snapshots
            and flat < 1.0
            and points[kept, 2] > ground
            and _is_body(points[kept], capsules[min(int(at / last * snapshots), snapshots - 1)], margin)
        ):
            counts[2] += 1
        elif dz > ceiling:
            counts[3] += 1
        else:
            kept += 1
    counts[4] = kept


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _is_body(point, capsules, margin):
    for i in range(len(capsules)):
        c = capsules[i]
        ax, ay, az = c[3] - c[0], c[4] - c[1], c[5] - c[2]
        px, py, pz = point[0] - c[0], point[1] - c[1], point[2] - c[2]
        share = min(max((px * ax + py * ay + pz * az) / (ax * ax + ay * ay + az * az), 0.0), 1.0)
        dx, dy, dz = px - share * ax, py - share * ay, pz - share * az
        reach = c[6] + margin
        if dx * dx + dy * dy + dz * dz < reach * reach:
            return True
    return False
