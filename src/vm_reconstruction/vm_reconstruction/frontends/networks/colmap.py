"""COLMAP's and pycolmap's sparse models as cameras: {cameras,images,points3D}.bin or .txt of a folder like sparse/0.

Formats: https://colmap.github.io/format.html. Distortion is not used: give COLMAP undistorted pictures, or lenses that
hardly bend lines.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vm_core.errors import VmError
from vm_core.frames import matrix_from_quat, quat_from_matrix, quat_slerp
from vm_reconstruction.frontends.networks.result_files import CameraResult
from vm_reconstruction.progress import warn

# How many numbers each camera model has, in COLMAP's order of models; the first is the focal length.
_PARAMETERS = (3, 4, 4, 5, 8, 8, 12, 5, 4, 5, 12)
MIN_POINTS = 20  # that depth must know, for the unit to be found
MIN_SHARE = 0.3  # of the frames' span that must have been placed


@dataclass(frozen=True)
class _Image:
    """One placed picture: x_camera = R x_world + t; seen (N, 2) [px] and the ids (N,) of its points."""

    name: str
    R: np.ndarray
    t: np.ndarray
    camera: int
    seen: np.ndarray
    ids: np.ndarray


def read_colmap(folder: Path, num_frames: int) -> tuple[CameraResult, np.ndarray]:
    """Cameras of all frames, and (N, 4) frame, column and row as shares of the picture, depth [COLMAP's unit].

    A picture's name ends in its frame's number, from 0 (from 1 if one is num_frames). Frames that COLMAP did not place
    are filled in between their neighbours, and said so.

    Raises:
        VmError: no sparse model, or too few frames placed.
    """
    try:
        read = (_binary_cameras, _binary_images, _binary_points)
        if not (folder / "images.bin").is_file():
            read = (_text_cameras, _text_images, _text_points)
        cameras, images, points = read[0](folder), list(read[1](folder)), read[2](folder)
        sizes = {image.name: cameras[image.camera] for image in images}
    except (OSError, ValueError, KeyError, IndexError, struct.error, UnicodeDecodeError) as error:
        raise VmError(
            f"{folder} is no sparse model of COLMAP ({type(error).__name__}: {error}); expected cameras, images and "
            "points3D as .bin or .txt"
        ) from None
    frames = _frames(images, num_frames, folder)
    R, center = _all_frames(images, frames, num_frames)
    focal = float(np.median([sizes[i.name][2] / sizes[i.name][0] for i in images]))
    sparse = [_depths(image, frame, sizes[image.name], points) for image, frame in zip(images, frames, strict=True)]
    R_first, center_first = R[0], center[0]
    return CameraResult(R_first.T @ R, (center - center_first) @ R_first, None, focal), np.concatenate(sparse)


def in_units_of(cameras: CameraResult, sparse: np.ndarray, depth: np.ndarray) -> CameraResult:
    """The cameras in the unit of depth (T, h, w): both tell how far COLMAP's points are; 0 is unknown."""
    height, width = depth.shape[1:]
    column, row = (sparse[:, 1] * width).astype(int), (sparse[:, 2] * height).astype(int)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (sparse[:, 3] > 0)
    told = depth[sparse[inside, 0].astype(int), row[inside], column[inside]].astype(float)
    ratio = told[told > 0] / sparse[inside, 3][told > 0]
    if len(ratio) < MIN_POINTS:
        raise VmError(f"depth is known at {len(ratio)} of COLMAP's points; expected at least {MIN_POINTS}")
    return replace(cameras, center=cameras.center * float(np.median(ratio)))


def _frames(images: list[_Image], num_frames: int, folder: Path) -> np.ndarray:
    numbers = [re.findall(r"\d+", Path(image.name).stem) for image in images]
    if not images or not all(numbers):
        raise VmError(f"{folder}: names of pictures must end in the frame's number, as frame_0012.png")
    frames = np.array([int(found[-1]) for found in numbers])
    frames = frames - 1 if num_frames in frames and 0 not in frames else frames
    if frames.max() >= num_frames or len(np.unique(frames)) != len(frames):
        raise VmError(f"{folder}: pictures up to number {frames.max()}; the video has {num_frames} frames")
    if np.ptp(frames) < MIN_SHARE * (num_frames - 1):
        raise VmError(f"{folder} places frames {frames.min()} to {frames.max()} of {num_frames}; expected most of them")
    if len(frames) < num_frames:
        warn(f"COLMAP placed {len(frames)} of {num_frames} frames; the cameras between them are guesses")
    return frames


def _all_frames(images: list[_Image], frames: np.ndarray, num_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """R_world_camera (T, 3, 3) and centres (T, 3); before the first and after the last placed frame they stay."""
    order = np.argsort(frames)
    at = frames[order]
    R = np.stack([images[k].R.T for k in order])
    center = np.stack([-images[k].R.T @ images[k].t for k in order])
    every = np.arange(num_frames)
    after = np.clip(np.searchsorted(at, every), 1, max(1, len(at) - 1))
    if len(at) == 1:
        return np.repeat(R, num_frames, axis=0), np.repeat(center, num_frames, axis=0)
    share = np.clip((every - at[after - 1]) / (at[after] - at[after - 1]), 0.0, 1.0)
    quat = quat_from_matrix(R)
    turned = matrix_from_quat(quat_slerp(quat[after - 1], quat[after], share))
    return turned, center[after - 1] + share[:, None] * (center[after] - center[after - 1])


def _depths(image: _Image, frame: int, size: tuple[float, float, float], points: dict[int, np.ndarray]) -> np.ndarray:
    known = np.array([int(i) in points for i in image.ids], bool)
    if not known.any():
        return np.zeros((0, 4))
    world = np.stack([points[int(i)] for i in image.ids[known]])
    z = world @ image.R[2] + image.t[2]
    return np.column_stack([np.full(len(z), frame), image.seen[known] / size[:2], z])


def _binary_cameras(folder: Path) -> dict[int, tuple[float, float, float]]:
    data, at, found = (folder / "cameras.bin").read_bytes(), 8, {}
    for _ in range(struct.unpack_from("<Q", data)[0]):
        camera, model, width, height = struct.unpack_from("<iiQQ", data, at)
        found[camera] = (width, height, struct.unpack_from("<d", data, at + 24)[0])
        at += 24 + 8 * _PARAMETERS[model]
    return found


def _binary_images(folder: Path) -> Iterator[_Image]:
    data, at = (folder / "images.bin").read_bytes(), 8
    for _ in range(struct.unpack_from("<Q", data)[0]):
        values = struct.unpack_from("<i7di", data, at)
        end = data.index(b"\0", at + 64)
        name, count = data[at + 64 : end].decode(), struct.unpack_from("<Q", data, end + 1)[0]
        seen = np.frombuffer(data, np.dtype([("xy", "<f8", 2), ("id", "<i8")]), count, end + 9)
        R, t = matrix_from_quat(np.array(values[1:5])), np.array(values[5:8])
        yield _Image(name, R, t, values[8], seen["xy"], seen["id"])
        at = end + 9 + 24 * count


def _binary_points(folder: Path) -> dict[int, np.ndarray]:
    data, at, found = (folder / "points3D.bin").read_bytes(), 8, {}
    for _ in range(struct.unpack_from("<Q", data)[0]):
        values = struct.unpack_from("<Q3d", data, at)
        found[values[0]] = np.array(values[1:])
        at += 51 + 8 * struct.unpack_from("<Q", data, at + 43)[0]
    return found


def _lines(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]


def _text_cameras(folder: Path) -> dict[int, tuple[float, float, float]]:
    return {int(v[0]): (float(v[2]), float(v[3]), float(v[4])) for v in _lines(folder / "cameras.txt") if v}


def _text_images(folder: Path) -> Iterator[_Image]:
    lines = _lines(folder / "images.txt")  # two a picture, the second may be empty
    for head, tail in zip(lines[::2], [*lines[1::2], []], strict=False):
        pose, seen = np.array(head[1:8], float), np.array(tail, float).reshape(-1, 3)
        yield _Image(" ".join(head[9:]), matrix_from_quat(pose[:4]), pose[4:], int(head[8]), seen[:, :2], seen[:, 2])


def _text_points(folder: Path) -> dict[int, np.ndarray]:
    return {int(v[0]): np.array(v[1:4], float) for v in _lines(folder / "points3D.txt") if v}
