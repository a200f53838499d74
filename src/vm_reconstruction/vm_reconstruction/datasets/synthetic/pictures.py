"""RGB, depth and masks of a synthetic video, by the demo's software rasterizer: the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vm_reconstruction.demo.camera_path import CameraPath
from vm_reconstruction.demo.person import PersonMotion
from vm_reconstruction.demo.posed_body import PosedBody
from vm_reconstruction.demo.rasterizer import Mesh, fill_triangles, project, vertex_normals
from vm_reconstruction.demo.renderer import Scene, pack, render


@dataclass(frozen=True)
class Stage:
    """All that is seen: still meshes (`still` does not throw shadows, `solid` does) and moving people."""

    still: list[Mesh]
    solid: list[Mesh]
    bodies: list[PosedBody]
    motions: list[PersonMotion]

    def people_vertices(self, frame: int) -> list[np.ndarray]:
        """Skinned vertices (V, 3) [m, world] of each person in one frame."""
        result = []
        for body, motion in zip(self.bodies, self.motions, strict=True):
            rotations = {name: value[frame] for name, value in motion.rotations.items()}
            result.append(body.posed(rotations, {name: value[frame] for name, value in motion.joints.items()}))
        return result


def depth_and_masks(
    stage: Stage, camera: CameraPath, size: tuple[int, int], depth_size: tuple[int, int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Per frame: depth (h, w) [m] along the optical axis, 0 where nothing is; mask (h, w) uint8, k for person k."""
    matrix = np.diag([depth_size[0] / size[0], depth_size[1] / size[1], 1.0]) @ camera.matrix
    place = pack([*stage.still, *stage.solid])
    width, height = depth_size
    none = np.zeros((height, width, 0))
    for frame, pose in enumerate(camera.T_world_camera):
        T_camera_world = np.linalg.inv(pose)
        inverse, mark = np.zeros((height, width)), np.zeros((height, width), np.int32)
        shapes = [(place.vertices, place.faces, 0)]
        for k, vertices in enumerate(stage.people_vertices(frame)):
            shapes.append((vertices, stage.bodies[k].faces, k + 1))
        for vertices, faces, label in shapes:
            points = project(vertices, matrix, T_camera_world)
            fill_triangles(points, np.zeros((len(points), 0)), faces, inverse, none, label, mark)
        depth = np.where(inverse > 0, 1.0 / np.maximum(inverse, 1e-9), 0.0)
        yield depth, mark.astype(np.uint8)


def pictures(stage: Stage, camera: CameraPath, size: tuple[int, int], samples: int) -> Iterator[np.ndarray]:
    """RGB (H, W, 3) uint8 of each frame."""
    still, solid = pack(stage.still), pack(stage.solid) if stage.solid else None
    for frame, pose in enumerate(camera.T_world_camera):
        vertices = stage.people_vertices(frame)
        people = [_person(body, points) for body, points in zip(stage.bodies, vertices, strict=True)]
        casters = [*([solid] if solid else []), *people]
        center = np.mean([points.mean(axis=0) for points in vertices], axis=0)
        yield render([still, *casters], casters, camera.matrix, pose, size, samples, center)


def _person(body: PosedBody, vertices: np.ndarray) -> Scene:
    uv, white = np.zeros((len(vertices), 2)), np.ones((1, 1, 3))
    return pack([Mesh(vertices, body.faces, body.colors, uv, white, vertex_normals(vertices, body.faces))])
