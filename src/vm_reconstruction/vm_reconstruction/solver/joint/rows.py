"""Residual rows with their derivatives: what terms hand to the solver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


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
    """

    residual: np.ndarray
    jacobians: tuple[np.ndarray, ...]
    columns: tuple[np.ndarray, ...]
    frames: np.ndarray
    border: np.ndarray | None = None
    group: int = 1
    cauchy: float | None = None

    def parts(self, size: int) -> Iterator[Rows]:
        """The same rows, at most `size` frames at a time."""
        n = len(self.residual)
        for k in range(0, n, size):
            at = slice(k, min(k + size, n))
            yield Rows(
                self.residual[at], tuple(j[at] for j in self.jacobians),
                self.columns, self.frames[at],
                None if self.border is None else self.border[at], self.group, self.cauchy,
            )  # fmt: skip

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
