"""A map of small planes for scan registration: points are summed up in voxels of two sizes, each voxel keeps its plane.

Treads and risers need small voxels; far walls, on which points lie thin, need large ones (adaptive voxels after Yuan et
al., VoxelMap, 2022, with two fixed levels). Memory is fixed: voxels are addressed by their index modulo a power of two,
and one that is met under another index is taken over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

N, SUM, SQUARES = 0, 1, 4  # columns of the sums: count, 3 sums, 6 sums of products (xx, xy, xz, yy, yz, zz)
NORMAL, OFFSET, VALID, NORMAL_STD = 0, 3, 4, 5  # columns of the plane: n (3), d with n·x = d, whether it is one, [rad]


@dataclass(frozen=True)
class PlaneMapConfig:
    """Sizes and what counts as a plane.

    Attributes:
        voxel_m: sides of the small and the large voxels.
        bits_xy, bits_z: voxels along an axis, as powers of two.
        least_points: below, a voxel has no plane.
        frozen_points: then a voxel takes no more, so that the map cannot creep.
        max_thickness_m, min_width_m: standard deviations across and along a plane.
    """

    voxel_m: tuple[float, float] = (0.16, 0.8)
    bits_xy: int = 6
    bits_z: int = 5
    least_points: int = 8
    frozen_points: int = 300
    max_thickness_m: float = 0.025
    min_width_m: float = 0.025


class PlaneMap:
    """The voxels of both sizes.

    Attributes:
        keys: (2, V) int64 world index of the voxel that a place holds; -1 none.
        sums: (2, V, 10), relative to the voxel's `address`.  planes: (2, V, 6).
    """

    def __init__(self, config: PlaneMapConfig | None = None) -> None:
        self.config = config or PlaneMapConfig()
        size = 1 << (2 * self.config.bits_xy + self.config.bits_z)
        self.keys = np.full((2, size), -1, dtype=np.int64)
        self.sums, self.planes = np.zeros((2, size, 10)), np.zeros((2, size, 6))
        self._touched = np.empty(size, dtype=np.int64)
        self._stamp = np.zeros((2, size), dtype=np.int64)
        self._scan = 0

    @property
    def geometry(self) -> tuple[tuple[float, float], int, int]:
        """Voxel sizes and address bits, as the compiled loops take them."""
        return self.config.voxel_m, self.config.bits_xy, self.config.bits_z

    def clear(self) -> None:
        """Forgets everything."""
        self.keys[:] = -1

    def insert(self, points_world: np.ndarray) -> None:
        """Adds points (N, 3) [m] and fits the planes anew that they touch."""
        c = self.config
        limits = (c.least_points, c.frozen_points, c.max_thickness_m**2, c.min_width_m**2)
        self._scan += 1
        arrays = (self.keys, self.sums, self.planes)
        _insert(points_world, arrays, self._touched, self._stamp, self._scan, self.geometry, limits)


@numba.njit(cache=True, nogil=True, inline="always")
def address(x, y, z, voxel, bits_xy, bits_z):
    """Place in the arrays and key of the voxel that holds a point; z = 0 is the middle of one.

    The world's first floor is z = 0: on a border, noise would part its points into two voxels and hide its height.
    """
    ix, iy, iz = int(np.floor(x / voxel)), int(np.floor(y / voxel)), int(np.floor(z / voxel + 0.5))
    mask, mask_z = (1 << bits_xy) - 1, (1 << bits_z) - 1
    place = ((ix & mask) << (bits_xy + bits_z)) | ((iy & mask) << bits_z) | (iz & mask_z)
    key = ((ix + (1 << 20)) << 42) | ((iy + (1 << 20)) << 21) | (iz + (1 << 20))
    return place, key


@numba.njit(cache=True, nogil=True)
def _insert(points, arrays, touched, stamp, scan, geometry, limits):
    keys, sums, planes = arrays
    for level in range(2):
        voxel, count = geometry[0][level], 0
        for i in range(len(points)):
            x, y, z = points[i, 0], points[i, 1], points[i, 2]
            place, key = address(x, y, z, voxel, geometry[1], geometry[2])
            if keys[level, place] != key:
                keys[level, place] = key
                sums[level, place] = 0.0
                planes[level, place, VALID] = 0.0
            row = sums[level, place]
            if row[N] >= limits[1]:
                continue
            x, y = x - voxel * np.floor(x / voxel), y - voxel * np.floor(y / voxel)
            z = z - voxel * np.floor(z / voxel + 0.5)
            row[0] += 1.0
            row[1] += x
            row[2] += y
            row[3] += z
            row[4] += x * x
            row[5] += x * y
            row[6] += x * z
            row[7] += y * y
            row[8] += y * z
            row[9] += z * z
            if stamp[level, place] != scan:
                stamp[level, place] = scan
                touched[count] = place
                count += 1
        for i in range(count):
            place = touched[i]
            _fit(keys[level, place], sums[level, place], planes[level, place], voxel, limits)


@numba.njit(cache=True, nogil=True)
def _fit(key, row, plane, voxel, limits):
    n = row[N]
    plane[VALID] = 0.0
    if n < limits[0]:
        return
    mx, my, mz = row[1] / n, row[2] / n, row[3] / n
    xx, xy, xz = row[4] / n - mx * mx, row[5] / n - mx * my, row[6] / n - mx * mz
    yy, yz, zz = row[7] / n - my * my, row[8] / n - my * mz, row[9] / n - mz * mz
    low, middle = _eigenvalues(xx, xy, xz, yy, yz, zz)
    if low > limits[2] or middle < limits[3] or middle < 4.0 * low:
        return
    nx, ny, nz = _null_vector(xx - low, xy, xz, yy - low, yz, zz - low)
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    if length <= 0.0:
        return
    nx, ny, nz = nx / length, ny / length, nz / length
    mask = (1 << 21) - 1
    ox = voxel * ((key >> 42) - (1 << 20)) + mx
    oy = voxel * (((key >> 21) & mask) - (1 << 20)) + my
    oz = voxel * ((key & mask) - (1 << 20)) + mz
    plane[0], plane[1], plane[2], plane[OFFSET] = nx, ny, nz, nx * ox + ny * oy + nz * oz
    plane[VALID], plane[NORMAL_STD] = 1.0, np.sqrt(max(low, 0.0) / (n * middle))


@numba.njit(cache=True, nogil=True)
def _eigenvalues(xx, xy, xz, yy, yz, zz):
    """The smallest and the middle eigenvalue of a symmetric matrix (Smith's trigonometric form)."""
    mean = (xx + yy + zz) / 3.0
    a, b, c = xx - mean, yy - mean, zz - mean
    p = np.sqrt(max((a * a + b * b + c * c + 2.0 * (xy * xy + xz * xz + yz * yz)) / 6.0, 1e-300))
    half = (a * (b * c - yz * yz) - xy * (xy * c - yz * xz) + xz * (xy * yz - b * xz)) / (2.0 * p * p * p)
    angle = np.arccos(min(max(half, -1.0), 1.0)) / 3.0
    high, low = mean + 2.0 * p * np.cos(angle), mean + 2.0 * p * np.cos(angle + 2.0 * np.pi / 3.0)
    return low, 3.0 * mean - high - low


@numba.njit(cache=True, nogil=True)
def _null_vector(xx, xy, xz, yy, yz, zz):
    """The longest cross product of two rows of a singular symmetric matrix."""
    best = (0.0, 0.0, 0.0)
    longest = 0.0
    rows = ((xx, xy, xz), (xy, yy, yz), (xz, yz, zz))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        u, v = rows[i], rows[j]
        w = (u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0])
        square = w[0] * w[0] + w[1] * w[1] + w[2] * w[2]
        if square > longest:
            best, longest = w, square
    return best
