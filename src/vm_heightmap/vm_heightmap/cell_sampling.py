"""Heights at the grid's cells: blended from the map's cells on the same surface, in compiled loops."""

from __future__ import annotations

import numba
import numpy as np

from vm_heightmap.fusion import HEIGHT, HIT_COUNT, LAST_SEEN, VARIANCE
from vm_heightmap.gap_filling import (
    BLEND_M,
    EDGE_M,
    SEEDED,
    SEEN,
    SPECK_HITS,
    UNKNOWN,
    beside_unknown,
    middle_of,
    over_an_edge,
)

LONELY_VARIANCE = 4e-4


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
        if kind == UNKNOWN:
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
    nothing = (np.nan, np.nan, np.nan, UNKNOWN)
    low_x, low_y = int(np.floor(x)) - reach + 1, int(np.floor(y)) - reach + 1
    if low_x < 0 or low_y < 0 or low_x + 2 * reach > n or low_y + 2 * reach > n or reach < 2:
        return nothing
    mx, my = int(np.floor(x + 0.5)) + corner[2], int(np.floor(y + 0.5)) + corner[3]
    middle = surface[mx - n if mx >= n else mx, my - n if my >= n else my]
    z0, per_cell = middle[HEIGHT], 1.0 / reach
    total, sum_z, sum_v, other, rise = 0.0, 0.0, 0.0, 0.0, np.float32(0.0)
    row, first = low_x + corner[2], low_y + corner[3]
    row, first = row - n if row >= n else row, first - n if first >= n else first
    for jx in range(2 * reach):
        weight_x = 1.0 - abs(x - low_x - jx) * per_cell
        column = first
        for jy in range(2 * reach):
            if source[row, column] != SEEN:
                return nothing
            weight = weight_x * (1.0 - abs(y - low_y - jy) * per_cell)
            cell = surface[row, column]
            off = cell[HEIGHT] - z0
            if abs(off) <= EDGE_M:
                total += weight
                sum_z += weight * off
                sum_v += weight * weight * cell[VARIANCE]
            else:
                other += weight
                rise = max(rise, abs(off))
            column = column + 1 if column + 1 < n else 0
        row = row + 1 if row + 1 < n else 0
    if (other > 0.0 and middle[HIT_COUNT] < SPECK_HITS) or not total > 0.0:
        return nothing
    edge = other / (total + other) * rise * rise
    own = float(middle[VARIANCE])
    own = own if own > LONELY_VARIANCE else 0.1 * own
    return z0 + sum_z / total, max(sum_v / (total * total), own) + edge, float(middle[LAST_SEEN]), SEEN


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sample_any(x, y, reach, per_m, corner, layers):
    """Height, variance, time and source at a place in cells from the window's corner, with edges and gaps."""
    ix, iy = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
    middle = middle_of(ix, iy, corner, per_m, layers)
    if middle[3] == UNKNOWN:
        return middle
    if middle[3] == SEEN and beside_unknown(ix, iy, corner, layers[1]):
        middle = over_an_edge(ix, iy, middle, corner, per_m, layers)
    height, variance = _blend(x, y, middle, reach, corner, layers)
    return height, variance, middle[2], middle[3]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _blend(x, y, middle, reach, corner, layers):
    """Tent-weighted height of the cells on the middle's surface, and the variance, nearby edges included."""
    surface, source = layers
    n = source.shape[0]
    low_x, low_y = int(np.floor(x)) - reach + 1, int(np.floor(y)) - reach + 1
    per_cell, z0 = 1.0 / reach, np.float32(middle[0])
    seeded = middle[3] == SEEDED
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
            if kind == UNKNOWN or (kind == SEEDED and not seeded):
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
    own = middle[1] if middle[3] != SEEN or middle[1] > LONELY_VARIANCE else 0.1 * middle[1]
    return z0 + sum_z / total, max(sum_v / (total * total), own) + edge
