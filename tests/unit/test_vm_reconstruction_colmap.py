"""Sparse models of COLMAP, text and binary, written here as its documentation says: cameras, gaps, and the unit."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from vm_core.errors import VmError
from vm_core.frames import quat_from_matrix
from vm_reconstruction.frontends.networks.colmap import in_units_of, read_colmap
from vm_reconstruction.solver.joint import so3

WIDTH, HEIGHT, FOCAL, FRAMES = 640, 480, 500.0, 11


def _cameras() -> tuple[np.ndarray, np.ndarray]:
    """R_world_camera (T, 3, 3) and centres (T, 3): a slow turn and a walk to the right."""
    share = np.linspace(0.0, 1.0, FRAMES)[:, None]
    return so3.exp(share * [0.1, 0.4, 0.0]), share * [1.5, 0.0, 0.3] + [4.0, 5.0, 6.0]


def _points() -> np.ndarray:
    return np.random.default_rng(0).uniform([3.5, 4.0, 9.0], [6.5, 6.0, 13.0], (60, 3))


def _seen(frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 2) and depths (N,) of all points."""
    R, center = (values[frame] for values in _cameras())
    local = (_points() - center) @ R
    return local[:, :2] / local[:, 2:] * FOCAL + [WIDTH / 2, HEIGHT / 2], local[:, 2]


def _pose(frame: int) -> np.ndarray:
    R, center = (values[frame] for values in _cameras())
    return np.concatenate([quat_from_matrix(R.T), -R.T @ center])


def _write_text(folder: Path, frames: list[int]) -> None:
    (folder / "cameras.txt").write_text(f"# one\n3 SIMPLE_RADIAL {WIDTH} {HEIGHT} {FOCAL} 320 240 0.01\n")
    lines = ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME"]
    for t in frames:
        lines.append(f"{t + 1} {' '.join(map(repr, _pose(t).tolist()))} 3 frame_{t:04d}.png")
        lines.append(" ".join(f"{x} {y} {k}" for k, (x, y) in enumerate(_seen(t)[0].tolist())))
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    points = (f"{k} {x} {y} {z} 9 9 9 0.5 1 {k}" for k, (x, y, z) in enumerate(_points().tolist()))
    (folder / "points3D.txt").write_text("\n".join(points) + "\n")


def _write_binary(folder: Path, frames: list[int]) -> None:
    camera = struct.pack("<iiQQ4d", 3, 2, WIDTH, HEIGHT, FOCAL, 320.0, 240.0, 0.01)
    (folder / "cameras.bin").write_bytes(struct.pack("<Q", 1) + camera)
    images = struct.pack("<Q", len(frames))
    for t in frames:
        images += struct.pack("<i7di", t + 1, *_pose(t), 3) + f"frame_{t:04d}.png".encode() + b"\0"
        seen = _seen(t)[0]
        images += struct.pack("<Q", len(seen)) + b"".join(struct.pack("<ddq", x, y, k) for k, (x, y) in enumerate(seen))
    (folder / "images.bin").write_bytes(images)
    points = b"".join(
        struct.pack("<Q3d3BdQ2i", k, *xyz, 9, 9, 9, 0.5, 1, 1, k) for k, xyz in enumerate(_points().tolist())
    )
    (folder / "points3D.bin").write_bytes(struct.pack("<Q", len(_points())) + points)


@pytest.mark.parametrize("write", [_write_text, _write_binary])
def test_cameras_come_back_and_missing_frames_lie_between(tmp_path: Path, capsys, write) -> None:
    write(tmp_path, [t for t in range(FRAMES) if t not in (3, 4)])
    cameras, sparse = read_colmap(tmp_path, FRAMES)
    R, center = _cameras()
    np.testing.assert_allclose(cameras.R_world_camera, R[0].T @ R, atol=1e-6)
    np.testing.assert_allclose(cameras.center, (center - center[0]) @ R[0], atol=1e-6)
    assert cameras.focal_share == pytest.approx(FOCAL / WIDTH) and cameras.depth is None
    assert f"COLMAP placed {FRAMES - 2} of {FRAMES} frames" in capsys.readouterr().err
    np.testing.assert_allclose(sparse[sparse[:, 0] == 2, 3], _seen(2)[1], atol=1e-6)


def test_the_unit_is_that_of_the_depth(tmp_path: Path) -> None:
    """Depth says 2.5 times what COLMAP says, at some points something else is in front."""
    _write_text(tmp_path, list(range(FRAMES)))
    cameras, sparse = read_colmap(tmp_path, FRAMES)
    depth = np.zeros((FRAMES, HEIGHT, WIDTH), np.float16)
    for t in range(FRAMES):
        (x, y), z = _seen(t)[0].astype(int).T, 2.5 * _seen(t)[1]
        inside = (x >= 0) & (x < WIDTH) & (y >= 0) & (y < HEIGHT)
        depth[t, y[inside], x[inside]] = np.where(np.arange(len(z)) < 10, 1.0, z)[inside]
    scaled = in_units_of(cameras, sparse, depth)
    np.testing.assert_allclose(scaled.center, 2.5 * cameras.center, rtol=0.01)
    with pytest.raises(VmError, match="depth is known at 0 of COLMAP's points"):
        in_units_of(cameras, sparse, np.zeros_like(depth))


def test_what_is_no_model_or_of_another_video_is_named(tmp_path: Path) -> None:
    with pytest.raises(VmError, match="is no sparse model of COLMAP"):
        read_colmap(tmp_path, FRAMES)
    _write_binary(tmp_path, [0, 1, 2])
    with pytest.raises(VmError, match="places frames 0 to 2 of 30"):
        read_colmap(tmp_path, 30)
    with pytest.raises(VmError, match="pictures up to number 2; the video has 2 frames"):
        _write_binary(tmp_path, [0, 2])
        read_colmap(tmp_path, 2)
    (tmp_path / "images.bin").write_bytes((tmp_path / "images.bin").read_bytes()[:200])
    with pytest.raises(VmError, match="is no sparse model of COLMAP"):
        read_colmap(tmp_path, FRAMES)
