"""The height grid under the robot: where its cells are and what the policy reads from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
from array_api_compat import array_namespace

from vm_core.errors import VmError
from vm_core.frames import Array, heading_quat, quat_rotate

MEASURED_ERRORS_FILE = Path(__file__).with_name("height_grid_errors.json")
"""The errors that the height map was measured to make, by pose source (`make bench ONLY=heightmap`)."""


class CellSource(IntEnum):
    """Where a cell's height comes from."""

    UNKNOWN = 0
    SEEN = 1
    FILLED = 2
    SEEDED = 3


MOST_SAMPLES = 8
HeightAt = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class HeightGridSpec:
    """Geometry of a grid under and around the torso.

    Attributes:
        size_x: cells along the heading.
        size_y: cells to the side.
        resolution: distance between neighbouring cells [m].
        full_attitude: tilt the grid with the torso (as VideoMimic's training did); default: turn with its yaw only.
        center_x: from the torso forward to the grid's middle, to look ahead [m].
        samples_per_side: a cell's height is the mean at so many by so many points, evenly spread over it; 1: in its
            middle alone, which tells an edge's place to a cell only.
    """

    size_x: int = 11
    size_y: int = 11
    resolution: float = 0.1
    full_attitude: bool = False
    center_x: float = 0.0
    samples_per_side: int = 1

    def __post_init__(self) -> None:
        if self.size_x < 1 or self.size_y < 1 or not 0.0 < self.resolution < 10.0 or not abs(self.center_x) < 10.0:
            raise VmError(
                f"height grid {self.size_x}×{self.size_y} at {self.resolution} m, {self.center_x} m ahead: "
                "need at least 1×1 cells, 0–10 m apart and less than 10 m ahead"
            )
        if not 1 <= self.samples_per_side <= MOST_SAMPLES or (self.samples_per_side > 1 and self.full_attitude):
            raise VmError(
                f"height grid of {self.samples_per_side} samples a cell's side: need 1 to {MOST_SAMPLES}, and 1 if it "
                "tilts with the torso"
            )

    @property
    def num_cells(self) -> int:
        return self.size_x * self.size_y

    @property
    def cell_offsets_xy(self) -> np.ndarray:
        """Cell centres (num_cells, 2) [m] in the grid frame; x changes slowly, y quickly."""
        x = (np.arange(self.size_x) - 0.5 * (self.size_x - 1)) * self.resolution + self.center_x
        y = (np.arange(self.size_y) - 0.5 * (self.size_y - 1)) * self.resolution
        return np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)

    @property
    def sample_offsets_xy(self) -> np.ndarray:
        """(samples_per_side², 2) [m] in the grid frame: from a cell's middle to the points whose mean its height is."""
        n = self.samples_per_side
        side = (np.arange(n) - 0.5 * (n - 1)) * self.resolution / n
        return np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)


def cell_points_world(spec: HeightGridSpec, torso_pos: Array, torso_quat_wxyz: Array) -> Array:
    """Cell centres (..., num_cells, 3) [m] in the world at torso height.

    Args:
        spec: the grid's geometry.
        torso_pos: torso origin (..., 3) in the world [m].
        torso_quat_wxyz: torso orientation (..., 4).
    """
    xp = array_namespace(torso_pos)
    flat = np.concatenate([spec.cell_offsets_xy, np.zeros((spec.num_cells, 1))], axis=-1)
    offsets = xp.asarray(flat, dtype=torso_pos.dtype)
    turn = torso_quat_wxyz if spec.full_attitude else heading_quat(torso_quat_wxyz)
    return torso_pos[..., None, :] + quat_rotate(turn[..., None, :], offsets)


def sample_points_world(spec: HeightGridSpec, cells_world_xy: Array, torso_quat_wxyz: Array) -> Array:
    """Where the heights of cells are read (..., num_cells, samples, 2) [m]; of grids that turn with the yaw only.

    Args:
        spec: the grid's geometry.
        cells_world_xy: cell centres (..., num_cells, 2), as `cell_points_world` has them, or as a map misplaces them.
        torso_quat_wxyz: torso orientation (..., 4).
    """
    xp = array_namespace(cells_world_xy)
    flat = np.concatenate([spec.sample_offsets_xy, np.zeros((spec.samples_per_side**2, 1))], axis=-1)
    turned = quat_rotate(heading_quat(torso_quat_wxyz)[..., None, :], xp.asarray(flat, dtype=cells_world_xy.dtype))
    return cells_world_xy[..., None, :] + turned[..., None, :, :2]


def mean_heights(
    spec: HeightGridSpec, cells_world_xy: np.ndarray, torso_quat_wxyz: np.ndarray, height_at: HeightAt
) -> np.ndarray:
    """Terrain z (..., num_cells) [m] of cells whose ground is known everywhere.

    Args:
        spec: the grid's geometry.
        cells_world_xy: (..., num_cells, 2) as for `sample_points_world`.
        torso_quat_wxyz: torso orientation (..., 4).
        height_at: terrain z (..., P) [m] at points (..., P, 2).
    """
    points = sample_points_world(spec, cells_world_xy, torso_quat_wxyz)
    heights = height_at(points.reshape(*points.shape[:-3], -1, 2))
    return heights.reshape(points.shape[:-1]).mean(axis=-1)


def policy_heights(torso_height: Array, terrain_height: Array, unknown_value: float) -> Array:
    """What the policy reads: how far the terrain lies below the torso [m].

    Args:
        torso_height: torso z (...) [m].
        terrain_height: terrain z (..., num_cells) [m]; NaN where nothing is known.
        unknown_value: what unknown cells read as [m]; part of the policy's contract.
    """
    xp = array_namespace(terrain_height)
    below = torso_height[..., None] - terrain_height
    return xp.where(xp.isnan(below), xp.full_like(below, unknown_value), below)
