"""Results of other projects as parts of observations: cameras and depth, body pose, the vertical."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vm_core.errors import VmError
from vm_core.frames import matrix_from_quat
from vm_reconstruction.inputs import smpl, tram
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
    return _from_first(poses, _shrunk(depths, size), float(matrix[0, 0]) / depths.shape[2])


def read_monst3r(folder: Path, size: tuple[int, int]) -> CameraResult:
    """MonST3R's result folder (also Align3R's and Easi3R's): pred_traj.txt, pred_intrinsics.txt, frame_NNNN.npy.

    The trajectory has a line a frame: time, x y z, quaternion w x y z of the camera in the world (w first, unlike TUM's
    own files). Depth is resized to `size` (w, h).

    Raises:
        VmError: no such folder, or files that do not fit.
    """
    try:
        rows = np.loadtxt(folder / "pred_traj.txt", ndmin=2)
        matrices = np.loadtxt(folder / "pred_intrinsics.txt", ndmin=2)
        depths = [np.load(path, allow_pickle=False) for path in sorted(folder.glob("frame_*.npy"))]
    except (OSError, ValueError) as error:
        raise VmError(
            f"{folder} is no result of MonST3R ({error}); expected pred_traj.txt, pred_intrinsics.txt, frame_0000.npy …"
        ) from None
    if rows.shape != (len(depths), 8) or matrices.shape[1] != 9 or len(matrices) not in (1, len(depths)):
        raise VmError(
            f"{folder}: {len(depths)} depths, trajectory {rows.shape}, intrinsics {matrices.shape} do not fit; "
            "expected a line of 8 and one of 9 numbers a frame"
        )
    if any(depth.ndim != 2 or depth.shape != depths[0].shape for depth in depths):
        raise VmError(f"{folder}: the depths are not pictures of one size")
    poses = np.tile(np.eye(4), (len(rows), 1, 1))
    poses[:, :3, :3], poses[:, :3, 3] = matrix_from_quat(rows[:, 4:]), rows[:, 1:4]
    return _from_first(poses, _shrunk(depths, size), float(np.median(matrices[:, 0])) / depths[0].shape[1])


def read_tram_cameras(path: Path) -> CameraResult:
    """TRAM's `camera.npy`: pred_cam_R, pred_cam_T [m], img_focal and img_center [px]; it has no depth.

    Raises:
        VmError: no such file, or another one.
    """
    values = tram.dictionary(path, ("pred_cam_R", "pred_cam_T", "img_focal", "img_center"))
    turn, center = values["pred_cam_R"].astype(np.float64), values["pred_cam_T"].astype(np.float64)
    if turn.shape[1:] != (3, 3) or center.shape != (len(turn), 3) or values["img_center"].size != 2:
        raise VmError(f"{path}: rotations {turn.shape}, centres {center.shape} do not fit")
    poses = np.tile(np.eye(4), (len(turn), 1, 1))
    poses[:, :3, :3], poses[:, :3, 3] = turn, center
    poses = np.linalg.inv(poses[0]) @ poses
    focal_share = float(values["img_focal"]) / (2.0 * float(values["img_center"].ravel()[0]))
    return CameraResult(poses[:, :3, :3], poses[:, :3, 3], None, focal_share)


def read_geocalib_up(path: Path, R_world_camera: np.ndarray) -> np.ndarray:
    """Up (3) in the first camera's axes, the median of the vectors that GeoCalib gave for frames.

    Args:
        path: .npz (under the name gravity) or .npy with `results["gravity"].vec3d`, (3,) for the first frame or (T, 3)
            for all. GeoCalib's vector points up (0, -1, 0 for a level camera: x right, y down).
        R_world_camera: (T, 3, 3) of the frames.

    Raises:
        VmError: another file, or not as many vectors as frames.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        up = np.asarray(loaded["gravity"] if isinstance(loaded, np.lib.npyio.NpzFile) else loaded, float).reshape(-1, 3)
    except (OSError, ValueError, KeyError) as error:
        raise VmError(f"{path} has no vectors of GeoCalib ({error}); expected gravity, (3,) or (T, 3)") from None
    lengths = np.linalg.norm(up, axis=1)
    if len(up) not in (1, len(R_world_camera)) or not (np.isfinite(up).all() and (lengths > 0.5).all()):
        raise VmError(f"{path} has {len(up)} vectors for {len(R_world_camera)} frames; expected 1 or as many")
    in_first = np.einsum("tij,tj->ti", R_world_camera[: len(up)], up / lengths[:, None])
    middle = np.median(in_first, axis=0)
    return middle / np.linalg.norm(middle)


def _shrunk(depths, size: tuple[int, int]) -> np.ndarray:
    """(T, h, w) float16, 0 where there is no distance."""
    small = np.stack([cv2.resize(d.astype(np.float32), size, interpolation=cv2.INTER_NEAREST) for d in depths])
    return np.where(np.isfinite(small) & (small > 0.0), small, 0.0).astype(np.float16)


def _from_first(poses: np.ndarray, depth: np.ndarray, focal_share: float) -> CameraResult:
    """The same cameras (T, 4, 4), seen from the first."""
    poses = np.linalg.inv(poses[0]) @ poses
    return CameraResult(poses[:, :3, :3], poses[:, :3, 3], depth, focal_share)


def read_gvhmr_points(path: Path, model: Path) -> np.ndarray:
    """(T, 17, 3) [m] in camera axes, relative to the middle of the hips, of GVHMR's `smpl_params_incam`."""
    points = points_in_camera(*smpl.read_gvhmr(path, model, key="smpl_params_incam"))
    return points - points[:, _HIPS].mean(axis=1, keepdims=True)


def points_in_camera(joints: np.ndarray, names: list[str], fps: float) -> np.ndarray:
    """Our 17 points (T, 17, 3) [m] of joints (T, N, 3) in camera axes."""
    # sole points are made in a world with z up; the camera's axes are turned there and back
    up = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    motion = motion_of_points(joints @ up.T, names, fps)
    return np.stack([motion.joint(name) for name in POINTS], axis=1) @ up
