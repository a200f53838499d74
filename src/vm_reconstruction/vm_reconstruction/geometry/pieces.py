"""The scene around a motion as few convex solids: slabs on planes first, hulls of what is left.

Simulators want closed, convex, few. What a camera sees is a skin, so every piece gets its thickness on the side that
cameras did not see. Layers that stand close in front of each other are one surface told twice, and become one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import binary_closing, label
from scipy.spatial import ConvexHull, QhullError

from vm_reconstruction.geometry import planes

GRID_M, THICK_M = 0.10, 0.08
MIN_SHARE, MOST_PLANES = 0.01, 20
GHOST_M, PARALLEL_DEG = 0.08, 12.0  # layers nearer than this, and turned by less, are one
MIN_CELLS, FILLED, MOST_SPLITS, MOST_CORNERS = 6, 0.72, 4, 8  # of a slab; an outline that is emptier is divided
LUMP_CELLS, LUMP_M = 6, 1.2  # of what lies on no plane: least cells, longest edge
DIRECTIONS = 26  # in which a hull is as far out as its points; more corners mean nothing here
DEEP_M = 0.03  # so far may somebody's joints be inside of a piece; it is wrong where they are deeper


@dataclass(frozen=True)
class Piece:
    """A convex solid: corners (V, 3) [m, world]; label: plane or lump; size_m2: of the seen skin."""

    corners: np.ndarray
    label: str
    size_m2: float

    def depth_of(self, points: np.ndarray) -> np.ndarray:
        """How deep points (N, 3) are inside [m]; negative outside."""
        equations = ConvexHull(self.corners).equations
        return -np.max(points @ equations[:, :3].T + equations[:, 3], axis=1)


def pieces(points: np.ndarray, cameras: np.ndarray, tolerance_m: np.ndarray) -> list[Piece]:
    """Largest first.

    Args:
        points: (N, 3) static points [m, world].
        cameras: (N, 3) where each was seen from.
        tolerance_m: (N,) how far from its plane each may be.
    """
    if len(points) < 50:
        return []
    found = without_ghosts(points, planes.find_planes(points, tolerance_m, MIN_SHARE, MOST_PLANES))
    on_planes = np.zeros(len(points), bool)
    result: list[Piece] = []
    for plane in found:
        on_planes |= plane.members
        result += _slabs(points[plane.members], cameras[plane.members], plane)
    result += _lumps(points[~on_planes], cameras[~on_planes])
    return sorted(result, key=lambda piece: -piece.size_m2)


def without_ghosts(points: np.ndarray, found: list[planes.Plane]) -> list[planes.Plane]:
    """Planes, largest first, of which none is a second layer of another: its points count for the larger one."""
    kept: list[planes.Plane] = []
    for plane in found:
        for k, larger in enumerate(kept):
            if _same(points, larger, plane):
                kept[k] = replace(larger, members=larger.members | plane.members)
                break
        else:
            kept.append(plane)
    return kept


def _same(points: np.ndarray, larger: planes.Plane, other: planes.Plane) -> bool:
    if abs(larger.normal @ other.normal) < np.cos(np.radians(PARALLEL_DEG)):
        return False
    away = np.abs(points[other.members] @ larger.normal - larger.offset)
    if np.median(away) > GHOST_M:
        return False
    axes = _axes(larger.normal)
    cells = {tuple(c) for c in np.floor(points[larger.members] @ axes.T / (2 * GRID_M)).astype(int)}
    beside = np.floor(points[other.members] @ axes.T / (2 * GRID_M)).astype(int)
    return float(np.mean([tuple(c) in cells for c in beside])) > 0.5


def _axes(normal: np.ndarray) -> np.ndarray:
    """Two unit vectors (2, 3) along a plane, the first one level."""
    level = np.cross([0.0, 0.0, 1.0], normal)
    first = level / np.linalg.norm(level) if np.linalg.norm(level) > 0.1 else np.array([1.0, 0.0, 0.0])
    first = first - normal * (first @ normal)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(normal, first)])


def _slabs(points: np.ndarray, cameras: np.ndarray, plane: planes.Plane) -> list[Piece]:
    toward = np.sign(np.mean((cameras - points) @ plane.normal)) or 1.0
    normal, offset = toward * plane.normal, toward * plane.offset
    axes = _axes(normal)
    result = []
    for outline in _outlines(points @ axes.T):
        front = outline @ axes + offset * normal
        size = ConvexHull(outline).volume
        result.append(Piece(np.concatenate([front, front - THICK_M * normal]), "plane", float(size)))
    return result


def _outlines(flat: np.ndarray) -> list[np.ndarray]:
    """Convex outlines (K, 2) of the connected parts of points (N, 2): rectangles where they fit."""
    low = flat.min(axis=0)
    cell = np.floor((flat - low) / GRID_M).astype(int) + 2
    filled = np.zeros(cell.max(axis=0) + 3, bool)
    filled[cell[:, 0], cell[:, 1]] = True
    parts = _parts(binary_closing(filled, np.ones((3, 3))))
    result = []
    for k in range(1, int(parts.max()) + 1):
        at = np.argwhere(parts == k)
        if len(at) >= MIN_CELLS:
            result += _divided(low + GRID_M * (at - 2), MOST_SPLITS)
    return result


def _parts(filled: np.ndarray) -> np.ndarray:
    """Of each filled cell the number of its connected part, from 1; 0 where nothing is."""
    parts = np.zeros(filled.shape, np.int32)
    label(filled, np.ones((3,) * filled.ndim), output=parts)
    return parts


def _divided(corners: np.ndarray, splits: int) -> list[np.ndarray]:
    """Outlines of cells whose lower corners are given (N, 2): one, or two halves' where one would be too empty."""
    every = np.concatenate([corners + GRID_M * np.array(c) for c in ((0, 0), (1, 0), (1, 1), (0, 1))])
    hull = ConvexHull(every)
    if splits and len(corners) >= 2 * MIN_CELLS and len(corners) * GRID_M**2 < FILLED * hull.volume:
        axis = int(np.argmax(np.ptp(corners, axis=0)))
        first = corners[:, axis] <= np.median(corners[:, axis])
        halves = [corners[side] for side in (first, ~first) if side.sum() >= MIN_CELLS]
        return [outline for half in halves for outline in _divided(half, splits - 1)]
    outline = every[hull.vertices]
    box = _rectangle(outline)
    return [box if ConvexHull(box).volume < hull.volume / FILLED else _simplified(outline)]


def _simplified(outline: np.ndarray) -> np.ndarray:
    """A convex outline (K, 2) with at most MOST_CORNERS: those go first without which it loses least."""
    while len(outline) > MOST_CORNERS:
        before, after = np.roll(outline, 1, axis=0) - outline, np.roll(outline, -1, axis=0) - outline
        lost = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0])
        outline = np.delete(outline, int(lost.argmin()), axis=0)
    return outline


def _rectangle(outline: np.ndarray) -> np.ndarray:
    """The smallest rectangle (4, 2) around a convex outline (K, 2): one of its edges lies on one of the outline's."""
    best, smallest = outline, np.inf
    for edge in np.roll(outline, -1, axis=0) - outline:
        u = edge / max(float(np.linalg.norm(edge)), 1e-9)
        turn = np.stack([u, [-u[1], u[0]]])
        local = outline @ turn.T
        (a, b), (c, d) = local.min(axis=0), local.max(axis=0)
        if (c - a) * (d - b) < smallest:
            best, smallest = np.array([(a, b), (c, b), (c, d), (a, d)]) @ turn, (c - a) * (d - b)
    return best


def _lumps(points: np.ndarray, cameras: np.ndarray) -> list[Piece]:
    """Hulls of connected cells of what lies on no plane, and of what lies behind them."""
    if not len(points):
        return []
    low = points.min(axis=0)
    cell = np.floor((points - low) / GRID_M).astype(int)
    filled = np.zeros(cell.max(axis=0) + 1, np.int32)
    np.add.at(filled, tuple(cell.T), 1)
    part = _parts(filled > 1)[tuple(cell.T)]
    result = []
    for k in np.unique(part[part > 0]):
        result += _hulls(points[part == k], cameras[part == k])
    return result


def _hulls(points: np.ndarray, cameras: np.ndarray) -> list[Piece]:
    axis = int(np.argmax(np.ptp(points, axis=0)))
    if np.ptp(points[:, axis]) > LUMP_M:
        middle = 0.5 * (points[:, axis].min() + points[:, axis].max())
        first = points[:, axis] <= middle
        return _hulls(points[first], cameras[first]) + _hulls(points[~first], cameras[~first])
    cells = len(np.unique(np.floor(points / GRID_M), axis=0))
    if cells < LUMP_CELLS:
        return []
    ray = points - cameras
    behind = points + THICK_M * ray / np.maximum(np.linalg.norm(ray, axis=1, keepdims=True), 1e-9)
    every = np.concatenate([points, behind])
    corners = every[np.unique(np.argmax(every @ _spread(DIRECTIONS).T, axis=0))]
    try:
        ConvexHull(corners)
    except QhullError:  # flat after all
        return []
    return [Piece(corners, "lump", cells * GRID_M**2)]


def _spread(count: int) -> np.ndarray:
    """(count, 3) unit vectors spread evenly over the sphere: a spiral at the golden angle."""
    z = 1.0 - (2.0 * np.arange(count) + 1.0) / count
    turn = np.arange(count) * np.pi * (3.0 - np.sqrt(5.0))
    return np.column_stack([np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn), z])


def free_of(found: list[Piece], walked: np.ndarray) -> list[Piece]:
    """Pieces in which nobody's joints (N, 3) [m, world] ever are: somebody went there, so nothing stands there."""
    return [piece for piece in found if np.max(piece.depth_of(walked), initial=-1.0) < DEEP_M]
