"""Results of other projects as parts of observations: MegaSaM's cameras and depth, GVHMR's body pose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vm_core.errors import VmError
from vm_reconstruction.inputs import smpl
from vm_reconstruction.inputs.named_joints import motion_of_points
from vm_reconstruction.solver.body_problem import POINTS

_HIPS = [POINTS.index("left_hip"), POINTS.index("right_hip")]


@dataclass(frozen=True)
class CameraResult:
    """T frames: R_world_camera (T, 3, 3), center (T, 3), depth (T, h, w) or None [one unit], focal_share: focal length
    over the picture's width."""

    R_world_camera: np.ndarray
    center: np.ndarray
    depth: np.ndarray | None
    focal_share: float


def read_megasam(path: Path, size: tuple[int, int]) -> CameraResult:
    """MegaSaM's `..._droid.npz` or `..._sgd_cvd_hr.npz`: depths, intrinsic, cam_c2w; depth resized to `size` (w, h).

    Raises:
        VmError: no such file, or another one.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            depths, poses, matrix = data["depths"], data["cam_c2w"].astype(np.float64), data["intrinsic"]
    except (OSError, ValueError, KeyError) as error:
        raise VmError(
            f"{path} is no result of MegaSaM ({error}); expected an .npz with depths, cam_c2w, intrinsic"
        ) from None
    if depths.ndim != 3 or poses.shape != (len(depths), 4, 4) or matrix.shape != (3, 3):
        raise VmError(f"{path}: depths {depths.shape}, cam_c2w {poses.shape}, intrinsic {matrix.shape} do not fit")
    small = np.stack([cv2.resize(d.astype(np.float32), size, interpolation=cv2.INTER_NEAREST) for d in depths])
    small = np.where(np.isfinite(small) & (small > 0.0), small, 0.0).astype(np.float16)
    first = np.linalg.inv(poses[0])
    poses = first @ poses
    return CameraResult(poses[:, :3, :3], poses[:, :3, 3], small, float(matrix[0, 0]) / depths.shape[2])


def read_gvhmr_points(path: Path, model: Path) -> np.ndarray:
    """(T, 17, 3) [m] in camera axes, relative to the middle of the hips, of GVHMR's `smpl_params_incam`."""
    joints, names, fps = smpl.read_gvhmr(path, model, key="smpl_params_incam")
    # sole points are made in a world with z up; the camera's axes are turned there and back
    up = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    motion = motion_of_points(joints @ up.T, names, fps)
    points = np.stack([motion.joint(name) for name in POINTS], axis=1) @ up
    return points - points[:, _HIPS].mean(axis=1, keepdims=True)
