"""Normal equations of unknowns in frame order plus a few that all frames share: an arrow-shaped matrix.

Frames are tied to at most two frames ahead, so the frames' part is banded (LAPACK dpbtrf, linear in the clip's length);
the shared unknowns are the border, eliminated by their Schur complement. Its inverse is their covariance.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided
from scipy.linalg import lapack, solve_triangular

from vm_core.errors import VmError
from vm_reconstruction.solver.joint.band_solve import backward, forward
from vm_reconstruction.solver.joint.rows import Rows

PART = 128  # frames of a person's 48 unknowns; more of what touches fewer
REACH = 2  # frames ahead that a residual may touch
Runs = list[tuple[slice, slice]]


class NormalEquations:
    """J^T W J and J^T W r of T frames with k unknowns each and g shared ones."""

    def __init__(self, frames: int, k: int, g: int) -> None:
        """Starts with zeros."""
        self._width = (REACH + 1) * k
        self._stored = np.zeros((frames, k, self._width + 1))
        self.border, self.corner = np.zeros((frames, k, g)), np.zeros((g, g))
        self.gradient, self.shared_gradient = np.zeros((frames, k)), np.zeros(g)
        # [t, c, r]: row r, counted from frame t's first unknown, of its column c. Memory is LAPACK's band (a column
        # begins at its diagonal) and one place more: what is above the diagonal falls behind the column before it.
        item = self._stored.itemsize
        strides = k * (self._width + 1) * item, self._width * item, item
        self._matrix = as_strided(self._stored, (frames, k, self._width), strides)

    def assemble(self, rows: Iterable[Rows]) -> float:
        """Starts anew from these residuals, one kind in memory at a time; returns their cost."""
        for values in (self._stored, self.border, self.corner, self.gradient, self.shared_gradient):
            values.fill(0.0)
        cost = 0.0
        for r in rows:
            cost += r.cost()
            self.add(r)
        return cost

    def add(self, rows: Rows) -> None:
        """Adds one kind of residuals, some frames at a time so that the products stay in the processor's cache."""
        if rows.residual.size:
            width = max((jacobian[0].size // jacobian.shape[-2] for jacobian in rows.jacobians), default=1)
            runs = [_runs(columns) for columns in rows.columns]
            for part in rows.parts(PART * max(1, 48 // width)):
                self._add_part(part, runs)

    def _add_part(self, rows: Rows, runs: list[Runs]) -> None:
        weights = rows.weights()
        for a, jacobian in enumerate(rows.jacobians):
            scaled = jacobian if weights is None else jacobian * weights.reshape(*jacobian.shape[:-1], 1)
            left = scaled.swapaxes(-1, -2)
            gradient = (left @ rows.residual.reshape(*jacobian.shape[:-1], 1)).reshape(len(left), -1)
            border = None if rows.border is None else left @ rows.border
            self._add_vectors(_frames(rows.frames, a), runs[a], gradient, border)
            for b in range(a + 1):
                block = rows.jacobians[b].swapaxes(-1, -2) @ scaled  # transposed: its rows are columns of the matrix
                add = self._add_blocks if block.ndim == 3 else self._add_diagonal_blocks
                add(_frames(rows.frames, b), a - b, runs[a], runs[b], block)
        if rows.border is not None:
            flat, residual = rows.border.reshape(-1, rows.border.shape[-1]), rows.residual.ravel()
            weighted = flat if weights is None else flat * weights.reshape(-1, 1)
            first = slice(flat.shape[1])
            self.corner[first, first] += weighted.T @ flat
            self.shared_gradient[first] += weighted.T @ residual

    def _add_vectors(self, at: slice | np.ndarray, runs: Runs, gradient: np.ndarray, border: np.ndarray | None) -> None:
        for own, place in runs:
            self.gradient[at, place] += gradient[:, own]
            if border is not None:
                self.border[at, place, : border.shape[2]] += border[:, own]

    def _add_blocks(self, at: slice | np.ndarray, ahead: int, left: Runs, right: Runs, block: np.ndarray) -> None:
        """Frame by frame (n, c of the right, c of the left); runs are several times faster than index arrays."""
        down = ahead * self.gradient.shape[1]
        for other, column in right:
            for own, row in left:
                self._matrix[at, column, row.start + down : row.stop + down] += block[:, other, own]

    def _add_diagonal_blocks(
        self, at: slice | np.ndarray, ahead: int, left: Runs, right: Runs, block: np.ndarray
    ) -> None:
        """(n, blocks, c, c), each between unknowns of its own, which are one run altogether."""
        assert left == right and len(left) == 1
        start, down = left[0][1].start, ahead * self.gradient.shape[1]
        by_frame, by_column, by_row = self._matrix.strides
        _, count, size, _ = block.shape
        corner = self._matrix[:, start:, start + down :]
        strides = by_frame, size * (by_column + by_row), by_column, by_row
        as_strided(corner, (len(corner), count, size, size), strides)[at] += block

    def band(self, damping: float) -> np.ndarray:
        """Lower band (3k, T k) in LAPACK's layout, the diagonal enlarged by `damping` times itself."""
        frames, k = self.gradient.shape
        below = np.arange(k)[:, None] + np.arange(self._width) < self._width
        out = self._stored[..., : self._width] * below
        out[..., 0] += damping * np.maximum(out[..., 0], 1e-9) + 1e-9
        return out.reshape(frames * k, -1).T

    def step(self, damping: float) -> tuple[np.ndarray, np.ndarray] | None:
        """Step by frame (T, k) and of the shared unknowns (g,); None when the matrix is not positive definite."""
        frames, k = self.gradient.shape
        factor, info = lapack.dpbtrf(self.band(damping), lower=1, overwrite_ab=1)
        if info != 0:
            return None
        right = np.concatenate([self.gradient.reshape(-1, 1), self.border.reshape(frames * k, -1)], axis=1)
        solved = forward(factor, right)
        own, border = solved[:, 0], solved[:, 1:]
        corner = self.corner + damping * np.diag(np.maximum(np.diag(self.corner), 1e-9))
        try:
            shared = np.linalg.solve(corner - border.T @ border, self.shared_gradient - border.T @ own)
        except np.linalg.LinAlgError:
            return None
        return -backward(factor, (own - border @ shared)[:, None]).reshape(frames, k), -shared


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
    frames, k = normal.gradient.shape
    factor, info = lapack.dpbtrf(normal.band(0.0), lower=1, overwrite_ab=1)
    if info != 0:
        raise VmError("the solution's normal matrix is not positive definite; nothing is known of some unknowns")
    border = normal.border.reshape(frames * k, -1)
    solved = backward(factor, forward(factor, border))
    shared = np.linalg.inv(normal.corner - border.T @ solved)
    by_shared = solved.reshape(frames, k, -1)[:, columns]
    stored = factor.T.reshape(frames, k, (REACH + 1) * k)  # row c of frame t: the factor's column c from its diagonal
    ahead = np.zeros((REACH * k, REACH * k))  # a square root of the covariance of the next frames
    result = np.empty((frames, len(columns), len(columns)))
    for t in range(frames - 1, -1, -1):
        column = np.zeros(((REACH + 1) * k, k))
        for c in range(k):
            column[c:, c] = stored[t, c, : (REACH + 1) * k - c]
        inverse = solve_triangular(column[:k], np.eye(k), lower=True)
        now = np.concatenate([inverse.T, -(column[k:] @ inverse).T @ ahead], axis=1)  # x_t from noise and from x ahead
        result[t] = now[columns] @ now[columns].T + by_shared[t] @ shared @ by_shared[t].T
        kept = np.concatenate([np.zeros(((REACH - 1) * k, k)), ahead[:-k]], axis=1)
        ahead = np.linalg.qr(np.concatenate([now, kept]).T, mode="r").T  # as many columns as rows again
    return Covariance(shared, result)


def _frames(first: np.ndarray, ahead: int) -> slice | np.ndarray:
    """Frames `ahead` of the touched ones, as a slice where they follow each other."""
    start = int(first[0]) + ahead
    alone = len(first) == 1 or bool(np.all(np.diff(first) == 1))
    return slice(start, start + len(first)) if alone else first + ahead


def _runs(columns: np.ndarray) -> Runs:
    """Ascending columns as runs without gaps: (place in the jacobian, place among the unknowns)."""
    edges = np.flatnonzero(np.diff(columns) != 1) + 1
    bounds = [0, *edges.tolist(), len(columns)]
    return [(slice(i, j), slice(int(columns[i]), int(columns[i]) + j - i)) for i, j in itertools.pairwise(bounds)]
