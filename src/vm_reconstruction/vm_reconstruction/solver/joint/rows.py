"""Residual rows with their derivatives: what terms hand to the solver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

WINDOW, SHORT = 256, 512  # frames whose residuals and derivatives are in memory together; clips up to this: all
REACH = 2  # frames ahead that a residual may touch


def windows(frames: int) -> list[tuple[int, int]]:
    """First and last + 1 frame of each window of a clip; the last is longer than REACH, if the clip is."""
    size = WINDOW if frames > SHORT else frames
    starts = [s for s in range(0, frames, size) if s == 0 or frames - s > REACH]
    return list(zip(starts, [*starts[1:], frames], strict=True))


@dataclass(frozen=True)
class Rows:
    """m residual rows for each of n frames, divided by their standard deviations.

    Attributes:
        residual: (n, m).
        jacobians: one (n, m, c) for each touched frame: frames, frames + 1, ...; or (n, b, m / b, c / b) where rows
            come in b blocks of which each touches unknowns of its own, without a border.
        columns: for each of them the unknowns (c,) of that frame, ascending.
        frames: (n,) first touched frame, each once.
        border: (n, m, c) derivative by the first c shared unknowns; None: none.
        group: rows that share one robust weight (m is a multiple).
        cauchy: standard deviations beyond which a group counts as an outlier; None: plain squares.
        once: they are of the whole clip, or of its beginning, not of each frame.
    """

    residual: np.ndarray
    jacobians: tuple[np.ndarray, ...]
    columns: tuple[np.ndarray, ...]
    frames: np.ndarray
    border: np.ndarray | None = None
    group: int = 1
    cauchy: float | None = None
    once: bool = False

    def parts(self, size: int) -> Iterator[Rows]:
        """The same rows, at most `size` frames at a time."""
        n = len(self.residual)
        if n <= size:
            yield self
            return
        for k in range(0, n, size):
            yield self.at(slice(k, min(k + size, n)))

    def at(self, which: slice, first: int = 0) -> Rows:
        """Some of the rows, frames counted from `first`."""
        return Rows(
            self.residual[which], tuple(j[which] for j in self.jacobians), self.columns, self.frames[which] - first,
            None if self.border is None else self.border[which], self.group, self.cauchy, self.once,
        )  # fmt: skip

    def own(self, window: tuple[int, int]) -> Rows:
        """Of rows that count frames from the window's first: those that begin in it, in the clip's frames."""
        count = int(np.searchsorted(self.frames, window[1] - window[0]))
        return self.at(slice(0 if self.once and window[0] else count), -window[0])

    def _squared(self) -> np.ndarray:
        return np.sum(self.residual.reshape(len(self.residual), -1, self.group) ** 2, axis=-1)

    def cost(self) -> float:
        """Half the (robust) sum of squares; Cauchy's is c^2/2 log(1 + s/c^2) of a group's squared norm s."""
        if self.cauchy is None:
            return 0.5 * float(np.sum(self.residual**2))
        return 0.5 * self.cauchy**2 * float(np.log1p(self._squared() / self.cauchy**2).sum())

    def weights(self) -> np.ndarray | None:
        """(n, m) weights of iteratively reweighted least squares; None: all one."""
        if self.cauchy is None:
            return None
        return np.repeat(1.0 / (1.0 + self._squared() / self.cauchy**2), self.group, axis=1)
