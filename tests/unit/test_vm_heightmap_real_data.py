"""Real recordings: registration of an outdoor LiDAR pair with its no-returns in, and stairs seen by a depth camera."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import trimesh

from vm_core.height_grid import CellSource
from vm_heightmap.elevation_map import ElevationMap, MapConfig
from vm_heightmap.plane_map import PlaneMap, PlaneMapConfig
from vm_heightmap.registration import RegistrationConfig, register
from vm_heightmap.scan_input import scan_from_cloud

DATA = Path(os.environ.get("VM_SHARED_DATA", Path(__file__).parents[2].parent / "shared" / "data")) / "lidar"


def needs(*names: str) -> list[Path]:
    paths = [DATA / name for name in names]
    for path in paths:
        if not path.is_file():
            pytest.skip(f"needs lidar/{path.name}")
    return paths


def test_an_outdoor_pair_registers_with_its_no_returns_in() -> None:
    source_path, target_path, truth_path = needs(
        "small_gicp_source.ply", "small_gicp_target.ply", "small_gicp_T_target_source.txt"
    )
    source, target = (np.asarray(trimesh.load(path).vertices, dtype=float) for path in (source_path, target_path))
    truth = np.loadtxt(truth_path)
    assert np.mean(np.all(source == 0.0, axis=1)) > 0.05
    config = PlaneMapConfig(voxel_m=(0.7, 2.1), bits_xy=7, max_thickness_m=0.08, min_width_m=0.08, least_points=6)
    planes = PlaneMap(config)
    planes.insert(target[np.linalg.norm(target, axis=1) > 0.3])
    points = source[np.linalg.norm(source, axis=1) > 0.3]
    turn, move = np.eye(3), np.zeros(3)
    for gate in (2.0, 1.0, 0.5, 0.15):  # from no idea at all, unlike on the robot
        options = RegistrationConfig(gates_m=(gate, gate), scale_m=1.0, iterations=20)
        found = register(planes, points @ turn.T + move, np.zeros(3), 1e-6 * np.eye(6), options)
        step = trimesh.transformations.rotation_matrix(np.linalg.norm(found.turn), found.turn)[:3, :3]
        turn, move = step @ turn, step @ move + found.move
    assert np.linalg.norm(move - truth[:3, 3]) < 0.01
    angle = np.arccos(np.clip((np.trace(turn.T @ truth[:3, :3]) - 1.0) / 2.0, -1.0, 1.0))
    assert np.rad2deg(angle) < 0.4


def read_pcd(path: Path) -> tuple[dict[str, tuple[int, int]], int, int, bytes]:
    """Fields, point size, count and bytes of a binary PCD with float32 fields, as `scan_from_cloud` takes them."""
    data = path.read_bytes()
    end = data.index(b"DATA binary\n") + len(b"DATA binary\n")
    header = dict(line.split(" ", 1) for line in data[:end].decode().splitlines() if " " in line)
    sizes, counts = (list(map(int, header[key].split())) for key in ("SIZE", "COUNT"))
    offsets = np.concatenate([[0], np.cumsum(np.multiply(sizes, counts))])
    fields = {name: (int(at), 7) for name, at in zip(header["FIELDS"].split(), offsets, strict=False) if name in "xyz"}
    return fields, int(offsets[-1]), int(header["POINTS"]), data[end:]


def strongest_plane(points: np.ndarray, rng: np.random.Generator, near: float) -> tuple[np.ndarray, np.ndarray]:
    """Unit normal, and which points lie within `near` of the plane that most points agree on."""
    best, normal = np.zeros(len(points), dtype=bool), np.zeros(3)
    for _ in range(300):
        a, b, c = points[rng.integers(0, len(points), 3)]
        n = np.cross(b - a, c - a)
        if np.linalg.norm(n) < 1e-6:
            continue
        n /= np.linalg.norm(n)
        agree = np.abs((points - a) @ n) < near
        if agree.sum() > best.sum():
            best, normal = agree, n
    return normal, best


def plane_rms(points: np.ndarray, seed: np.ndarray) -> float:
    """Spread [m] of the points (M, 3) above the extent of `seed` (N, 3) and within 2.4 cm of its plane."""
    middle = seed.mean(axis=0)
    _, _, axes = np.linalg.svd(seed - middle, full_matrices=False)
    along, off = (points - middle) @ axes[:2].T, (points - middle) @ axes[2]
    reach = np.percentile(np.abs((seed - middle) @ axes[:2].T), 90, axis=0)
    inside = np.all(np.abs(along) < reach, axis=1) & (np.abs(off) < 0.024)
    return float(np.sqrt(np.mean(off[inside] ** 2)))


def test_real_stairs_have_flat_treads_and_risers() -> None:
    (path,) = needs("stairs_kinect_0000.pcd")
    fields, step, count, data = read_pcd(path)
    scan = scan_from_cloud(fields, step, count, data, 0.0)
    points = scan.xyz[np.isfinite(scan.xyz).all(axis=1) & (np.linalg.norm(scan.xyz, axis=1) > 0.3)].astype(float)
    rng = np.random.default_rng(0)
    left, planes = points[::9], []
    for _ in range(8):
        normal, agree = strongest_plane(left, rng, 0.012)
        chosen = left[agree]
        _, _, axes = np.linalg.svd(chosen - chosen.mean(axis=0), full_matrices=False)
        planes.append((axes[2], chosen))
        left = left[~agree]
        if len(left) < 1500:
            break
    # treads share one normal, risers another at a right angle to it
    treads = [(normal, chosen) for normal, chosen in planes if abs(normal @ planes[0][0]) > 0.98]
    assert len(treads) >= 2
    risers = [chosen for normal, chosen in planes if abs(normal @ planes[0][0]) < 0.2]
    assert risers
    for plane in (treads[0][1], treads[1][1], risers[0]):
        assert plane_rms(points, plane) < 0.01
    up = treads[0][0] * np.sign(-treads[0][1].mean(axis=0) @ treads[0][0])  # the camera is above what it sees
    across = np.cross(up, [0.3, 0.9, 0.1])
    across /= np.linalg.norm(across)
    turned = points @ np.stack([across, np.cross(up, across), up]).T
    levels = np.array([np.median(chosen @ up) for _, chosen in treads])

    elevation = ElevationMap(MapConfig(size_m=6.0))
    elevation.move_to(np.median(turned[:, :2], axis=0))
    for part in np.array_split(rng.permutation(len(turned)), 3):
        elevation.add_points(turned[part], np.zeros((len(part), 3)), 0.0)
    heights = elevation.height[elevation.source == CellSource.SEEN]
    off = np.abs(heights[:, None] - levels).min(axis=1)
    on_tread = off < 0.04
    assert on_tread.mean() > 0.3
    assert off[on_tread].mean() < 0.01
