"""Reads the policy's height grid out of the elevation map."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from vm_core.height_grid import CellSource, HeightGridSpec, cell_points_world
from vm_heightmap.elevation_map import ElevationMap

EDGE_M = 0.06
"""Neighbouring cells that differ by more lie on two surfaces: the nearest cell counts, nothing is blended."""
MAX_FILL_CELLS = 2
_UNKNOWN, _SEEN, _FILLED = int(CellSource.UNKNOWN), int(CellSource.SEEN), int(CellSource.FILLED)


@dataclass(frozen=True)
class GridSample:
    """The grid's cells, x slow, y fast.

    Attributes:
        height: (num_cells,) terrain z in the map's frame [m]; NaN where unknown.
        variance: (num_cells,) [m²].
        source: (num_cells,) uint8 CellSource.
        age_s: (num_cells,) since the cell was last seen; NaN where unknown.
        points_world: (num_cells, 3) cell centres at torso height.
    """

    height: np.ndarray
    variance: np.ndarray
    source: np.ndarray
    age_s: np.ndarray
    points_world: np.ndarray


def sample_grid(
    elevation: ElevationMap, spec: HeightGridSpec, torso_pos: np.ndarray, torso_quat_wxyz: np.ndarray, now_s: float
) -> GridSample:
    """The grid around a torso pose (3,), (4,) in the map's frame at the time now_s, in the map's clock."""
    points = cell_points_world(spec, np.asarray(torso_pos, dtype=float), np.asarray(torso_quat_wxyz, dtype=float))
    n = spec.num_cells
    height, variance, seen_s = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    source = np.zeros(n, dtype=np.uint8)
    layers = (elevation.height, elevation.variance, elevation.time_s, elevation.source)
    _sample(points, elevation.corner, elevation.config.resolution_m, layers, height, variance, seen_s, source)
    return GridSample(height, variance, source, now_s - seen_s, points)


@numba.njit(cache=True)
def _sample(points, corner, resolution, layers, height, variance, seen_s, source):
    for i in range(len(points)):
        x, y = points[i, 0] / resolution - 0.5, points[i, 1] / resolution - 0.5
        nearest = _cell(int(np.floor(x + 0.5)), int(np.floor(y + 0.5)), corner, layers)
        if nearest[3] == _UNKNOWN:
            continue
        ix, iy = int(np.floor(x)), int(np.floor(y))
        total, sum_z, sum_v = 0.0, 0.0, 0.0
        for jx in range(2):
            for jy in range(2):
                cell = _cell(ix + jx, iy + jy, corner, layers)
                weight = (x - ix if jx else ix + 1 - x) * (y - iy if jy else iy + 1 - y)
                if cell[3] != _UNKNOWN and abs(cell[0] - nearest[0]) <= EDGE_M:
                    total, sum_z, sum_v = total + weight, sum_z + weight * cell[0], sum_v + weight * cell[1]
        height[i], variance[i] = sum_z / total, sum_v / total
        seen_s[i], source[i] = nearest[2], nearest[3]


@numba.njit(cache=True)
def _cell(ix, iy, corner, layers):
    """Height, variance, time and source of a cell, filled where it lies in a narrow gap."""
    height, variance, newest, source = layers
    n = height.shape[0]
    if _known(ix, iy, corner, source):
        kx, ky = ix % n, iy % n
        return height[kx, ky], variance[kx, ky], newest[kx, ky], int(source[kx, ky])
    best = (np.nan, np.nan, np.nan, _UNKNOWN)
    for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
        a, b = _reach(ix, iy, dx, dy, corner, source), _reach(ix, iy, -dx, -dy, corner, source)
        if a == 0 or b == 0 or a + b - 1 > MAX_FILL_CELLS:
            continue
        ax, ay, bx, by = (ix + a * dx) % n, (iy + a * dy) % n, (ix - b * dx) % n, (iy - b * dy) % n
        low, rise = min(height[ax, ay], height[bx, by]), abs(height[ax, ay] - height[bx, by])
        if best[3] == _UNKNOWN or low < best[0]:
            spread = max(variance[ax, ay], variance[bx, by]) + rise * rise / 12.0
            best = (low, spread, min(newest[ax, ay], newest[bx, by]), _FILLED)
    return best


@numba.njit(cache=True)
def _reach(ix, iy, dx, dy, corner, source):
    for k in range(1, MAX_FILL_CELLS + 1):
        if _known(ix + k * dx, iy + k * dy, corner, source):
            return k
    return 0


@numba.njit(cache=True)
def _known(ix, iy, corner, source):
    n = source.shape[0]
    if ix < corner[0] or iy < corner[1] or ix >= corner[0] + n or iy >= corner[1] + n:
        return False
    return source[ix % n, iy % n] != _UNKNOWN
