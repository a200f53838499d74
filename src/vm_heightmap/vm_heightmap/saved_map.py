"""The elevation map as a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vm_core.atomic_files import atomic_path
from vm_heightmap.elevation_map import ElevationMap


def save_map(elevation: ElevationMap, path: Path) -> None:
    """Writes an `.npz`: x (n,), y (n,) [m], height, variance, time_s (n, n) and source, x slow, y fast.

    Args:
        elevation: the map.
        path: file to write; it appears whole or not at all.
    """
    n, resolution = elevation.config.cells, elevation.config.resolution_m
    x, y = ((elevation.corner[axis] + np.arange(n) + 0.5) * resolution for axis in range(2))
    surface, source = (
        np.roll(layer, -elevation.corner[2:], axis=(0, 1)) for layer in (elevation.surface, elevation.source)
    )
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            x=x,
            y=y,
            height=surface[..., 0],
            variance=surface[..., 1],
            time_s=surface[..., 2].astype(np.float64) + elevation.start_s,
            source=source,
        )
