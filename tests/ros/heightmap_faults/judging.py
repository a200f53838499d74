"""What a grid got wrong, in figures that the tests judge."""

from __future__ import annotations

import numpy as np
from world import World

WALK = (0.35, 0.0, 0.0)
SEEDED, SEEN, UNKNOWN = 3, 1, 0


def error_m(world: World) -> float:
    """Error that 98 of 100 cells stay below, of those whose height is told [m]."""
    off = np.abs(world.heights() - world.truth())
    return float(np.nanpercentile(off, 98)) if np.isfinite(off).any() else float("nan")


def spikes(world: World) -> int:
    """Cells that are off by more than 5 cm."""
    return int(np.nansum(np.abs(world.heights() - world.truth()) > 0.05))


def known(world: World) -> float:
    """Share of the cells whose height is told."""
    return float(np.mean(world.sources() != UNKNOWN))


def set_points(points: np.ndarray, pick: np.ndarray, values) -> np.ndarray:
    """Puts the picked points of a scan to a place (3,), or all coordinates to one value."""
    for axis, value in zip("xyz", np.broadcast_to(np.asarray(values, dtype=float), (3,)), strict=True):
        points[axis][pick] = value
    return points
