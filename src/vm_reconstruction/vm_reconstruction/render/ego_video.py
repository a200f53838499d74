"""Writes an ego view: a video of colour beside depth, and the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from vm_core.atomic_files import atomic_path
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset
from vm_reconstruction.render.ego_view import EgoConfig, Place, camera_poses, ego_frames
from vm_sim.render import write_video

SHOWN_M = 4.0  # depths beyond are all of one colour in the video


def write_ego(out: Path, clip: MotionClip, scene: SceneAsset, config: EgoConfig, place: Place | None = None) -> None:
    """Writes OUT/ego.mp4 and OUT/ego.npz.

    The .npz holds rgb (T, h, w, 3) uint8, depth (T, h, w) float16 [m, along the optical axis, 0 unknown], matrix,
    T_world_camera (T, 4, 4) with axes x right, y down, z forward, and fps.
    """
    rgb = np.zeros((clip.num_frames, config.height, config.width, 3), np.uint8)
    depths = np.zeros(rgb.shape[:3], np.float16)

    def kept() -> Iterator[np.ndarray]:
        for k, (picture, depth) in enumerate(ego_frames(clip, scene, config, place)):
            rgb[k], depths[k] = picture, depth
            yield np.concatenate([picture, _colored(depth)], axis=1)

    write_video(out / "ego.mp4", kept(), clip.fps, clip.num_frames, "ego view")
    with atomic_path(out / "ego.npz") as temporary, temporary.open("wb") as file:
        poses = camera_poses(clip)
        np.savez_compressed(file, rgb=rgb, depth=depths, matrix=config.matrix, T_world_camera=poses, fps=clip.fps)


def _colored(depth: np.ndarray) -> np.ndarray:
    shade = (255 * (1.0 - np.clip(depth / SHOWN_M, 0.0, 1.0))).astype(np.uint8)
    picture = np.asarray(cv2.applyColorMap(shade, cv2.COLORMAP_TURBO), np.uint8)[..., ::-1].copy()
    picture[depth == 0.0] = 0
    return picture
