"""Normal equations of unknowns in frame order plus a few that all frames share: an arrow-shaped matrix.

Frames are tied to at most two frames ahead, so the frames' part is banded (LAPACK dpbtrf, linear in the clip's length);
the shared unknowns are the border, eliminated by their Schur complement. Its inverse is their covariance. Frames come
in windows, each eliminated into the next one, so that a clip of any length needs the memory of a few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack, solve_triangular

from vm_core.errors import VmError
from vm_reconstruction.solver.joint.band_solve import backward, forward
from vm_reconstruction.solver.joint.rows import REACH, Rows, windows
from vm_reconstruction.solver.joint.store import ArrayStore
from vm_reconstruction.solver.joint.window import Window, runs_of, value_count

PART = 128  # frames of a person's 48 unknowns; more of what touches fewer


class NormalEquations:
    """J^T W J and J^T W r of T frames with k unknowns each and g shared ones."""

    def __init__(self, frames: int, k: int, g: int) -> None:
        """Starts with zeros."""
        self.frames, self.k, self.g = frames, k, g
        self.bounds = windows(frames)
        longest = max(b - a for a, b in self.bounds)
        self._windows = ArrayStore(len(self.bounds), value_count(longest, k, g))
        self._factors = ArrayStore(len(self.bounds), longest * k * ((REACH + 1) * k + 1 + g))
        self._present: tuple[int, Window] | None = None
        self.corner, self.shared_gradient = np.zeros((g, g)), np.zeros(g)

    def assemble(self, rows: Iterable[Rows]) -> float:
        """Starts anew from these residuals, one kind in memory at a time; returns their cost."""
        self._windows.clear()
        self._present = None
        self.corner.fill(0.0)
        self.shared_gradient.fill(0.0)
        cost = 0.0
        for r in rows:
            cost += r.cost()
            self.add(r)
        return cost

    def add(self, rows: Rows) -> None:
        """Adds one kind of residuals, some frames at a time so that the products stay in the processor's cache."""
        if not rows.residual.size:
            return
        width = max((jacobian[0].size // jacobian.shape[-2] for jacobian in rows.jacobians), default=1)
        runs = [runs_of(columns) for columns in rows.columns]
        edges = np.searchsorted(rows.frames, [0, *(end for _, end in self.bounds)])
        for w in np.flatnonzero(np.diff(edges)).tolist():
            mine = rows.at(slice(int(edges[w]), int(edges[w + 1])), self.bounds[w][0])
            for part in mine.parts(PART * max(1, 48 // width)):
                weights = part.weights()
                if part.jacobians:
                    self._window(w).add(part, weights, runs)
                self._add_shared(part, weights)

    def _add_shared(self, rows: Rows, weights: np.ndarray | None) -> None:
        if rows.border is not None:
            flat, residual = rows.border.reshape(-1, rows.border.shape[-1]), rows.residual.ravel()
            weighted = flat if weights is None else flat * weights.reshape(-1, 1)
            first = slice(flat.shape[1])
            self.corner[first, first] += weighted.T @ flat
            self.shared_gradient[first] += weighted.T @ residual

    def _window(self, index: int) -> Window:
        """To add to; rows that come window after window leave each only once."""
        if self._present is None or self._present[0] != index:
            self._leave()
            self._present = index, self._loaded(index)
        return self._present[1]

    def _leave(self) -> None:
        if self._present is not None:
            self._windows.put(self._present[0], self._present[1].values)
        self._present = None

    def _loaded(self, index: int) -> Window:
        start, end = self.bounds[index]
        return Window(self._windows.get(index), end - start, self.k, self.g)

    def step(self, damping: float) -> tuple[np.ndarray, np.ndarray] | None:
        """Step by frame (T, k) and of the shared unknowns (g,); None when the matrix is not positive definite."""
        eliminated = self.factorized(damping)
        if eliminated is None:
            return None
        corner = self.corner + damping * np.diag(np.maximum(np.diag(self.corner), 1e-9))
        try:
            shared = np.linalg.solve(corner - eliminated[1:, 1:], self.shared_gradient - eliminated[1:, 0])
        except np.linalg.LinAlgError:
            return None
        result = np.empty((self.frames, self.k))
        for start, end, _, x in self.substituted(lambda x: x[:, :1] - x[:, 1:] @ shared[:, None]):
            result[start:end] = -x.reshape(end - start, self.k)
        return result, -shared

    def factorized(self, damping: float) -> np.ndarray | None:
        """Cholesky factors and x = L^-1 [gradient, border] into `_factors`, window after window.

        Returns:
            x^T x (1 + g, 1 + g); None when the matrix is not positive definite.
        """
        self._leave()
        eliminated = np.zeros((1 + self.g, 1 + self.g))
        before, carried = None, None  # the tail of the window before, and what its elimination takes from this one
        for w, (start, end) in enumerate(self.bounds):
            window, n = self._loaded(w), (end - start) * self.k
            values = np.empty(self._factors.size)
            columns, x = self._parted(values, n)
            window.band(damping, before, columns)
            right = window.right(before)
            if carried is not None:
                for c in range(REACH * self.k):
                    columns[c, : REACH * self.k - c] -= carried[0][c:, c]
                right[: REACH * self.k] -= carried[1]
            below = self._below(columns) if w + 1 < len(self.bounds) else None
            factor, info = lapack.dpbtrf(columns.T, lower=1, overwrite_ab=1)
            if info != 0:
                return None
            if not np.shares_memory(factor, columns):  # LAPACK works in place where it can
                columns[:] = factor.T
            x[:] = forward(columns.T, right)
            eliminated += x.T @ x
            carried = None if below is None else self._carried(columns, below, x)
            self._factors.put(w, values)
            before = window.tail()
        return eliminated

    def _below(self, band: np.ndarray) -> np.ndarray:
        """(2k, 2k) the matrix between a window's last REACH frames (columns) and the next ones."""
        size = REACH * self.k
        below = np.zeros((size, size))
        for c in range(size):
            rows = (c // self.k + 1) * self.k
            below[:rows, c] = band[len(band) - size + c, size - c : size - c + rows]
        return below

    def _carried(self, columns: np.ndarray, below: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What a window's elimination takes from the matrix and right-hand sides of the next REACH frames.

        Writes the factor's rows of those frames into `columns` (n, 3k).
        """
        size, n = REACH * self.k, len(columns)
        last = np.zeros((size, size))
        for c in range(size):
            last[c:, c] = columns[n - size + c, : size - c]
        factor = solve_triangular(last, below.T, lower=True).T
        for c in range(size):
            rows = (c // self.k + 1) * self.k
            columns[n - size + c, size - c : size - c + rows] = factor[:rows, c]
        return factor @ factor.T, factor @ x[-size:]

    def _parted(self, values: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Columns (n, 3k) of the factor from the diagonal down, and right-hand sides (n, 1 + g), as views."""
        width = (REACH + 1) * self.k
        return values[: n * width].reshape(n, width), values[n * width : n * (width + 1 + self.g)].reshape(n, -1)

    def substituted(
        self, right: Callable[[np.ndarray], np.ndarray]
    ) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
        """Backward substitution of right(x) (n, r), last window first: its bounds, factor's columns and solution."""
        size, after = REACH * self.k, None
        for w, (start, end) in reversed(list(enumerate(self.bounds))):
            columns, x = self._parted(self._factors.get(w), (end - start) * self.k)
            b = right(x)
            if after is not None:
                b[-size:] -= self._below(columns).T @ after[:size]
            after = backward(columns.T, b)
            yield start, end, columns, after
        self._factors.clear()


@dataclass(frozen=True)
class Covariance:
    """Of the solution, in units of the residuals' standard deviations: shared (g, g), by frame (T, k, k)."""

    shared: np.ndarray
    by_frame: np.ndarray


def covariance(normal: NormalEquations, columns: np.ndarray) -> Covariance:
    """Blocks of the inverse of the normal matrix, without ever forming it.

    The frames' part: backward substitution with the banded Cholesky factor, carrying a square root of the covariance
    (Takahashi's recursion without the root loses all digits within 60 frames), linear in the clip's length. The shared
    unknowns: their Schur complement's inverse, which the frames inherit.

    Args:
        normal: at the solution.
        columns: (c,) unknowns of a frame that are wanted.
    """
    eliminated = normal.factorized(0.0)
    if eliminated is None:
        raise VmError("the solution's normal matrix is not positive definite; nothing is known of some unknowns")
    k, g = normal.k, normal.g
    shared = np.linalg.inv(normal.corner - eliminated[1:, 1:])
    ahead = np.zeros((REACH * k, REACH * k))  # a square root of the covariance of the next frames
    result = np.empty((normal.frames, len(columns), len(columns)))
    for start, end, stored, solved in normal.substituted(lambda x: x[:, 1:].copy()):
        by_shared = solved.reshape(end - start, k, g)[:, columns]
        by_column = stored.reshape(end - start, k, (REACH + 1) * k)
        for t in range(end - start - 1, -1, -1):
            now = _with_ahead(by_column[t], ahead)
            result[start + t] = now[columns] @ now[columns].T + by_shared[t] @ shared @ by_shared[t].T
            kept = np.concatenate([np.zeros(((REACH - 1) * k, k)), ahead[:-k]], axis=1)
            ahead = np.linalg.qr(np.concatenate([now, kept]).T, mode="r").T  # as many columns as rows again
    return Covariance(shared, result)


def _with_ahead(stored: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """A square root of a frame's covariance: from noise of its own, and from the frames ahead.

    stored: (k, 3k) the factor's columns from their diagonals down.
    """
    k = len(stored)
    column = np.zeros(((REACH + 1) * k, k))
    for c in range(k):
        column[c:, c] = stored[c, : (REACH + 1) * k - c]
    inverse = solve_triangular(column[:k], np.eye(k), lower=True)
    return np.concatenate([inverse.T, -(column[k:] @ inverse).T @ ahead], axis=1)
