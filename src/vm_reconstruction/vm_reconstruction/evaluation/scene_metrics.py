"""How far the estimated static points are from the true ones."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from vm_reconstruction.datasets.synthetic.video_truth import VideoTruth
from vm_reconstruction.evaluation.protocol import similarity
from vm_reconstruction.geometry.clouds import StaticPixels

VOXEL_M = 0.02


def true_points(pixels: StaticPixels, truth: VideoTruth) -> np.ndarray:
    """(N, 3) [m, world] what the same pixels really show."""
    depth = truth.depth[pixels.frame, pixels.row, pixels.column].astype(float)
    exact = StaticPixels(pixels.frame, pixels.row, pixels.column, depth)
    return exact.points(truth.depth_matrix, truth.T_world_camera)


def chamfer(estimate: np.ndarray, truth: np.ndarray) -> float:
    """VideoMimic's protocol: points (N, 3) aligned rigidly, 2 cm voxels, mean of both mean distances [m]."""
    R, t, _ = similarity(estimate, truth, scale=False)
    a, b = _voxels(estimate @ R.T + t), _voxels(truth)
    return 0.5 * float(cKDTree(b).query(a)[0].mean() + cKDTree(a).query(b)[0].mean())


def _voxels(points: np.ndarray) -> np.ndarray:
    """One mean point per occupied voxel."""
    keys = np.floor(points / VOXEL_M).astype(np.int64)
    _, index = np.unique(keys, axis=0, return_inverse=True)
    count = np.bincount(index.ravel())
    return np.stack([np.bincount(index.ravel(), points[:, k]) / count for k in range(3)], axis=1)
