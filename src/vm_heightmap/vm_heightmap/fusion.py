"""Points into surfaces, rays against them: the compiled inner loops of the elevation map.

A cell of a stair's edge holds a tread, the tread above and a riser's scattered points. Each cell therefore keeps three
surfaces with a Kalman height and a count of hits; a point belongs to the nearest one within its gate, else it wears
down the least-seen one and takes its place (heavy hitters after Misra and Gries). The cell's height is the highest
surface that has a fair share of the hits: tops stay, what noise scatters does not count. A riser's points, half of
which noise puts in front of it, are told from a tread by the rays: before a ray ends, it passes the cells in front of
its end, and what it passes below is missed there.

A cell is one record of 16 floats, which is one cache line: memory, not arithmetic, is what a scan costs.
"""

from __future__ import annotations

import numba
import numpy as np

from vm_core.height_grid import CellSource

SLOTS = 3
HEIGHT, VARIANCE, HITS, TIME, MISSES = range(5)  # of a surface in a record
LAST_SEEN, HIT_COUNT = 2, 3  # of a cell in the layer `surface`, after HEIGHT and VARIANCE
COLUMNS = 5
BORN = SLOTS * COLUMNS  # time of the first hit in a record
RECORD = 16
MOST_HITS = 48.0  # then all counts of the cell are halved: shares stay, and a changed world is believed in time
FEW_HITS = 2.0  # a surface needs as many before it may stand above another one
BACK_STEPS, BACK_STEP_M = 4, 0.02  # how far rays are followed back from their end
OWN_CELL_M, REST_S = 0.03, 0.5
MISS_MARGIN_M, THROUGH_M = 0.02, 0.08
GONE_S, WITH_S, EPISODE_S = 0.3, 0.15, 2.0  # see `_went_along`
MISSES_FOR_HITS = 0.6  # more misses a hit than this, and nothing stands there
_SEEN, _SEEDED, _UNKNOWN = int(CellSource.SEEN), int(CellSource.SEEDED), int(CellSource.UNKNOWN)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def cell_at(x, y, corner, n, per_m):
    """Row and column in the layers of the cell that holds (x, y) [m], or -1 outside the window."""
    ix, iy = int(np.floor(x * per_m)) - corner[0], int(np.floor(y * per_m)) - corner[1]
    if ix < 0 or iy < 0 or ix >= n or iy >= n:
        return -1, -1
    # a division costs more than all else here: the corner's own remainder is known
    ix, iy = ix + corner[2], iy + corner[3]
    return ix - n if ix >= n else ix, iy - n if iy >= n else iy


@numba.njit(cache=True, nogil=True, error_model="numpy")
def add_points(points, origins, now, place, layers, cells, passed, noise, gate):
    """Fuses points (N, 3) seen from origins (N, 3) at `now` [s after the map's start]; how many lay in the map."""
    corner, per_m = place
    surface, ceiling, source = layers
    n = len(cells)
    inside = 0
    for i in range(len(points)):
        px, py, pz = points[i, 0], points[i, 1], points[i, 2]
        ix, iy = cell_at(px, py, corner, n, per_m)
        if ix < 0:
            continue
        dx, dy, dz = px - origins[i, 0], py - origins[i, 1], pz - origins[i, 2]
        flat = dx * dx + dy * dy
        square = flat + dz * dz
        sigma = noise[0] + noise[1] * np.sqrt(square)
        per_flat_m = 1.0 / max(np.sqrt(flat), 0.1)
        # noise lies along the ray; on level ground, only its vertical part moves the height
        variance = sigma * sigma * max(dz * dz / square, 0.1)
        inside += 1
        if flat >= 0.1:
            back = (BACK_STEP_M * per_flat_m * dx, BACK_STEP_M * per_flat_m * dy, BACK_STEP_M * per_flat_m * dz)
            if _passes_below((px, py, pz), back, (ix, iy), place, layers, cells, now, gate[2]):
                continue
        _add_point(cells[ix, iy], pz, variance, now, noise, gate)
        # in its own cell, too, the ray passed below what stands clearly higher than its end; but a riser's points do
        # so below its tread, which is still being seen
        own = pz - OWN_CELL_M * per_flat_m * dz + MISS_MARGIN_M
        if ceiling[ix, iy] > own:
            _miss_above(cells[ix, iy], own, now - REST_S)
        if pz > ceiling[ix, iy] - gate[1]:
            passed[ix, iy] = 0  # what is hit again stands, whatever mirrored rays say
        _select(ix, iy, surface, ceiling, source, cells, gate[2], now)
    return inside


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _passes_below(end, back, own, place, layers, cells, now, share):
    """Counts misses in the cells before a ray's end, in steps `back`; whether it passes far below each one's surface.

    Then it came through the ground: an image in a wet floor. If the ground is really gone, the misses will tell.
    """
    corner, per_m = place
    surface, ceiling, source = layers
    n = len(cells)
    # in cells from the window's corner, where cutting off the fraction is rounding down
    x, y, limit = end[0] * per_m - corner[0], end[1] * per_m - corner[1], end[2] + MISS_MARGIN_M
    step_x, step_y = back[0] * per_m, back[1] * per_m
    (last_x, last_y), visited, through = own, 0, 0
    for _ in range(BACK_STEPS):
        x, y, limit = x - step_x, y - step_y, limit - back[2]
        if x < 0.0 or y < 0.0 or x >= n or y >= n:
            break
        jx, jy = int(x) + corner[2], int(y) + corner[3]
        jx, jy = jx - n if jx >= n else jx, jy - n if jy >= n else jy
        new = (jx != last_x) | (jy != last_y)  # counted without a branch, which nothing could predict
        visited += new
        if ceiling[jx, jy] > limit and new:
            through += surface[jx, jy, 0] > limit + THROUGH_M
            _miss_above(cells[jx, jy], limit, now)
            _select(jx, jy, surface, ceiling, source, cells, share, now)
        last_x, last_y = jx, jy
    return visited >= 2 and through == visited


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _miss_above(cell, limit, before):
    for at in (0, COLUMNS, 2 * COLUMNS):
        if cell[at + HITS] > 0.0 and cell[at + HEIGHT] > limit and cell[at + TIME] <= before:
            cell[at + MISSES] += np.float32(1.0)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _add_point(cell, z, point_variance, now, noise, gate):
    nearest, distance = -1, np.inf
    for at in (0, COLUMNS, 2 * COLUMNS):
        off = abs(z - cell[at + HEIGHT])
        if cell[at + HITS] > 0.0 and off < distance:
            nearest, distance = at, off
    if nearest >= 0:
        drift = min(noise[3] * max(now - cell[nearest + TIME], 0.0), noise[4])
        variance = cell[nearest + VARIANCE] + drift
        if distance <= gate[1] or distance * distance <= gate[0] * gate[0] * (variance + point_variance):
            gain = variance / (variance + point_variance)
            cell[nearest + HEIGHT] += gain * (z - cell[nearest + HEIGHT])
            cell[nearest + VARIANCE] = max((1.0 - gain) * variance, noise[2])
            cell[nearest + HITS] += 1.0
            cell[nearest + TIME] = now
            if cell[nearest + HITS] > MOST_HITS:
                for k in range(SLOTS):
                    cell[COLUMNS * k + HITS] *= np.float32(0.5)
                    cell[COLUMNS * k + MISSES] *= np.float32(0.5)
            return
    weakest = 0
    for at in (COLUMNS, 2 * COLUMNS):
        if cell[at + HITS] < cell[weakest + HITS]:
            weakest = at
    if nearest < 0:
        cell[BORN] = now
    cell[weakest + HITS] -= 1.0
    if cell[weakest + HITS] <= 0.0:
        cell[weakest + HEIGHT], cell[weakest + VARIANCE] = z, point_variance
        cell[weakest + HITS], cell[weakest + TIME], cell[weakest + MISSES] = 1.0, now, 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _went_along(cell, own, now):
    """Whether the surface belongs to something that stood in the cell for a moment and has gone: a leg's lower end.

    Rays pass below the leg's upper parts when it is gone, but none below its lowest, at the rim of the blind cone.
    """
    gone = False
    for at in (0, COLUMNS, 2 * COLUMNS):
        if at != own and cell[at + VARIANCE] > 0.0 and cell[at + HEIGHT] > cell[own + HEIGHT]:
            refuted = MISSES_FOR_HITS * cell[at + HITS] < cell[at + MISSES] or cell[at + HITS] <= 0.0
            last = cell[at + TIME]
            together = cell[own + TIME] <= last + WITH_S and cell[BORN] >= last - EPISODE_S
            gone = gone or (refuted and together and last < now - GONE_S)
    return gone


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _select(ix, iy, surface, ceiling, source, cells, share, now):
    """Writes the cell's surface: the highest one with a fair share of the hits."""
    cell = cells[ix, iy]
    lone = cell[COLUMNS + VARIANCE] == 0.0 and cell[2 * COLUMNS + VARIANCE] == 0.0 and cell[HITS] > 0.0
    if lone and MISSES_FOR_HITS * cell[HITS] >= cell[MISSES]:  # most cells; what follows would say the same
        ceiling[ix, iy] = cell[HEIGHT]
        _show(surface[ix, iy], cell, 0)
        source[ix, iy] = _SEEN
        return
    most, highest, chosen = np.float32(0.0), np.float32(-1e9), -1
    for at in (0, COLUMNS, 2 * COLUMNS):
        if cell[at + HITS] > 0.0:
            highest = max(highest, cell[at + HEIGHT])
            if cell[at + HITS] > most and MISSES_FOR_HITS * cell[at + HITS] >= cell[at + MISSES]:
                most = cell[at + HITS]
    ceiling[ix, iy] = highest
    if most > 0.0:
        needed = min(max(share * most, FEW_HITS), most)
        for at in (0, COLUMNS, 2 * COLUMNS):
            # among single hits the lowest: a speck of dust is no surface
            upper = chosen < 0 or (cell[at + HEIGHT] > cell[chosen + HEIGHT]) == (most >= FEW_HITS)
            if cell[at + HITS] >= needed and upper and MISSES_FOR_HITS * cell[at + HITS] >= cell[at + MISSES]:
                chosen = at
    if chosen >= 0 and _went_along(cell, chosen, now):
        chosen = -1
    if chosen >= 0:
        _show(surface[ix, iy], cell, chosen)
        source[ix, iy] = _SEEN
    elif source[ix, iy] == _SEEN:
        surface[ix, iy, 0], source[ix, iy] = np.nan, _UNKNOWN


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _show(shown, cell, at):
    shown[HEIGHT], shown[VARIANCE] = cell[at + HEIGHT], cell[at + VARIANCE]
    shown[LAST_SEEN], shown[HIT_COUNT] = cell[at + TIME], cell[at + HITS]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def clear_rays(points, origins, now, place, layers, cells, passed, clear, share):
    """Follows one ray in some and clears surfaces that they pass below."""
    ceiling = layers[1]
    highest = np.float32(-1e9)
    for ix in range(ceiling.shape[0]):
        for iy in range(ceiling.shape[1]):
            highest = max(highest, ceiling[ix, iy])
    for i in range(0, len(points), clear[2]):
        if points[i, 2] < origins[i, 2]:
            _follow_ray(points[i], origins[i], now, place, layers, cells, passed, clear, share, highest)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _follow_ray(point, origin, now, place, layers, cells, passed, clear, share, highest):
    corner, per_m = place
    surface, ceiling, source = layers
    below, below_blind, _, needed, rest_s, blind_radius = clear
    n = len(cells)
    dx, dy, dz = point[0] - origin[0], point[1] - origin[1], point[2] - origin[2]
    length = np.sqrt(dx * dx + dy * dy)
    end = length - 0.08  # short of the hit, whose own cell may hold the upper edge of what the ray hit
    if end < 0.2:
        return
    ux, uy, slope, resolution = dx / length, dy / length, dz / length, 1.0 / per_m
    stride = max(2.0 * resolution, 0.04)
    # nothing stands above `highest`, so the ray's first part speaks against nothing
    s = max((highest - below - origin[2]) / slope, 0.2)
    while s < end:
        ix, iy = cell_at(origin[0] + s * ux, origin[1] + s * uy, corner, n, per_m)
        if ix < 0:
            return
        limit = origin[2] + (s - resolution) * slope + (below if s > blind_radius else below_blind)
        if ceiling[ix, iy] > limit and _newest_above(cells[ix, iy], limit) < now - rest_s:
            passed[ix, iy] += 1
            if passed[ix, iy] >= needed:
                passed[ix, iy] = 0
                for at in (0, COLUMNS, 2 * COLUMNS):
                    if cells[ix, iy, at + HEIGHT] > limit:
                        cells[ix, iy, at + HITS] = 0.0
                _select(ix, iy, surface, ceiling, source, cells, share, now)
        s += stride


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _newest_above(cell, limit):
    newest = np.float32(-1e9)
    for at in (0, COLUMNS, 2 * COLUMNS):
        if cell[at + HITS] > 0.0 and cell[at + HEIGHT] > limit:
            newest = max(newest, cell[at + TIME])
    return newest


@numba.njit(cache=True, nogil=True, error_model="numpy")
def residuals(points, before, place, cells, out):
    """Writes how far points lie above lone surfaces with some hits, last seen before `before`; returns how many.

    A cell that holds a second surface or misses is an edge, whose points tell nothing about height.
    """
    corner, per_m = place
    count = 0
    for i in range(len(points)):
        ix, iy = cell_at(points[i, 0], points[i, 1], corner, len(cells), per_m)
        if ix < 0:
            continue
        cell = cells[ix, iy]
        total = cell[HITS] + cell[COLUMNS + HITS] + cell[2 * COLUMNS + HITS]
        for at in (0, COLUMNS, 2 * COLUMNS):
            offset = points[i, 2] - cell[at + HEIGHT]
            lone = cell[at + HITS] >= 3.0 and cell[at + HITS] > 0.9 * total and cell[at + MISSES] < 0.2 * total
            if lone and cell[at + TIME] <= before and abs(offset) < 0.06:
                out[count] = offset
                count += 1
                break
    return count


@numba.njit(cache=True, nogil=True, error_model="numpy")
def lift(up, layers, cells):
    """Adds up (n, n) [m] to every height."""
    surface, ceiling, _ = layers
    for ix in range(len(cells)):
        for iy in range(len(cells)):
            surface[ix, iy, HEIGHT] += up[ix, iy]
            ceiling[ix, iy] += up[ix, iy]
            for at in (0, COLUMNS, 2 * COLUMNS):
                cells[ix, iy, at + HEIGHT] += up[ix, iy]
