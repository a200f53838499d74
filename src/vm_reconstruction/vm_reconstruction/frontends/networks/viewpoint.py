"""Where the camera is and which way is up: from result files, the background's rotation, or upright edges."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vm_core.errors import VmError
from vm_reconstruction.frontends.networks.result_files import (
    CameraResult,
    read_geocalib_up,
    read_megasam,
    read_monst3r,
    read_tram_cameras,
)
from vm_reconstruction.frontends.pose_frontend import PoseLandmarks
from vm_reconstruction.geometry import vertical_lines
from vm_reconstruction.progress import warn
from vm_reconstruction.stages import camera, gravity, straight_edges
from vm_reconstruction.stages.frames import FrameSource, read_frames

LEVEL_UP = (0.0, -1.0, 0.0)  # in the first camera's axes: phones are held level; all frames refine it
LEVEL_STD = np.radians(8.0)  # they look up or down as much


def of_file(given: dict[str, str], source: FrameSource, size: tuple[int, int]) -> CameraResult:
    """What the config's `cameras` names, as long as the video; size (w, h) of its depth.

    Raises:
        VmError: no such kind of cameras, a broken file, or one of another video.
    """
    for name, read in (("megasam", read_megasam), ("monst3r", read_monst3r)):
        if name in given:
            return _fitting(read(Path(given[name]), size), given[name], source)
    if "tram" in given:
        return _fitting(read_tram_cameras(Path(given["tram"])), given["tram"], source)
    raise VmError(f"cameras: {', '.join(given)}; expected colmap, megasam, monst3r or tram")


def of_background(source: FrameSource, seen: PoseLandmarks) -> CameraResult:
    """Rotation alone, from features around the person."""
    turned = camera.track(source, seen, lambda: None).R_cam_first
    return CameraResult(turned.transpose(0, 2, 1), np.zeros((len(turned), 3)), None, source.focal_px / source.width)


def with_told_focal(source: FrameSource, told: float | None) -> FrameSource:
    """The same with a depth model's focal length [share of the width] in place of an assumed one."""
    if told is None or "assumed" not in source.focal_source:
        return source
    fov = 2.0 * np.degrees(np.arctan(0.5 / told))
    warn(f"the file tells no focal length; the depth model's is used: {fov:.0f} deg across the picture")
    return replace(source, focal_px=told * source.width, focal_source="the depth model")


def up(
    given: Any, cameras: CameraResult, source: FrameSource, matrix: np.ndarray, masks: list[np.ndarray]
) -> np.ndarray:
    """(3,) in the first camera's axes: as the config's `up` says; else a level phone's, with what upright edges tell.

    Args:
        given: None, a vector, or {"geocalib": file}.
        cameras: of all frames.
        source: the video.
        matrix: (3, 3) intrinsics [px].
        masks: (T, h, w) bool of each person; edges of people are not upright.
    """
    if isinstance(given, dict):
        return read_geocalib_up(Path(given["geocalib"]), cameras.R_world_camera)
    if given is not None:
        return np.array(given, np.float64)
    edges = straight_edges.around_people(read_frames(source), np.any(masks, axis=0))
    none = np.zeros(source.num_frames)
    motion = camera.CameraMotion(matrix, cameras.R_world_camera.transpose(0, 2, 1), none, none, "", *edges)
    level = np.array(LEVEL_UP)
    return vertical_lines.blended(level, LEVEL_STD, gravity.upright_edges(level, motion)).up


def _fitting(found: CameraResult, name: str, source: FrameSource) -> CameraResult:
    if len(found.center) != source.num_frames:
        raise VmError(
            f"{name} has {len(found.center)} frames, {source.path} {source.num_frames}; expected the same "
            "(give it the same frames)"
        )
    return found
