"""A textured room around a scene: floor, three walls, and the scene's boxes and ramps in wood or stone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from vm_core.scene_asset import SceneBox
from vm_reconstruction.datasets.synthetic.scenes import Ramp, TrueScene
from vm_reconstruction.demo.rasterizer import Mesh
from vm_reconstruction.demo.room import box_mesh, plaster, quad, tiles, wood

WALL_HEIGHT_M = 3.4
WALL_DISTANCE_M = 1.6  # of the far wall and the side walls from what happens
CAMERA_ROOM_M = 1.0  # of floor behind the camera
_BLANK = np.ones((1, 1, 3))


def room_bounds(places_xy: np.ndarray, cameras_xy: np.ndarray) -> tuple[float, float, float, float]:
    """x0, x1, y0, y1 [m] of a room for people at (N, 2) and cameras at (M, 2) on their -y side."""
    every = np.concatenate([places_xy, cameras_xy])
    x0, x1 = every[:, 0].min() - WALL_DISTANCE_M, every[:, 0].max() + WALL_DISTANCE_M
    return float(x0), float(x1), float(every[:, 1].min() - CAMERA_ROOM_M), float(places_xy[:, 1].max() + 2.2)


def room_meshes(bounds: tuple[float, float, float, float], seed: int, textured: bool = True) -> list[Mesh]:
    """Floor, ceiling and three walls (none on the -y side, where the camera stands)."""
    rng = np.random.default_rng(seed)
    x0, x1, y0, y1 = bounds
    width, depth = np.array([x1 - x0, 0.0, 0.0]), np.array([0.0, y1 - y0, 0.0])
    up = np.array([0.0, 0.0, WALL_HEIGHT_M])
    paint = (lambda kind, a, b: kind(rng, a, b)) if textured else (lambda kind, a, b: _BLANK)
    return [
        quad(np.array([x0, y0, 0.0]), width, depth, paint(tiles, x1 - x0, y1 - y0), 60),
        quad(np.array([x0, y1, 0.0]), width, up, paint(plaster, x1 - x0, WALL_HEIGHT_M), 30),
        quad(np.array([x0, y0, 0.0]), depth, up, paint(plaster, y1 - y0, WALL_HEIGHT_M), 30),
        quad(np.array([x1, y1, 0.0]), -depth, up, paint(plaster, y1 - y0, WALL_HEIGHT_M), 30),
        quad(np.array([x0, y1, WALL_HEIGHT_M]), width, -depth, paint(plaster, x1 - x0, y1 - y0), 60),
    ]


def furniture(scene: TrueScene, seed: int, closed: bool = False) -> list[Mesh]:
    """Boxes and ramps; `closed` with the side toward +x, which the fixed set's boxes lack (its files stay the same)."""
    rng = np.random.default_rng(seed + 1)
    meshes = []
    for k, box in enumerate(scene.boxes):
        first = len(meshes)
        meshes += box_mesh(rng, box, 0.95 - 0.07 * (k % 5))
        c, h = np.array(box.center_world), np.array(box.half_size)
        corner = c + [h[0], h[1], -h[2]]
        side = wood(rng, 2 * h[0], 2 * h[2], 0.7)
        meshes.append(quad(corner, np.array([-2 * h[0], 0, 0]), np.array([0, 0, 2 * h[2]]), side, 4))
        if closed:
            far = wood(rng, 2 * h[1], 2 * h[2], 0.7)
            corner = c + [h[0], -h[1], -h[2]]
            meshes.append(quad(corner, np.array([0, 2 * h[1], 0]), np.array([0, 0, 2 * h[2]]), far, 4))
        if box.yaw:
            meshes[first:] = [_turned(mesh, box) for mesh in meshes[first:]]
    for ramp in scene.ramps:
        meshes += _ramp_meshes(rng, ramp)
    return meshes


def _turned(mesh: Mesh, box: SceneBox) -> Mesh:
    """Turned about the box's own vertical."""
    turn = Rotation.from_euler("z", box.yaw).as_matrix()
    assert mesh.normals is not None
    vertices = (mesh.vertices - box.center_world) @ turn.T + box.center_world
    return replace(mesh, vertices=vertices, normals=mesh.normals @ turn.T)


def _ramp_meshes(rng: np.random.Generator, ramp: Ramp) -> list[Mesh]:
    length = float(np.hypot(ramp.end_x - ramp.start_x, ramp.height))
    along = np.array([ramp.end_x - ramp.start_x, 0.0, ramp.height])
    across = np.array([0.0, 2 * ramp.half_width, 0.0])
    corner = np.array([ramp.start_x, -ramp.half_width, 0.0])
    top = quad(corner, along, across, tiles(rng, length, 2 * ramp.half_width), 12)
    if ramp.end_x < ramp.start_x:
        corner = np.array([ramp.end_x, -ramp.half_width, ramp.height])
        top = quad(corner, -along, across, tiles(rng, length, 2 * ramp.half_width), 12)
    vertices, faces = ramp.mesh()
    colors = np.tile([0.55, 0.52, 0.48], (6, 1))
    points = vertices[faces]
    normals = np.repeat(np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]), 3, axis=0)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    flat = Mesh(
        points.reshape(-1, 3), np.arange(len(faces) * 3, dtype=np.int32).reshape(-1, 3),
        np.tile(colors[:1], (len(faces) * 3, 1)), np.zeros((len(faces) * 3, 2)), _BLANK, normals,
    )  # fmt: skip
    return [top, flat]
