"""What the grid sampler reads of the elevation map, and copies of it that another thread may read at any time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BUFFERS = 3  # a copy is being read, one waits, one is written: a reader has two map updates' time to finish


@dataclass(frozen=True)
class MapView:
    """The map's layers with their place in the world.

    Attributes:
        surface: (n, n, 4) float32 height [m], variance [m²], time, hits by world index modulo n.
        source: (n, n) uint8 CellSource.
        corner: (4,) world index of the window's lower corner, and the same modulo n.
        scales: cells a metre; the map's start [s]; drift's variance [m²/s], its end [m²], and the least variance [m²].
    """

    surface: np.ndarray
    source: np.ndarray
    corner: np.ndarray
    scales: tuple[float, float, float, float, float]

    @property
    def arrays(self) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray, tuple[float, float, float, float, float]]:
        """As the compiled sampler takes it."""
        return (self.surface, self.source), self.corner, self.scales


class MapCopies:
    """Copies of a view into a ring of buffers that are made once.

    Attributes:
        newest: the last copy; taking the attribute is atomic.
    """

    def __init__(self, view: MapView) -> None:
        self._ring = [(view.surface.copy(), view.source.copy(), view.corner.copy()) for _ in range(BUFFERS)]
        self._next = 0
        self.newest = MapView(*self._ring[-1], view.scales)

    def copy(self, view: MapView) -> None:
        """Makes `newest` a copy of a view of the same size."""
        buffers = self._ring[self._next]
        for buffer, layer in zip(buffers, (view.surface, view.source, view.corner), strict=True):
            np.copyto(buffer, layer)
        self._next = (self._next + 1) % BUFFERS
        self.newest = MapView(*buffers, view.scales)
