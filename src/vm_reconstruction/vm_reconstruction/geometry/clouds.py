"""Static points from depth pictures: people and flying edges left out, frames brought to agree with each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from vm_reconstruction.observations import Observations

EDGE_SHARE = 0.08  # depth that jumps by more between neighbours is an edge; what lies between is flying
PERSON_MARGIN_PX = 2  # of the depth picture, around people
AGREE_SHARE = 0.2  # depths that differ by more are of different surfaces


@dataclass(frozen=True)
class StaticPixels:
    """Chosen background pixels: frame, row, column (N,) int, and depth (N,) [m] along the optical axis."""

    frame: np.ndarray
    row: np.ndarray
    column: np.ndarray
    depth: np.ndarray

    def points(self, matrix: np.ndarray, T_world_camera: np.ndarray) -> np.ndarray:
        """(N, 3) [m, world]; matrix (3, 3) of the depth picture, one camera pose (4, 4) a frame."""
        uv = np.column_stack([self.column + 0.5, self.row + 0.5])
        ray = (uv - matrix[:2, 2]) / matrix[[0, 1], [0, 1]]
        local = np.column_stack([ray, np.ones(len(ray))]) * self.depth[:, None]
        T = T_world_camera[self.frame]
        return np.einsum("nij,nj->ni", T[:, :3, :3], local) + T[:, :3, 3]


def static_pixels(observed: Observations, scale: float, frame_step: int, pixel_step: int) -> StaticPixels:
    """Background pixels of every frame_step-th frame on a grid of pixel_step; scale: metres per unit."""
    rows, columns, frames, depths = [], [], [], []
    for t in range(0, observed.num_frames, frame_step):
        depth = observed.depth[t].astype(np.float32)
        person = maximum_filter(observed.mask[t], 2 * PERSON_MARGIN_PX + 1) > 0
        flying = maximum_filter(depth, 3) - minimum_filter(depth, 3) > EDGE_SHARE * depth
        grid = np.zeros(depth.shape, bool)
        grid[pixel_step // 2 :: pixel_step, pixel_step // 2 :: pixel_step] = True
        row, column = np.nonzero(grid & (depth > 0) & ~person & ~flying)
        rows.append(row)
        columns.append(column)
        frames.append(np.full(len(row), t))
        depths.append(scale * depth[row, column].astype(float))
    return StaticPixels(*(np.concatenate(v) for v in (frames, rows, columns, depths)))


def agreed(
    pixels: StaticPixels, observed: Observations, scale: float, T_world_camera: np.ndarray, rounds: int = 2
) -> StaticPixels:
    """The same pixels at the depth that the frames agree on.

    Each point is looked up in every other chosen frame; the median of what they say about its depth (as a factor)
    moves it along its own ray. Errors that change with time or place in the picture cancel.
    """
    keyframes = np.unique(pixels.frame)
    matrix = observed.depth_matrix
    T_camera_world = np.linalg.inv(T_world_camera)
    depth = pixels.depth
    for _ in range(rounds):
        points = StaticPixels(pixels.frame, pixels.row, pixels.column, depth).points(matrix, T_world_camera)
        factors = np.full((len(keyframes), len(points)), np.nan, np.float32)
        for k, t in enumerate(keyframes):
            factors[k] = _factor(points, observed, t, T_camera_world[t], matrix, scale)
        with np.errstate(invalid="ignore"):
            known = np.isfinite(factors).sum(axis=0) >= 3
            log = np.zeros(len(points))
            log[known] = np.nanmedian(np.log(factors[:, known]), axis=0)
        depth = depth * np.exp(log)
    return StaticPixels(pixels.frame, pixels.row, pixels.column, depth)


def _factor(
    points: np.ndarray, observed: Observations, t: int, T: np.ndarray, matrix: np.ndarray, scale: float
) -> np.ndarray:
    """Depth seen in frame t over the points' depth there (N,); NaN where the frame does not see them."""
    local = points @ T[:3, :3].T + T[:3, 3]
    z = np.maximum(local[:, 2], 1e-6)
    height, width = observed.depth.shape[1:]
    column = np.floor(local[:, 0] / z * matrix[0, 0] + matrix[0, 2]).astype(int)
    row = np.floor(local[:, 1] / z * matrix[1, 1] + matrix[1, 2]).astype(int)
    inside = (local[:, 2] > 0.1) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    at = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
    seen = scale * observed.depth[t][at].astype(np.float32)
    ratio = seen / z
    good = inside & (seen > 0) & (observed.mask[t][at] == 0) & (np.abs(ratio - 1) < AGREE_SHARE)
    return np.where(good, ratio, np.nan)
