"""The terrain under every grid of a recording: computed once, compared with by all who map it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from heightmap_recording import SCAN_EVERY, Recording
from heightmap_walks import RATE_HZ, STAND_S
from scipy.ndimage import distance_transform_edt, map_coordinates

from vm_core.height_grid import HeightGridSpec, cell_points_world
from vm_core.scene_asset import SceneAsset

SETTLED_S = STAND_S + 4.0
EDGE_RISE_M = 0.03
FARTHEST_M = 0.2
_RASTER_M = 0.005


@dataclass(frozen=True)
class GridTruth:
    """Where the cells of the grids truly are; a grid follows every scan from SETTLED_S on."""

    recording: Recording

    @cached_property
    def ticks(self) -> np.ndarray:
        """(G,) ticks of the recording at which grids are compared."""
        first = -(-round(SETTLED_S * RATE_HZ) // SCAN_EVERY) * SCAN_EVERY
        return np.arange(first, len(self.recording.true_torso), SCAN_EVERY)

    @cached_property
    def torso_height(self) -> np.ndarray:
        """(G,) [m]."""
        return self.recording.true_torso[self.ticks, 2]

    @cached_property
    def terrain(self) -> np.ndarray:
        """(G, C) terrain's height under the cells [m]."""
        return self.recording.walk.scene.height_at(self._xy.reshape(-1, 2)).reshape(self._xy.shape[:2])

    @cached_property
    def edge_distance(self) -> np.ndarray:
        """(G, C) to the nearest place where the terrain jumps by EDGE_RISE_M [m], FARTHEST_M at most."""
        return edge_distance(self.recording.walk.scene, self._xy.reshape(-1, 2)).reshape(self._xy.shape[:2])

    def row(self, tick: int) -> int | None:
        """Which row belongs to a tick, None if no grid is compared then."""
        row, rest = divmod(tick - int(self.ticks[0]), SCAN_EVERY)
        return row if rest == 0 and 0 <= row < len(self.ticks) else None

    @cached_property
    def _xy(self) -> np.ndarray:
        torso = self.recording.true_torso[self.ticks]
        return np.stack([cell_points_world(HeightGridSpec(), row[:3], row[3:])[:, :2] for row in torso])


def edge_distance(scene: SceneAsset, xy: np.ndarray) -> np.ndarray:
    """Distance (N,) [m] of points (N, 2) to the nearest edge, exact within half a raster cell of 5 mm."""
    low = xy.min(axis=0) - FARTHEST_M - _RASTER_M
    size = np.ceil((xy.max(axis=0) + FARTHEST_M + _RASTER_M - low) / _RASTER_M).astype(int)
    x, y = (low[axis] + (np.arange(size[axis]) + 0.5) * _RASTER_M for axis in (0, 1))
    height = scene.height_at(np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)).reshape(size)
    edge = np.zeros(size, dtype=bool)
    for axis in (0, 1):
        jump = np.abs(np.diff(height, axis=axis)) > EDGE_RISE_M
        one, other = (slice(None, -1), slice(None)), (slice(1, None), slice(None))
        edge[one if axis == 0 else one[::-1]] |= jump
        edge[other if axis == 0 else other[::-1]] |= jump
    if not edge.any():
        return np.full(len(xy), FARTHEST_M)
    # an edge lies between the two cells that it marks
    distance = (np.asarray(distance_transform_edt(~edge)) + 0.5) * _RASTER_M
    at = ((xy - low) / _RASTER_M - 0.5).T
    return np.minimum(map_coordinates(distance, at, order=1, mode="nearest"), FARTHEST_M)
