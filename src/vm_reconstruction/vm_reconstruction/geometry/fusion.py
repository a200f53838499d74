"""Many depth pictures as one signed distance: what frames say of a place is averaged, what one alone says is outvoted.

Truncated signed distances as in Curless and Levoy, A Volumetric Method for Building Complex Models from Range Images,
1996. Space in front of what is seen is known to be free, so points that fly there in a few frames leave nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_reconstruction.geometry.clouds import StaticPixels

FINEST_M, MOST_VOXELS = 0.04, 1_500_000  # edge of a voxel: as fine as the number of voxels allows
TRUNCATION_VOXELS = 3.0  # so far behind a surface its picture says something


@dataclass(frozen=True)
class Volume:
    """Signed distances, positive in front of surfaces.

    Attributes:
        low: (3,) place of the first voxel's middle [m, world]; voxel_m: edge.
        distance: (X, Y, Z) in truncations, -1..1; weight: (X, Y, Z), 0 where no frame looked.
    """

    low: np.ndarray
    voxel_m: float
    distance: np.ndarray
    weight: np.ndarray


def depth_maps(pixels: StaticPixels, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Frames (F,) and their depth pictures (F, h, w) [m], 0 where no pixel was chosen."""
    frames = np.unique(pixels.frame)
    maps = np.zeros((len(frames), *shape), np.float32)
    maps[np.searchsorted(frames, pixels.frame), pixels.row, pixels.column] = pixels.depth
    return frames, maps


def fused(
    maps: np.ndarray, matrix: np.ndarray, T_world_camera: np.ndarray, low: np.ndarray, high: np.ndarray
) -> Volume:
    """The volume between corners low and high (3,) [m, world]; maps (F, h, w) [m], matrix (3, 3), poses (F, 4, 4)."""
    voxel = max(FINEST_M, float(np.prod(high - low) / MOST_VOXELS) ** (1 / 3))
    size = np.maximum(np.ceil((high - low) / voxel).astype(int) + 1, 2)
    total, weight = np.zeros(size, np.float32), np.zeros(size, np.float32)
    plane = np.stack(np.meshgrid(*(np.arange(n) * voxel for n in size[1:]), indexing="ij"), axis=-1).reshape(-1, 2)
    for x in range(size[0]):  # one slice at a time: its arrays stay in the processor's cache
        places = np.column_stack([np.full(len(plane), low[0] + x * voxel), plane + low[1:]])
        for depth, T in zip(maps, T_world_camera, strict=True):
            distance, trust = _seen((places - T[:3, 3]) @ T[:3, :3], depth, matrix, TRUNCATION_VOXELS * voxel)
            total[x] += (trust * distance).reshape(total.shape[1:])
            weight[x] += trust.reshape(total.shape[1:])
    return Volume(np.asarray(low, float), voxel, total / np.maximum(weight, 1e-9), weight)


def _seen(
    local: np.ndarray, depth: np.ndarray, matrix: np.ndarray, truncation_m: float
) -> tuple[np.ndarray, np.ndarray]:
    """Distance in front of the surface (N,), in truncations, and its weight, for points (N, 3) in camera axes."""
    z = local[:, 2]
    front = np.flatnonzero(z > truncation_m)
    uv = local[front, :2] / z[front, None] * matrix[[0, 1], [0, 1]] + matrix[:2, 2]
    inside = np.all((uv >= 0) & (uv < np.array(depth.shape[::-1])), axis=1)
    front, uv = front[inside], uv[inside].astype(int)
    seen = depth[uv[:, 1], uv[:, 0]]
    ahead = seen - z[front]
    known = (seen > 0) & (ahead > -truncation_m)
    distance, weight = np.zeros(len(z)), np.zeros(len(z))
    distance[front[known]] = np.minimum(ahead[known] / truncation_m, 1.0)
    weight[front[known]] = 1.0 / np.maximum(seen[known], 0.5) ** 2  # depth errs by a share of itself
    return distance, weight
