"""ANYbotics' fusion rule on our scans, written from what they published: an anchor for our map.

Fankhauser, Bloesch, Hutter: Probabilistic Terrain Mapping for Mobile Robots with Uncertain Localization, RA-L 2018
(a Kalman filter a cell with a gate of 2.5 Mahalanobis distances), and the rule for several heights in a cell that their
elevation_mapping documents: within one scan the higher point wins, else the variance grows. Cells of 5 cm, no ray
clearing, and the three nearest cells within 15 cm by inverse distance, as VideoMimic's robot has it.
"""

from __future__ import annotations

import heightmap_runs
import numpy as np
from heightmap_scores import Cells
from heightmap_truth import GridTruth
from numba import njit
from scipy.spatial import cKDTree

from vm_core.height_grid import CellSource, HeightGridSpec, cell_points_world
from vm_heightmap.grid_sampler import GridSample

CELL_M, HALF_M = 0.05, 2.0
GATE, SCAN_S, MULTI_HEIGHT_NOISE = 2.5, 0.1, 1e-3
LEAST_VARIANCE, MOST_VARIANCE, POINT_VARIANCE = 1e-4, 0.05, 0.015**2
NEIGHBOURS, REACH_M = 3, 0.15


class AnyboticsMap:
    """Cells by world index: height, variance and time of the last point."""

    def __init__(self) -> None:
        n = round(60.0 / CELL_M)  # holds a whole walk: rolling is not what is compared
        self._cells = np.full((n, n, 3), np.nan)
        self._low = np.array([-30.0, -30.0])

    def add(self, points: np.ndarray, time_s: float) -> None:
        """Fuses points (N, 3) of one scan."""
        _fuse(points, self._low, self._cells, time_s)

    def sample(self, center: np.ndarray, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Heights and variances (N,) at xy (N, 2) of what lies within the window around center (2,); NaN unknown."""
        first = ((center - HALF_M - self._low) / CELL_M).astype(int)
        window = self._cells[first[0] : first[0] + 80, first[1] : first[1] + 80]
        known = np.argwhere(np.isfinite(window[..., 0]))
        if len(known) < NEIGHBOURS:
            return np.full(len(xy), np.nan), np.full(len(xy), np.nan)
        places = (known + first + 0.5) * CELL_M + self._low
        distance, index = cKDTree(places).query(xy, NEIGHBOURS)
        weight = 1.0 / np.maximum(distance, 1e-6)
        weight /= weight.sum(axis=1, keepdims=True)
        values = window[known[:, 0], known[:, 1]][index]
        heights, variances = ((weight * values[..., k]).sum(axis=1) for k in range(2))
        return np.where(distance[:, 0] > REACH_M, np.nan, heights), variances


@njit(cache=True)
def _fuse(points, low, cells, time_s):
    for i in range(len(points)):
        ix, iy = int((points[i, 0] - low[0]) / CELL_M), int((points[i, 1] - low[1]) / CELL_M)
        if not (0 <= ix < cells.shape[0] and 0 <= iy < cells.shape[1]):
            continue
        cell, z = cells[ix, iy], points[i, 2]
        if not np.isfinite(cell[0]):
            cell[0], cell[1], cell[2] = z, POINT_VARIANCE, time_s
        elif abs(z - cell[0]) / np.sqrt(cell[1]) > GATE:
            if time_s - cell[2] > SCAN_S:
                cell[1] = min(cell[1] + MULTI_HEIGHT_NOISE, MOST_VARIANCE)
            elif z > cell[0]:
                cell[0], cell[1] = z, POINT_VARIANCE
        else:
            cell[0] = (cell[1] * z + POINT_VARIANCE * cell[0]) / (cell[1] + POINT_VARIANCE)
            cell[1] = max(cell[1] * POINT_VARIANCE / (cell[1] + POINT_VARIANCE), LEAST_VARIANCE)
            cell[2] = time_s


def with_true_pose(truth: GridTruth) -> tuple[Cells, Cells]:
    """Our map, and their rule on the points that our filters place: same deskew, same body filter, true poses.

    Returns:
        Our cells and theirs.
    """
    recording, plain, theirs = truth.recording, AnyboticsMap(), Cells()

    def after_scan(tick: int) -> None:
        if truth.row(tick) is None:
            return
        torso = recording.true_torso[tick]
        points = cell_points_world(HeightGridSpec(), torso[:3], torso[3:])
        height, variance = plain.sample(torso[:2], points[:, :2])
        source = np.where(np.isfinite(height), CellSource.SEEN, CellSource.UNKNOWN).astype(np.uint8)
        theirs.compare(truth, tick, GridSample(height, variance, source, np.zeros(len(height)), points), torso[2])

    ours, _ = heightmap_runs.with_true_pose(truth, beside=plain.add, after_scan=after_scan)
    return ours, theirs
