"""Pictures of meshes: rasterized twice (from the light for shadows, from the camera), then shaded per pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np

from vm_reconstruction.demo.rasterizer import Mesh, fill_triangles, project

LIGHT_DIRECTION = np.array([-0.35, -0.55, 0.95]) / np.linalg.norm([-0.35, -0.55, 0.95])  # toward the light
SHADOW_SIZE, SHADOW_SPAN_M, SHADOW_BIAS_M = 1536, 6.0, 0.03
SHADOW_DISTANCE_M, SHADOW_CENTER_WORLD = 10.0, np.array([1.3, 0.0, 0.6])
AMBIENT, DIFFUSE = 0.56, 0.52


@dataclass
class Scene:
    """Meshes packed for the kernels; build once for still meshes and once a frame for the moving one.

    Attributes:
        vertices: (V, 3); faces: (F, 3); attributes: (V, 11) u, v, r, g, b, normal xyz, world xyz.
        texels: (N, 3) of all textures; texture_table: (M, 3) first texel, height, width of each mesh.
        face_ranges: first face of each mesh, and the end.
    """

    vertices: np.ndarray
    faces: np.ndarray
    attributes: np.ndarray
    texels: np.ndarray
    texture_table: np.ndarray
    face_ranges: np.ndarray


def pack(meshes: list[Mesh]) -> Scene:
    """Joins meshes; texture i belongs to mesh i."""
    first_vertex = np.cumsum([0] + [len(m.vertices) for m in meshes])
    first_texel = np.cumsum([0] + [m.texture.shape[0] * m.texture.shape[1] for m in meshes])
    normals = [m.normals if m.normals is not None else np.zeros_like(m.vertices) for m in meshes]
    attributes = [np.column_stack([m.uv, m.colors, n, m.vertices]) for m, n in zip(meshes, normals, strict=True)]
    return Scene(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.faces + k for m, k in zip(meshes, first_vertex, strict=False)]).astype(np.int32),
        np.concatenate(attributes),
        np.concatenate([m.texture.reshape(-1, 3) for m in meshes]),
        np.array([(k, *m.texture.shape[:2]) for m, k in zip(meshes, first_texel, strict=False)]),
        np.cumsum([0] + [len(m.faces) for m in meshes]),
    )


def _light_view(center: np.ndarray) -> np.ndarray:
    """T_light_world (4, 4) that looks from the light at center (3,)."""
    z = -LIGHT_DIRECTION
    x = np.cross([0.0, 1.0, 0.0], z)
    x /= np.linalg.norm(x)
    rotation = np.stack([x, np.cross(z, x), z])
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = rotation, -rotation @ (center + SHADOW_DISTANCE_M * LIGHT_DIRECTION)
    return view


def shadow_map(scenes: list[Scene], view: np.ndarray) -> np.ndarray:
    """Distance along the light's rays (S, S) [m]; infinite where nothing stands."""
    inverse_depth = np.zeros((SHADOW_SIZE, SHADOW_SIZE))
    unused, mark = np.zeros((SHADOW_SIZE, SHADOW_SIZE, 1)), np.zeros((SHADOW_SIZE, SHADOW_SIZE), np.int32)
    for scene in scenes:
        points = scene.vertices @ view[:3, :3].T + view[:3, 3]
        points[:, :2] = (points[:, :2] / SHADOW_SPAN_M + 0.5) * SHADOW_SIZE
        fill_triangles(points, np.zeros((len(points), 1)), scene.faces, inverse_depth, unused, 1, mark)
    return np.where(inverse_depth > 0, 1.0 / np.maximum(inverse_depth, 1e-9), np.inf)


@numba.njit(cache=True)
def _shade(out, mark, texels, table, view, shadow, light, image):  # pragma: no cover
    for y in range(mark.shape[0]):
        for x in range(mark.shape[1]):
            if mark[y, x] < 0:
                continue
            a = out[y, x]
            first, height, width = table[mark[y, x]]
            u, v = a[0] * width - 0.5, a[1] * height - 0.5
            u0, v0 = int(math.floor(u)), int(math.floor(v))
            fu, fv = u - u0, v - v0
            normal = math.sqrt(a[5] ** 2 + a[6] ** 2 + a[7] ** 2) + 1e-9
            facing = max(0.0, (a[5] * light[0] + a[6] * light[1] + a[7] * light[2]) / normal)
            lx = view[0, 0] * a[8] + view[0, 1] * a[9] + view[0, 2] * a[10] + view[0, 3]
            ly = view[1, 0] * a[8] + view[1, 1] * a[9] + view[1, 2] * a[10] + view[1, 3]
            lz = view[2, 0] * a[8] + view[2, 1] * a[9] + view[2, 2] * a[10] + view[2, 3]
            sx, sy = int((lx / SHADOW_SPAN_M + 0.5) * SHADOW_SIZE), int((ly / SHADOW_SPAN_M + 0.5) * SHADOW_SIZE)
            lit = 0.0
            for i in range(-2, 3):
                for j in range(-2, 3):
                    inside = 0 <= sx + i < SHADOW_SIZE and 0 <= sy + j < SHADOW_SIZE
                    lit += 1.0 if not inside or shadow[sy + j, sx + i] > lz - SHADOW_BIAS_M else 0.0
            brightness = AMBIENT * (0.85 + 0.15 * a[7] / normal) + DIFFUSE * facing * lit / 25.0
            for k in range(3):
                c00 = texels[first + (v0 % height) * width + u0 % width, k]
                c01 = texels[first + (v0 % height) * width + (u0 + 1) % width, k]
                c10 = texels[first + ((v0 + 1) % height) * width + u0 % width, k]
                c11 = texels[first + ((v0 + 1) % height) * width + (u0 + 1) % width, k]
                color = (c00 * (1 - fu) + c01 * fu) * (1 - fv) + (c10 * (1 - fu) + c11 * fu) * fv
                image[y, x, k] = color * a[2 + k] * brightness


def render(
    scenes: list[Scene],
    casters: list[Scene],
    matrix: np.ndarray,
    T_world_camera: np.ndarray,
    size: tuple[int, int],
    samples: int = 2,
    shadow_center: np.ndarray = SHADOW_CENTER_WORLD,
) -> np.ndarray:
    """One picture.

    Args:
        scenes: packed meshes that are seen.
        casters: those of them that throw shadows.
        matrix: (3, 3) intrinsics [px].
        T_world_camera: (4, 4).
        size: width, height [px].
        samples: edge of the square of samples a pixel.
        shadow_center: (3,) shadows fall within a few metres around this place [m, world].

    Returns:
        (H, W, 3) uint8 RGB.
    """
    width, height = size[0] * samples, size[1] * samples
    scaled = np.diag([samples, samples, 1.0]) @ matrix
    view = _light_view(shadow_center)
    shadow = shadow_map(casters, view)
    depth, image = np.zeros((height, width)), np.zeros((height, width, 3))
    for scene in scenes:
        out, mark = np.zeros((height, width, 11)), np.full((height, width), -1, np.int32)
        points = project(scene.vertices, scaled, np.linalg.inv(T_world_camera))
        for k in range(len(scene.texture_table)):
            faces = scene.faces[scene.face_ranges[k] : scene.face_ranges[k + 1]]
            fill_triangles(points, scene.attributes, faces, depth, out, k, mark)
        _shade(out, mark, scene.texels, scene.texture_table, view, shadow, LIGHT_DIRECTION, image)
    pixels = image.reshape(size[1], samples, size[0], samples, 3).mean(axis=(1, 3))
    return (255 * np.clip(pixels, 0, 1) ** 0.9).round().astype(np.uint8)
