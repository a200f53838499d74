"""Scenes as rasters on one device: the height under any point of many robots in one look-up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from vm_core.scene_asset import SceneAsset

RESOLUTION_M = 0.02
_MARGIN_M = 1.0
_LARGEST_CELLS = 1500


class TerrainRaster:
    """Heights of S scenes on rasters of 2 cm; beyond a raster its border goes on, on a slope the plane.

    Attributes:
        num_scenes: S.
    """

    def __init__(self, scenes: Sequence[SceneAsset], device: str | torch.device = "cpu") -> None:
        rasters = [_raster(scene) for scene in scenes]
        size = [max(height.shape[axis] for _, height in rasters) for axis in (0, 1)]
        padded = [np.pad(h, [(0, size[i] - h.shape[i]) for i in (0, 1)], mode="edge") for _, h in rasters]
        self.num_scenes = len(rasters)
        self._size = size
        self._height = torch.tensor(np.stack(padded), dtype=torch.float32, device=device).reshape(-1)
        self._origin = torch.tensor(np.stack([low for low, _ in rasters]), dtype=torch.float32, device=device)
        self._slope = torch.tensor([scene.ground[:2] for scene in scenes], dtype=torch.float32, device=device)
        self._sloped = bool(self._slope.any())

    def heights(self, scene: torch.Tensor, xy: torch.Tensor) -> torch.Tensor:
        """Terrain z (N, P) [m] at points xy (N, P, 2) of the scenes with indices (N,)."""
        cell = ((xy - self._origin[scene][:, None]) * (1.0 / RESOLUTION_M)).round_()
        x = cell[..., 0].clamp_(0, self._size[0] - 1)
        y = cell[..., 1].clamp_(0, self._size[1] - 1)
        # whole numbers below 2**24 are exact in single precision, so one conversion at the end is enough
        at = (x * self._size[1] + y).to(torch.int64) + (scene * (self._size[0] * self._size[1]))[:, None]
        found = torch.take(self._height, at)
        if self._sloped:  # the raster holds what stands on the plane
            found = found + (xy * self._slope[scene][:, None]).sum(-1)
        return found


def _raster(scene: SceneAsset) -> tuple[np.ndarray, np.ndarray]:
    """Lower corner (2,) [m] and heights over the sloping part of the ground (X, Y) [m]."""
    centers = np.array([box.center_world[:2] for box in scene.boxes] or [(0.0, 0.0)])
    reach = np.array([np.hypot(*box.half_size[:2]) for box in scene.boxes] or [0.0])[:, None]
    low, high = (centers - reach).min(0) - _MARGIN_M, (centers + reach).max(0) + _MARGIN_M
    high = np.minimum(high, low + _LARGEST_CELLS * RESOLUTION_M)
    x, y = (np.arange(low[i], high[i], RESOLUTION_M) for i in (0, 1))
    xy = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    height = scene.height_at(xy) - xy @ np.array(scene.ground[:2])
    return low, height.reshape(len(x), len(y))
