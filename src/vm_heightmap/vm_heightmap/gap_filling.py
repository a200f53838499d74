"""A cell that nobody has seen, or hardly: what it takes from its neighbours, and what a descending edge hides."""

from __future__ import annotations

import numba
import numpy as np

from vm_core.height_grid import CellSource
from vm_heightmap.fusion import FEW_HITS, HIT_COUNT

EDGE_M = 0.04
"""Cells that differ by more from the one under the query lie on another surface and are not blended in."""
BLEND_M = 0.04
"""Half-width of the tent that averages over cells; also how far away another surface makes a height uncertain."""
MAX_FILL_M = 0.12
"""Widest gap that is filled, from its lower side: what a tread's edge hides from the sensor. Wider ones stay holes."""
MAX_HIDDEN_M, HIDDEN_PER_RISE = 0.18, 1.1
"""A descending edge may hide more: so many metres a metre of its rise, seen from as far as the blind cone's rim."""
SPECK_HITS = 5.0
UNKNOWN, SEEN, FILLED, SEEDED = (int(kind) for kind in CellSource)


@numba.njit(cache=True, nogil=True)
def middle_of(ix, iy, corner, per_m, layers):
    """Height, variance, time and source of the cell under the query, from its neighbours if it is unknown itself."""
    surface, source = layers
    kx, ky = _index(ix, iy, corner, source)
    if kx < 0:
        return np.nan, np.nan, np.nan, UNKNOWN
    if source[kx, ky] != UNKNOWN and not _is_speck(ix, iy, kx, ky, corner, layers):
        return _cell(kx, ky, surface, int(source[kx, ky]))
    best = (np.nan, np.nan, np.nan, UNKNOWN)
    most = int(MAX_HIDDEN_M * per_m + 1e-6)
    for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
        a, ax, ay = _reach(ix, iy, dx, dy, corner, source, most)
        b, bx, by = _reach(ix, iy, -dx, -dy, corner, source, most)
        if a == 0 or b == 0:
            continue
        low, rise = min(surface[ax, ay, 0], surface[bx, by, 0]), abs(surface[ax, ay, 0] - surface[bx, by, 0])
        if (a + b - 1) * (1.0 if dx * dy == 0 else 1.4) > _widest(rise) * per_m + 1e-6:
            continue
        if best[3] == UNKNOWN or low < best[0]:
            spread = max(surface[ax, ay, 1], surface[bx, by, 1]) + rise * rise / 12.0
            # a small cell that no ray has met between seen ones on one surface is as good as seen
            between = a + b <= BLEND_M * per_m + 1e-6 and rise <= EDGE_M
            kind = min(int(source[ax, ay]), int(source[bx, by])) if between else FILLED
            best = (float(low), float(spread), float(min(surface[ax, ay, 2], surface[bx, by, 2])), kind)
    return best


@numba.njit(cache=True, nogil=True)
def over_an_edge(ix, iy, middle, corner, per_m, layers):
    """The cell itself, or what lies below it if it holds only what noise has put over a descending edge.

    Such an edge hides a strip behind it; a cell of the strip beside the edge has few points, all on the upper level.
    """
    surface, source = layers
    most = int(MAX_HIDDEN_M * per_m + 1e-6)
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        k, lx, ly = _reach(ix, iy, dx, dy, corner, source, most)
        ux, uy = _index(ix - dx, iy - dy, corner, source)
        if k < 2 or ux < 0 or source[ux, uy] == UNKNOWN:
            continue
        rise = middle[0] - surface[lx, ly, 0]
        if rise <= EDGE_M or abs(surface[ux, uy, 0] - middle[0]) > EDGE_M or k - 1 > _widest(rise) * per_m + 1e-6:
            continue
        spread = 0.25 * rise * rise
        kx, ky = _index(ix, iy, corner, source)
        if surface[kx, ky, HIT_COUNT] < 0.5 * surface[ux, uy, HIT_COUNT]:
            low = _cell(lx, ly, surface, FILLED)
            return low[0], low[1] + spread, low[2], low[3]
        return middle[0], middle[1] + spread, middle[2], middle[3]
    return middle


@numba.njit(cache=True, nogil=True, inline="always")
def _widest(rise):
    """Widest gap [m] that is filled between surfaces which differ by `rise`."""
    return max(MAX_FILL_M, min(HIDDEN_PER_RISE * rise, MAX_HIDDEN_M))


@numba.njit(cache=True, nogil=True)
def _is_speck(ix, iy, kx, ky, corner, layers):
    """Whether a few hits (dust, mirror images) make the cell differ from most of its neighbours, no less seen."""
    surface, source = layers
    own = surface[kx, ky, HIT_COUNT]
    if source[kx, ky] != SEEN or own >= SPECK_HITS:
        return False
    agree, differ = 0, 0
    for dx in range(-1, 2):
        for dy in range(-1, 2):
            jx, jy = _index(ix + dx, iy + dy, corner, source)
            if jx < 0 or source[jx, jy] != SEEN or (dx == 0 and dy == 0):
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
def beside_unknown(ix, iy, corner, source):
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        kx, ky = _index(ix + dx, iy + dy, corner, source)
        if kx < 0 or source[kx, ky] == UNKNOWN:
            return True
    return False


@numba.njit(cache=True, nogil=True)
def _reach(ix, iy, dx, dy, corner, source, most):
    """Steps to the next known cell along (dx, dy), 0 if there is none within `most`, and its place in the layers."""
    for k in range(1, most + 1):
        kx, ky = _index(ix + k * dx, iy + k * dy, corner, source)
        if kx >= 0 and source[kx, ky] != UNKNOWN:
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
