"""How far the estimated static points are from the true ones."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from vm_reconstruction.datasets.synthetic.video_truth import VideoTruth
from vm_reconstruction.evaluation.protocol import similarity
from vm_reconstruction.geometry import planes
from vm_reconstruction.geometry.clouds import StaticPixels

VOXEL_M = 0.02
# Planes hold points within a share of their distance, for that is how depth errs.
PLANE_TOLERANCE_SHARE, PLANE_MIN_TOLERANCE_M, PLANE_MIN_SHARE, MOST_PLANES = 0.025, 0.03, 0.01, 15


def plane_tolerance(depth_m: np.ndarray) -> np.ndarray:
    """(N,) how far [m] from its plane a point of a depth (N,) may be."""
    return np.maximum(PLANE_TOLERANCE_SHARE * depth_m, PLANE_MIN_TOLERANCE_M)


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


def plane_error(estimate: np.ndarray, truth: np.ndarray, tolerance_m: np.ndarray) -> float:
    """Mean distance [m] of true points (N, 3) from the planes that the same pixels' estimated points (N, 3) lie on.

    Aligned rigidly; planes hold points within tolerance_m (N,).
    """
    R, t, _ = similarity(truth, estimate, scale=False)
    there = truth @ R.T + t
    found = planes.find_planes(estimate, tolerance_m, PLANE_MIN_SHARE, MOST_PLANES)
    off = [np.abs(there[plane.members] @ plane.normal - plane.offset) for plane in found]
    return float(np.concatenate(off).mean()) if off else float("nan")


def _voxels(points: np.ndarray) -> np.ndarray:
    """One mean point per occupied voxel."""
    keys = np.floor(points / VOXEL_M).astype(np.int64)
    _, index = np.unique(keys, axis=0, return_inverse=True)
    count = np.bincount(index.ravel())
    return np.stack([np.bincount(index.ravel(), points[:, k]) / count for k in range(3)], axis=1)
