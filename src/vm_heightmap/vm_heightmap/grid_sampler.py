"""Reads the policy's height grid out of the elevation map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core.frames import heading_quat, matrix_from_quat
from vm_core.height_grid import HeightGridSpec
from vm_heightmap.cell_sampling import sample_cells
from vm_heightmap.map_view import MapView


@dataclass(frozen=True)
class GridSample:
    """The grid's cells, x slow, y fast.

    Attributes:
        height: (num_cells,) terrain z in the map's frame [m]; NaN where unknown.
        variance: (num_cells,) [m²].
        source: (num_cells,) uint8 CellSource; of the middle, as variance and age.
        age_s: (num_cells,) since the cell was last seen; NaN where unknown.
        points_world: (num_cells, 3) cell centres at torso height.
    """

    height: np.ndarray
    variance: np.ndarray
    source: np.ndarray
    age_s: np.ndarray
    points_world: np.ndarray


class GridSampler:
    """Samples grids of one geometry; what does not change is made once.

    Attributes:
        spec: the geometry.
    """

    def __init__(self, spec: HeightGridSpec) -> None:
        self.spec = spec
        self._offsets = spec.cell_offsets_xy
        inside = spec.sample_offsets_xy
        self._samples = (self._offsets[:, None] + inside).reshape(-1, 2) if len(inside) > 1 else None

    def sample(self, view: MapView, torso_pos: np.ndarray, torso_quat_wxyz: np.ndarray, now_s: float) -> GridSample:
        """The grid around a torso pose (3,), (4,) in the map's frame at the time now_s, in the map's clock."""
        quat = torso_quat_wxyz if self.spec.full_attitude else heading_quat(torso_quat_wxyz)
        # the matrix's first two columns carry the grid's x and y
        axes = np.ascontiguousarray(matrix_from_quat(np.asarray(quat, dtype=float))[:, :2])
        pose = (np.asarray(torso_pos, dtype=float), axes)
        out, source, points = _read(self._offsets, pose, view, now_s)
        height = out[:, 0] if self._samples is None else self._means(pose, view, now_s, out[:, 0])
        return GridSample(height, out[:, 1], source, out[:, 2], points)

    def _means(
        self, pose: tuple[np.ndarray, np.ndarray], view: MapView, now_s: float, middle: np.ndarray
    ) -> np.ndarray:
        """(num_cells,) means over what is known of each cell; NaN where its middle (num_cells,) is unknown."""
        assert self._samples is not None
        heights = _read(self._samples, pose, view, now_s)[0][:, 0].reshape(self.spec.num_cells, -1)
        known = np.isfinite(heights)
        count = known.sum(axis=1)
        means = np.where(known, heights, 0.0).sum(axis=1) / np.maximum(count, 1)
        return np.where(np.isnan(middle) | (count == 0), middle, means)


def _read(
    offsets: np.ndarray, pose: tuple[np.ndarray, np.ndarray], view: MapView, now_s: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heights, variances and ages (N, 3), sources (N,) and places (N, 3) at offsets (N, 2) from a pose with axes."""
    n = len(offsets)
    points, out, source = np.empty((n, 3)), np.empty((n, 3)), np.empty(n, dtype=np.uint8)
    sample_cells(offsets, *pose, view.arrays, now_s, out, source, points)
    return out, source, points


def sample_grid(
    view: MapView, spec: HeightGridSpec, torso_pos: np.ndarray, torso_quat_wxyz: np.ndarray, now_s: float
) -> GridSample:
    """As `GridSampler.sample`, for one grid."""
    return GridSampler(spec).sample(view, torso_pos, torso_quat_wxyz, now_s)


def sample_at(view: MapView, point_world: np.ndarray, now_s: float) -> tuple[float, float, int]:
    """Height [m], variance [m²] and CellSource under one point (3,)."""
    out, source, points = np.empty((1, 3)), np.empty(1, dtype=np.uint8), np.empty((1, 3))
    sample_cells(_HERE, np.asarray(point_world, dtype=float), _AXES, view.arrays, now_s, out, source, points)
    return float(out[0, 0]), float(out[0, 1]), int(source[0])


_HERE, _AXES = np.zeros((1, 2)), np.ascontiguousarray(np.eye(3)[:, :2])
