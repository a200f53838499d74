"""The normal equations of a run of frames: a banded part, a border by what all frames share, and a gradient."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.lib.stride_tricks import as_strided

from vm_reconstruction.solver.joint.rows import REACH, Rows

Runs = list[tuple[slice, slice]]
Tail = tuple[np.ndarray, ...]


def value_count(frames: int, k: int, g: int) -> int:
    """Numbers of a window of `frames` frames with k unknowns each and g shared ones."""
    return (frames + REACH) * k * ((REACH + 1) * k + 2 + g)


class Window:
    """J^T W J and J^T W r of frames with k unknowns each, and of the REACH frames behind them that they touch.

    Attributes:
        values: all of it, (value_count,); the others are views of it.
        frames: of its own.
        border: (frames + REACH, k, g); gradient: (frames + REACH, k).
    """

    def __init__(self, values: np.ndarray, frames: int, k: int, g: int) -> None:
        """Takes `values` as they are."""
        self.values, self.frames = values, frames
        n, self._width = frames + REACH, (REACH + 1) * k
        stored, border, gradient = np.split(
            values[: value_count(frames, k, g)], [n * k * (self._width + 1), n * k * (self._width + 1 + g)]
        )
        self._stored, self.border = stored.reshape(n, k, self._width + 1), border.reshape(n, k, g)
        self.gradient = gradient.reshape(n, k)
        # [t, c, r]: row r, counted from frame t's first unknown, of its column c. Memory is LAPACK's band (a column
        # begins at its diagonal) and one place more: what is above the diagonal falls behind the column before it.
        item = values.itemsize
        strides = k * (self._width + 1) * item, self._width * item, item
        self._matrix = as_strided(self._stored, (n, k, self._width), strides)

    def add(self, rows: Rows, weights: np.ndarray | None, runs: list[Runs]) -> None:
        """Adds residuals; `rows.frames` count from the window's first, `runs` are those of `rows.columns`."""
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

    def tail(self) -> Tail:
        """What it says of the frames behind it."""
        return tuple(values[self.frames :].copy() for values in (self._stored, self.border, self.gradient))

    def band(self, damping: float, before: Tail | None, out: np.ndarray) -> None:
        """Columns (frames k, 3k) of its own frames from the diagonal down, enlarged there by `damping` times itself.

        Args:
            damping: see above.
            before: the tail of the window before.
            out: takes the result.
        """
        k = self.gradient.shape[1]
        out = out.reshape(self.frames, k, self._width)
        out[:] = self._stored[: self.frames, :, : self._width]
        if before is not None:
            out[:REACH] += before[0][..., : self._width]
        out *= np.arange(k)[:, None] + np.arange(self._width) < self._width
        out[..., 0] += damping * np.maximum(out[..., 0], 1e-9) + 1e-9

    def right(self, before: Tail | None) -> np.ndarray:
        """(frames k, 1 + g): gradient and border of its own frames; before: as in `band`."""
        own = np.concatenate([self.gradient[..., None], self.border], axis=2)[: self.frames]
        if before is not None:
            own[:REACH] += np.concatenate([before[2][..., None], before[1]], axis=2)
        return own.reshape(-1, own.shape[2])


def runs_of(columns: np.ndarray) -> Runs:
    """Ascending columns as runs without gaps: (place in the jacobian, place among the unknowns)."""
    edges = np.flatnonzero(np.diff(columns) != 1) + 1
    bounds = [0, *edges.tolist(), len(columns)]
    return [(slice(i, j), slice(int(columns[i]), int(columns[i]) + j - i)) for i, j in itertools.pairwise(bounds)]


def _frames(first: np.ndarray, ahead: int) -> slice | np.ndarray:
    """Frames `ahead` of the touched ones, as a slice where they follow each other."""
    start = int(first[0]) + ahead
    alone = len(first) == 1 or bool(np.all(np.diff(first) == 1))
    return slice(start, start + len(first)) if alone else first + ahead
