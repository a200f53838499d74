"""Reads the policy's height grid out of the elevation map."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from vm_core.frames import heading_quat, matrix_from_quat
from vm_core.height_grid import CellSource, HeightGridSpec
from vm_heightmap.fusion import FEW_HITS, HEIGHT, HIT_COUNT, LAST_SEEN, VARIANCE
from vm_heightmap.map_view import MapView

EDGE_M = 0.04
"""Cells that differ by more from the one under the query lie on another surface and are not blended in."""
BLEND_M = 0.04
"""Half-width of the tent that averages over cells; also how far away another surface makes a height uncertain."""
MAX_FILL_M = 0.12
"""Widest gap that is filled, from its lower side: what a tread's edge hides from the sensor. Wider ones stay holes."""
MAX_HIDDEN_M, HIDDEN_PER_RISE = 0.18, 1.1
"""A descending edge may hide more: so many metres a metre of its rise, seen from as far as the blind cone's rim."""
LONELY_VARIANCE = 4e-4
SPECK_HITS = 5.0
_UNKNOWN, _SEEN = int(CellSource.UNKNOWN), int(CellSource.SEEN)
_FILLED, _SEEDED = int(CellSource.FILLED), int(CellSource.SEEDED)


@dataclass(frozen=True)
class GridSample:
    """The grid's cells, x slow, y fast.

    Attributes:
        height: (num_cells,) terrain z in the map's frame [m]; NaN where unknown.
        variance: (num_cells,) [m²].
        source: (num_cells,) uint8 CellSource.
        age_s: (num_cells,) since the cell was last seen; NaN where unknown.
        points_world: (num_cells, 3) cell centres at torso height.
    """

    height: np.ndarray
    variance: np.ndarray
    source: np.ndarray
    age_s: np.ndarray
    points_world: np.ndarray


class GridSampler:
    """Samples grids of one geometry; what does not change is made once.

    Attributes:
        spec: the geometry.
    """

    def __init__(self, spec: HeightGridSpec) -> None:
        self.spec = spec
        self._offsets = spec.cell_offsets_xy

    def sample(self, view: MapView, torso_pos: np.ndarray, torso_quat_wxyz: np.ndarray, now_s: float) -> GridSample:
        """The grid around a torso pose (3,), (4,) in the map's frame at the time now_s, in the map's clock."""
        quat = torso_quat_wxyz if self.spec.full_attitude else heading_quat(torso_quat_wxyz)
        # the matrix's first two columns carry the grid's x and y
        axes = np.ascontiguousarray(matrix_from_quat(np.asarray(quat, dtype=float))[:, :2])
        n = self.spec.num_cells
        points, out, source = np.empty((n, 3)), np.empty((n, 3)), np.empty(n, dtype=np.uint8)
        sample_cells(self._offsets, np.asarray(torso_pos, dtype=float), axes, view.arrays, now_s, out, source, points)
        return GridSample(out[:, 0], out[:, 1], source, out[:, 2], points)


def sample_grid(
    view: MapView, spec: HeightGridSpec, torso_pos: np.ndarray, torso_quat_wxyz: np.ndarray, now_s: float
) -> GridSample:
    """As `GridSampler.sample`, for one grid."""
    return GridSampler(spec).sample(view, torso_pos, torso_quat_wxyz, now_s)


def sample_at(view: MapView, point_world: np.ndarray, now_s: float) -> tuple[float, float, int]:
    """Height [m], variance [m²] and CellSource under one point (3,)."""
    out, source, points = np.empty((1, 3)), np.empty(1, dtype=np.uint8), np.empty((1, 3))
    sample_cells(_HERE, np.asarray(point_world, dtype=float), _AXES, view.arrays, now_s, out, source, points)
    return float(out[0, 0]), float(out[0, 1]), int(source[0])


_HERE, _AXES = np.zeros((1, 2)), np.ascontiguousarray(np.eye(3)[:, :2])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sample_cells(offsets, origin, axes, arrays, now_s, out, source, points):
    """Writes height, variance and age (N, 3), source (N,) and places (N, 3) of the cells at offsets (N, 2).

    Args:
        offsets: (N, 2) in the grid's frame [m].
        origin, axes: (3,) [m] and (3, 2): the grid's frame in the map's.
        arrays: of the map, as `MapView.arrays`.
        now_s: in the map's clock.
        out, source, points: results.
    """
    layers, corner, scales = arrays
    per_m, start_s, drift_per_s, most_drift, least_variance = scales
    now = now_s - start_s
    # an integer half-width in cells makes the tent reproduce slopes exactly
    reach = max(int(np.round(BLEND_M * per_m)), 1)
    for i in range(len(offsets)):
        for k in range(3):
            points[i, k] = origin[k] + axes[k, 0] * offsets[i, 0] + axes[k, 1] * offsets[i, 1]
        # in cells from the window's lower corner; whole numbers are cell centres
        x, y = points[i, 0] * per_m - 0.5 - corner[0], points[i, 1] * per_m - 0.5 - corner[1]
        height, variance, seen, kind = _sample_seen(x, y, reach, corner, layers)
        if kind == _UNKNOWN:
            height, variance, seen, kind = _sample_any(x, y, reach, per_m, corner, layers)
        source[i] = kind
        age = now - seen
        drift = min(drift_per_s * max(age, 0.0), most_drift) + least_variance
        out[i, 0], out[i, 1], out[i, 2] = height, variance + drift, age


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sample_seen(x, y, reach, corner, layers):
    """What `_sample_any` says where all cells around are seen and the one under the query well, in one pass."""
    surface, source = layers
    n = source.shape[0]
    nothing = (np.nan, np.nan, np.nan, _UNKNOWN)
    low_x, low_y = int(np.floor(x)) - reach + 1, int(np.floor(y)) - reach + 1
    if low_x < 0 or low_y < 0 or low_x + 2 * reach > n or low_y + 2 * reach > n or reach < 2:
        return nothing
    mx, my = int(np.floor(x + 0.5)) + corner[2], int(np.floor(y + 0.5)) + corner[3]
    middle = surface[mx - n if mx >= n else mx, my - n if my >= n else my]
    z0, per_cell = middle[HEIGHT], 1.0 / reach
    total, sum_z, sum_v, other, rise = 0.0, 0.0, 0.0, 0.0, np.float32(0.0)
    for jx in range(low_x, low_x + 2 * reach):
        weight_x = 1.0 - abs(x - jx) * per_cell
        kx = jx + corner[2]
        if kx >= n:
            kx -= n
        for jy in range(low_y, low_y + 2 * reach):
            ky = jy + corner[3]
            if ky >= n:
                ky -= n
            if source[kx, ky] != _SEEN:
                return nothing
            weight = weight_x * (1.0 - abs(y - jy) * per_cell)
            off = surface[kx, ky, HEIGHT] - z0
            if abs(off) <= EDGE_M:
                total += weight
                sum_z += weight * off
                sum_v += weight * weight * surface[kx, ky, VARIANCE]
            else:
                other += weight
                rise = max(rise, abs(off))
    if (other > 0.0 and middle[HIT_COUNT] < SPECK_HITS) or not total > 0.0:
        return nothing
    edge = other / (total + other) * rise * rise
    own = float(middle[VARIANCE])
    own = own if own > LONELY_VARIANCE else 0.1 * own
    return z0 + sum_z / total, max(sum_v / (total * total), own) + edge, float(middle[LAST_SEEN]), _SEEN


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sample_any(x, y, reach, per_m, corner, layers):
    """Height, variance, time and source at a place in cells from the window's corner, with edges and gaps."""
    ix, iy = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
    middle = _middle(ix, iy, corner, per_m, layers)
    if middle[3] == _UNKNOWN:
        return middle
    if middle[3] == _SEEN and _beside_unknown(ix, iy, corner, layers[1]):
        middle = _over_an_edge(ix, iy, middle, corner, per_m, layers)
    height, variance = _blend(x, y, middle, reach, corner, layers)
    return height, variance, middle[2], middle[3]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _blend(x, y, middle, reach, corner, layers):
    """Tent-weighted height of the cells on the middle's surface, and the variance, nearby edges included."""
    surface, source = layers
    n = source.shape[0]
    low_x, low_y = int(np.floor(x)) - reach + 1, int(np.floor(y)) - reach + 1
    per_cell, z0 = 1.0 / reach, np.float32(middle[0])
    seeded = middle[3] == _SEEDED
    total, sum_z, sum_v, other, rise = 0.0, 0.0, 0.0, 0.0, 0.0
    for jx in range(max(low_x, 0), min(low_x + 2 * reach, n)):
        weight_x = 1.0 - abs(x - jx) * per_cell
        kx = jx + corner[2]
        if kx >= n:
            kx -= n
        for jy in range(max(low_y, 0), min(low_y + 2 * reach, n)):
            ky = jy + corner[3]
            if ky >= n:
                ky -= n
            kind = source[kx, ky]
            if kind == _UNKNOWN or (kind == _SEEDED and not seeded):
                continue
            weight = weight_x * (1.0 - abs(y - jy) * per_cell)
            off = surface[kx, ky, 0] - z0
            if abs(off) <= EDGE_M:
                total += weight
                sum_z += weight * off
                sum_v += weight * weight * surface[kx, ky, 1]
            else:
                other += weight
                rise = max(rise, abs(off))
    if total <= 0.0:
        return middle[0], middle[1] + rise * rise
    edge = other / (total + other) * rise * rise
    # a seed's cells are all wrong together; a filled or lonely cell is as uncertain as it says
    own = middle[1] if middle[3] != _SEEN or middle[1] > LONELY_VARIANCE else 0.1 * middle[1]
    return z0 + sum_z / total, max(sum_v / (total * total), own) + edge


@numba.njit(cache=True, nogil=True)
def _middle(ix, iy, corner, per_m, layers):
    """Height, variance, time and source of the cell under the query, from its neighbours if it is unknown itself."""
    surface, source = layers
    kx, ky = _index(ix, iy, corner, source)
    if kx < 0:
        return np.nan, np.nan, np.nan, _UNKNOWN
    if source[kx, ky] != _UNKNOWN and not _is_speck(ix, iy, kx, ky, corner, layers):
        return _cell(kx, ky, surface, int(source[kx, ky]))
    best = (np.nan, np.nan, np.nan, _UNKNOWN)
    most = int(MAX_HIDDEN_M * per_m + 1e-6)
    for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
        a, ax, ay = _reach(ix, iy, dx, dy, corner, source, most)
        b, bx, by = _reach(ix, iy, -dx, -dy, corner, source, most)
        if a == 0 or b == 0:
            continue
        low, rise = min(surface[ax, ay, 0], surface[bx, by, 0]), abs(surface[ax, ay, 0] - surface[bx, by, 0])
        if (a + b - 1) * (1.0 if dx * dy == 0 else 1.4) > _widest(rise) * per_m + 1e-6:
            continue
        if best[3] == _UNKNOWN or low < best[0]:
            spread = max(surface[ax, ay, 1], surface[bx, by, 1]) + rise * rise / 12.0
            # a small cell that no ray has met between seen ones on one surface is as good as seen
            between = a + b <= BLEND_M * per_m + 1e-6 and rise <= EDGE_M
            kind = min(int(source[ax, ay]), int(source[bx, by])) if between else _FILLED
            best = (float(low), float(spread), float(min(surface[ax, ay, 2], surface[bx, by, 2])), kind)
    return best


@numba.njit(cache=True, nogil=True, inline="always")
def _widest(rise):
    """Widest gap [m] that is filled between surfaces which differ by `rise`."""
    return max(MAX_FILL_M, min(HIDDEN_PER_RISE * rise, MAX_HIDDEN_M))


@numba.njit(cache=True, nogil=True)
def _is_speck(ix, iy, kx, ky, corner, layers):
    """Whether a few hits (dust, mirror images) make the cell differ from most of its neighbours, no less seen."""
    surface, source = layers
    own = surface[kx, ky, HIT_COUNT]
    if source[kx, ky] != _SEEN or own >= SPECK_HITS:
        return False
    agree, differ = 0, 0
    for dx in range(-1, 2):
        for dy in range(-1, 2):
            jx, jy = _index(ix + dx, iy + dy, corner, source)
            if jx < 0 or source[jx, jy] != _SEEN or (dx == 0 and dy == 0):
                continue
            if abs(surface[jx, jy, 0] - surface[kx, ky, 0]) <= EDGE_M:
                agree += 1
            elif surface[jx, jy, HIT_COUNT] >= max(own, FEW_HITS):
                differ += 1
    return differ > 2 and differ > 2 * agree


@numba.njit(cache=True, nogil=True, inline="always")
def _cell(kx, ky, surface, kind):
    return float(surface[kx, ky, 0]), float(surface[kx, ky, 1]), float(surface[kx, ky, 2]), kind


@numba.njit(cache=True, nogil=True)
def _beside_unknown(ix, iy, corner, source):
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        kx, ky = _index(ix + dx, iy + dy, corner, source)
        if kx < 0 or source[kx, ky] == _UNKNOWN:
            return True
    return False


@numba.njit(cache=True, nogil=True)
def _over_an_edge(ix, iy, middle, corner, per_m, layers):
    """The cell itself, or what lies below it if it holds only what noise has put over a descending edge.

    Such an edge hides a strip behind it; a cell of the strip beside the edge has few points, all on the upper level.
    """
    surface, source = layers
    most = int(MAX_HIDDEN_M * per_m + 1e-6)
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        k, lx, ly = _reach(ix, iy, dx, dy, corner, source, most)
        ux, uy = _index(ix - dx, iy - dy, corner, source)
        if k < 2 or ux < 0 or source[ux, uy] == _UNKNOWN:
            continue
        rise = middle[0] - surface[lx, ly, 0]
        if rise <= EDGE_M or abs(surface[ux, uy, 0] - middle[0]) > EDGE_M or k - 1 > _widest(rise) * per_m + 1e-6:
            continue
        spread = 0.25 * rise * rise
        kx, ky = _index(ix, iy, corner, source)
        if surface[kx, ky, HIT_COUNT] < 0.5 * surface[ux, uy, HIT_COUNT]:
            low = _cell(lx, ly, surface, _FILLED)
            return low[0], low[1] + spread, low[2], low[3]
        return middle[0], middle[1] + spread, middle[2], middle[3]
    return middle


@numba.njit(cache=True, nogil=True)
def _reach(ix, iy, dx, dy, corner, source, most):
    """Steps to the next known cell along (dx, dy), 0 if there is none within `most`, and its place in the layers."""
    for k in range(1, most + 1):
        kx, ky = _index(ix + k * dx, iy + k * dy, corner, source)
        if kx >= 0 and source[kx, ky] != _UNKNOWN:
            return k, kx, ky
    return 0, -1, -1


@numba.njit(cache=True, nogil=True, inline="always")
def _index(ix, iy, corner, source):
    """Place in the layers of the cell (ix, iy) counted from the window's corner; -1 outside."""
    n = source.shape[0]
    if ix < 0 or iy < 0 or ix >= n or iy >= n:
        return -1, -1
    kx, ky = ix + corner[2], iy + corner[3]
    return kx - n if kx >= n else kx, ky - n if ky >= n else ky
