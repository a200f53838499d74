"""A small software rasterizer: textured, shadowed triangles without OpenGL, the same pixels on every machine."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

NEAR_M = 0.05
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mesh:
    """Triangles with one colour per vertex or one texture.

    Attributes:
        vertices: (V, 3) world positions [m].
        faces: (F, 3) vertex indices, counter-clockwise seen from outside.
        colors: (V, 3) linear RGB in 0..1; multiplies the texture.
        uv: (V, 2) texture coordinates, repeating outside 0..1.
        texture: (H, W, 3) RGB in 0..1.
        normals: (V, 3) unit normals; faces are lit flat when None.
    """

    vertices: FloatArray
    faces: npt.NDArray[np.int32]
    colors: FloatArray
    uv: FloatArray
    texture: FloatArray
    normals: FloatArray | None = None


@numba.njit(cache=True)
def fill_triangles(points, attributes, faces, depth, out, mark, mark_buffer):  # pragma: no cover
    """Fills the nearest triangle into `out`; attributes are interpolated perspective-correctly.

    points: (V, 3) pixel x, pixel y, depth [m] (depth <= NEAR_M: triangle skipped); attributes (V, A);
    depth: (H, W) inverse depth [1/m], larger is nearer; out: (H, W, A); mark is written into mark_buffer (H, W).
    """
    height, width = depth.shape
    count = attributes.shape[1]
    for face in range(faces.shape[0]):
        a, b, c = faces[face]
        if min(points[a, 2], points[b, 2], points[c, 2]) <= NEAR_M:
            continue
        ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-12:
            continue
        x_low, x_high = max(0, math.ceil(min(ax, bx, cx) - 0.5)), min(width - 1, math.floor(max(ax, bx, cx) - 0.5))
        y_low, y_high = max(0, math.ceil(min(ay, by, cy) - 0.5)), min(height - 1, math.floor(max(ay, by, cy) - 0.5))
        wa, wb, wc = 1.0 / points[a, 2], 1.0 / points[b, 2], 1.0 / points[c, 2]
        for y in range(y_low, y_high + 1):
            for x in range(x_low, x_high + 1):
                px, py = x + 0.5, y + 0.5
                la = ((bx - px) * (cy - py) - (by - py) * (cx - px)) / area
                lb = ((cx - px) * (ay - py) - (cy - py) * (ax - px)) / area
                lc = 1.0 - la - lb
                if la < 0.0 or lb < 0.0 or lc < 0.0:
                    continue
                inverse = la * wa + lb * wb + lc * wc
                if inverse <= depth[y, x]:
                    continue
                depth[y, x] = inverse
                mark_buffer[y, x] = mark
                for k in range(count):
                    value = la * wa * attributes[a, k] + lb * wb * attributes[b, k] + lc * wc * attributes[c, k]
                    out[y, x, k] = value / inverse


def project(points_world: FloatArray, matrix: FloatArray, T_camera_world: FloatArray) -> FloatArray:
    """Pinhole projection.

    Args:
        points_world: (N, 3) [m].
        matrix: (3, 3) intrinsics [px].
        T_camera_world: (4, 4), camera x right, y down, z forward.

    Returns:
        (N, 3): pixel x, pixel y, depth along the optical axis [m].
    """
    points = points_world @ T_camera_world[:3, :3].T + T_camera_world[:3, 3]
    depth = points[:, 2]
    safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
    pixels = (points / safe[:, None]) @ matrix.T
    return np.column_stack([pixels[:, :2], depth])


def sample_texture(texture: FloatArray, uv: FloatArray) -> FloatArray:
    """Bilinear look-up with repetition: texture (H, W, 3), uv (N, 2) -> (N, 3)."""
    height, width = texture.shape[:2]
    x, y = uv[:, 0] * width - 0.5, uv[:, 1] * height - 0.5
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]
    xa, xb, ya, yb = x0 % width, (x0 + 1) % width, y0 % height, (y0 + 1) % height
    top = texture[ya, xa] * (1 - fx) + texture[ya, xb] * fx
    bottom = texture[yb, xa] * (1 - fx) + texture[yb, xb] * fx
    return top * (1 - fy) + bottom * fy


def vertex_normals(vertices: FloatArray, faces: npt.NDArray[np.int32]) -> FloatArray:
    """Area-weighted unit normals: (V, 3), (F, 3) -> (V, 3)."""
    corners = vertices[faces]
    face_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, faces[:, k], face_normals)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
