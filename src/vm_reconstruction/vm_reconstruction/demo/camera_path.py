"""A phone held by hand: pinhole intrinsics, slow pan after the person, small shake."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

WIDTH, HEIGHT = 640, 480
FOCAL_35MM_EQUIVALENT = 29.0  # a phone's main camera while filming, written into the file as phones do
POSITION_WORLD = np.array([2.55, -2.95, 1.42])
SHAKE_RAD, SWAY_M = 0.006, 0.008
PAN_SHARE = 0.30  # of the person's way that the camera follows


@dataclass(frozen=True)
class CameraPath:
    """matrix (3, 3) [px]; T_world_camera (T, 4, 4), camera x right, y down, z forward [m]."""

    matrix: np.ndarray
    T_world_camera: np.ndarray


def intrinsics() -> np.ndarray:
    """Pinhole matrix [px]: the 35 mm equivalent refers to 36 mm along the picture's longer side."""
    focal = FOCAL_35MM_EQUIVALENT / 36.0 * max(WIDTH, HEIGHT)
    return np.array([[focal, 0.0, WIDTH / 2], [0.0, focal, HEIGHT / 2], [0.0, 0.0, 1.0]])


def wander(rng: np.random.Generator, frames: int, fps: float, size: float) -> np.ndarray:
    """Smooth random walk around zero (T, 3) with the given standard deviation."""
    noise = rng.standard_normal((frames + 200, 3))
    slow = gaussian_filter1d(noise, 0.55 * fps, axis=0) * 8 + gaussian_filter1d(noise, 0.12 * fps, axis=0)
    return size * (slow / slow.std(axis=0))[100:-100]


def look_at(position: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) of a level camera (x right, y down, z forward) at position (3,) that sees target (3,) [m]."""
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return np.column_stack([right, np.cross(forward, right), forward])


def hand_held(pelvis_world: np.ndarray, fps: float, seed: int) -> CameraPath:
    """Camera poses (T, 4, 4) that keep the person (T, 3) [m] in view from the front and side."""
    rng = np.random.default_rng(seed)
    frames = len(pelvis_world)
    follow = gaussian_filter1d(pelvis_world, 0.5 * fps, axis=0, mode="nearest")
    center = pelvis_world.mean(axis=0) * [1, 1, 0] + [-0.05, 0.0, 1.00]
    target = center + PAN_SHARE * (follow - follow.mean(axis=0))
    shake, sway = wander(rng, frames, fps, SHAKE_RAD), wander(rng, frames, fps, SWAY_M)
    poses = np.tile(np.eye(4), (frames, 1, 1))
    for k in range(frames):
        poses[k, :3, 3] = POSITION_WORLD + sway[k]
        poses[k, :3, :3] = look_at(POSITION_WORLD, target[k]) @ Rotation.from_rotvec(shake[k]).as_matrix()
    return CameraPath(intrinsics(), poses)
