"""The demo's room: floor, two walls, three wooden steps; textures with corners to track, drawn from a seed."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from vm_core.scene_asset import SceneBox
from vm_reconstruction.demo.rasterizer import Mesh

TEXELS_PER_M = 160
FLOOR_X, FLOOR_Y, WALL_HEIGHT = (-2.6, 5.2), (-4.5, 2.4), 3.2


def _noise(rng: np.random.Generator, shape: tuple[int, int], scale_px: float) -> np.ndarray:
    """Smooth noise (H, W), zero mean, unit standard deviation, features of about scale_px."""
    small = rng.standard_normal([max(4, int(n / scale_px) + 3) for n in shape])
    big = np.asarray(zoom(small, [n / s for n, s in zip(shape, small.shape, strict=True)], order=1))[
        : shape[0], : shape[1]
    ]
    return (big - big.mean()) / (big.std() + 1e-9)


def _size(width_m: float, height_m: float) -> tuple[int, int]:
    return int(height_m * TEXELS_PER_M), int(width_m * TEXELS_PER_M)


def tiles(rng: np.random.Generator, width_m: float, height_m: float) -> np.ndarray:
    """Floor tiles of 40 cm with specks: (H, W, 3)."""
    h, w = _size(width_m, height_m)
    y, x = np.mgrid[:h, :w] / TEXELS_PER_M
    shade = rng.uniform(0.82, 1.0, (int(height_m / 0.4) + 2, int(width_m / 0.4) + 2))
    base = (
        shade[(y / 0.4).astype(int), (x / 0.4).astype(int)]
        + 0.05 * _noise(rng, (h, w), 5)
        + 0.04 * _noise(rng, (h, w), 22)
    )
    joint = ((x % 0.4) < 0.012) | ((y % 0.4) < 0.012)
    return np.clip(np.where(joint, 0.45, base)[..., None] * np.array([0.66, 0.64, 0.60]), 0, 1)


def plaster(rng: np.random.Generator, width_m: float, height_m: float) -> np.ndarray:
    """A wall with stains, a skirting board and framed pictures: (H, W, 3), row 0 at the top."""
    h, w = _size(width_m, height_m)
    base = 0.80 + 0.035 * _noise(rng, (h, w), 60) + 0.03 * _noise(rng, (h, w), 9) + 0.02 * _noise(rng, (h, w), 4)
    image = base[..., None] * np.array([0.93, 0.91, 0.84])
    image[-int(0.12 * TEXELS_PER_M) :] = [0.42, 0.33, 0.25]
    for left in np.arange(0.35, width_m - 0.8, 1.15):
        _picture(rng, image, left + rng.uniform(0, 0.25), rng.uniform(0.9, 1.5))
    return np.clip(image, 0, 1)


def _picture(rng: np.random.Generator, image: np.ndarray, left_m: float, top_m: float) -> None:
    height, width = (int(rng.uniform(0.45, 0.75) * TEXELS_PER_M) for _ in range(2))
    row, column = int(top_m * TEXELS_PER_M), int(left_m * TEXELS_PER_M)
    area = image[row : row + height, column : column + width]
    area[:] = rng.uniform(0.12, 0.35, 3)
    inner = area[6:-6, 6:-6]
    colors = np.stack([_noise(rng, inner.shape[:2], rng.uniform(8, 24)) for _ in range(3)], axis=-1)
    inner[:] = np.clip(0.5 + 0.22 * np.round(colors * 1.5) / 1.5, 0.05, 0.95)


def wood(rng: np.random.Generator, width_m: float, height_m: float, tone: float) -> np.ndarray:
    """Boards with grain along the first axis and dark edges: (H, W, 3)."""
    h, w = _size(width_m, height_m)
    grain = gaussian_filter(rng.standard_normal((h, w)), (1.0, 14.0))
    grain /= grain.std() + 1e-9
    y = np.mgrid[:h, :w][0] / TEXELS_PER_M
    value = tone + 0.07 * grain + 0.04 * _noise(rng, (h, w), 12)
    value = np.where((y % 0.12) < 0.008, 0.35 * value, value)
    edge = max(2, int(0.012 * TEXELS_PER_M))
    value[:edge] = value[-edge:] = 0.25
    value[:, :edge] = value[:, -edge:] = 0.25
    return np.clip(value[..., None] * np.array([0.86, 0.62, 0.38]), 0, 1)


def quad(corner: np.ndarray, u: np.ndarray, v: np.ndarray, texture: np.ndarray, cells: int = 12) -> Mesh:
    """A textured parallelogram, cut into cells so that none has to be clipped; u runs with columns, v against rows."""
    grid = np.linspace(0.0, 1.0, cells + 1)
    s, t = (a.ravel() for a in np.meshgrid(grid, grid, indexing="ij"))
    vertices = corner + s[:, None] * u + t[:, None] * v
    index = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    a, b, c, d = (x.ravel() for x in (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32)
    normal = np.cross(u, v)
    normals = np.tile(normal / np.linalg.norm(normal), (len(vertices), 1))
    # 0.999 keeps the far edge from repeating the near one's texels.
    uv = np.column_stack([s, 1.0 - t]) * 0.998 + 0.001
    return Mesh(vertices, faces, np.ones_like(vertices), uv, texture, normals)


def box_mesh(rng: np.random.Generator, box: SceneBox, tone: float) -> list[Mesh]:
    """Top, front and both sides of an upright box."""
    c, h = np.array(box.center_world), np.array(box.half_size)
    x, y, z = (2 * h[i] * np.eye(3)[i] for i in range(3))
    low = c - h
    return [
        quad(low + z + y, -y, x, wood(rng, 2 * h[1], 2 * h[0], tone), 4),
        quad(low + y, -y, z, wood(rng, 2 * h[1], 2 * h[2], 0.7 * tone), 4),
        quad(low, x, z, wood(rng, 2 * h[0], 2 * h[2], 0.8 * tone), 4),
        quad(low + y + x, -x, z, wood(rng, 2 * h[0], 2 * h[2], 0.8 * tone), 4),
    ]


def make_room(seed: int) -> list[Mesh]:
    """Floor, walls and ceiling in the world frame [m]."""
    rng = np.random.default_rng(seed)
    (x0, x1), (y0, y1) = FLOOR_X, FLOOR_Y
    width, depth = np.array([x1 - x0, 0.0, 0.0]), np.array([0.0, y1 - y0, 0.0])
    up = np.array([0.0, 0.0, WALL_HEIGHT])
    return [
        quad(np.array([x0, y0, 0.0]), width, depth, tiles(rng, x1 - x0, y1 - y0), 60),
        quad(np.array([x0, y1, 0.0]), width, up, plaster(rng, x1 - x0, WALL_HEIGHT), 30),
        quad(np.array([x0, y0, 0.0]), depth, up, plaster(rng, y1 - y0, WALL_HEIGHT), 30),
        quad(np.array([x1, y1, 0.0]), -depth, up, plaster(rng, y1 - y0, WALL_HEIGHT), 30),
        quad(np.array([x0, y1, WALL_HEIGHT]), width, -depth, tiles(rng, x1 - x0, y1 - y0) * 0.4 + 0.6, 60),
    ]


def make_steps(boxes: list[SceneBox], seed: int) -> list[Mesh]:
    """The wooden steps in the world frame [m]."""
    rng = np.random.default_rng(seed + 1)
    return [mesh for k, box in enumerate(boxes) for mesh in box_mesh(rng, box, 0.95 - 0.06 * k)]
