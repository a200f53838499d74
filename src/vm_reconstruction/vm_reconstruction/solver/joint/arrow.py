"""Levenberg-Marquardt for unknowns in frame order plus a few that all frames share: an arrow-shaped normal matrix.

Frames are tied to at most two frames ahead, so the frames' part is banded (LAPACK dpbtrf, linear in the clip's length);
the shared unknowns are the border, eliminated by their Schur complement. Its inverse is their covariance.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from scipy.linalg import lapack, solve_triangular

from vm_core.errors import VmError
from vm_reconstruction.solver.joint.band_solve import solved_by_factor

PART = 128  # frames of a person's 48 unknowns; more of what touches fewer
REACH = 2  # frames ahead that a residual may touch


@dataclass(frozen=True)
class Rows:
    """m residual rows for each of n frames, divided by their standard deviations.

    Attributes:
        residual: (n, m).
        jacobians: one (n, m, c) for each touched frame: frames, frames + 1, ...
        columns: for each of them the unknowns of that frame: (c,) where all n are alike, else (n, c).
        frames: (n,) first touched frame; groups with the same frame must touch different unknowns.
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
                tuple(c if c.ndim == 1 else c[at] for c in self.columns), self.frames[at],
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


class State(Protocol):
    """What is solved for."""

    def moved(self, by_frame: np.ndarray, shared: np.ndarray) -> Any:
        """The state after a step: by_frame (T, k), shared (g,)."""
        ...


S = TypeVar("S", bound=State)


@dataclass(frozen=True)
class Solution(Generic[S]):
    """The state found, its cost, and how the solver got there."""

    state: S
    cost: float
    iterations: int
    converged: bool
    normal: NormalEquations


class NormalEquations:
    """J^T W J and J^T W r of T frames with k unknowns each and g shared ones."""

    def __init__(self, frames: int, k: int, g: int) -> None:
        """Starts with zeros."""
        self.blocks = [np.zeros((max(frames - d, 0), k, k)) for d in range(REACH + 1)]  # [d][t]: rows t + d, columns t
        self.border, self.corner = np.zeros((frames, k, g)), np.zeros((g, g))
        self.gradient, self.shared_gradient = np.zeros((frames, k)), np.zeros(g)

    def assemble(self, rows: Iterable[Rows]) -> float:
        """Starts anew from these residuals, one kind in memory at a time; returns their cost."""
        for values in (*self.blocks, self.border, self.corner, self.gradient, self.shared_gradient):
            values.fill(0.0)
        cost = 0.0
        for r in rows:
            cost += r.cost()
            self.add(r)
        return cost

    def add(self, rows: Rows) -> None:
        """Adds one kind of residuals, some frames at a time so that the products stay in the processor's cache."""
        if rows.residual.size:
            width = max((jacobian.shape[2] for jacobian in rows.jacobians), default=1)
            for part in rows.parts(PART * max(1, 48 // width)):
                self._add_part(part)

    def _add_part(self, rows: Rows) -> None:
        weights = rows.weights()
        scaled = rows.jacobians if weights is None else tuple(j * weights[..., None] for j in rows.jacobians)
        transposed = [j.transpose(0, 2, 1) for j in scaled]
        residual = rows.residual[..., None]
        alike = all(columns.ndim == 1 for columns in rows.columns) and _is_range(rows.frames)
        add = self._add_alike if alike else self._add_scattered
        for a, left in enumerate(transposed):
            border = None if rows.border is None else left @ rows.border
            for b in range(a + 1):
                gradient = (left @ residual)[..., 0] if b == 0 else None
                add(rows, a, b, left @ rows.jacobians[b], gradient, border if b == 0 else None)
        if rows.border is not None:
            weighted = rows.border if weights is None else rows.border * weights[..., None]
            flat = weighted.reshape(-1, weighted.shape[-1])
            first = slice(flat.shape[1])
            self.corner[first, first] += flat.T @ rows.border.reshape(flat.shape)
            self.shared_gradient[first] += flat.T @ rows.residual.ravel()

    def _add_alike(
        self, rows: Rows, a: int, b: int, block: np.ndarray, gradient: np.ndarray | None, border: np.ndarray | None
    ) -> None:
        """All frames of a range touch the same unknowns: slices, which are several times faster than index arrays."""
        first, count = int(rows.frames[0]), len(rows.frames)
        at = slice(first + a, first + a + count)
        for own, left in _runs(rows.columns[a]):
            for other, right in _runs(rows.columns[b]):
                self.blocks[a - b][first + b : first + b + count, left, right] += block[:, own, other]
            if gradient is not None:
                self.gradient[at, left] += gradient[:, own]
            if border is not None:
                self.border[at, left, : border.shape[2]] += border[:, own]

    def _add_scattered(
        self, rows: Rows, a: int, b: int, block: np.ndarray, gradient: np.ndarray | None, border: np.ndarray | None
    ) -> None:
        at, own, other = (rows.frames + a)[:, None], np.atleast_2d(rows.columns[a]), np.atleast_2d(rows.columns[b])
        self.blocks[a - b][(at - a + b)[..., None], own[:, :, None], other[:, None, :]] += block
        if gradient is not None:
            self.gradient[at, own] += gradient
        if border is not None:
            self.border[at, own, : border.shape[2]] += border

    def band(self, damping: float) -> np.ndarray:
        """Lower band (3k, T k) in LAPACK's layout, the diagonal enlarged by `damping` times itself."""
        frames, k = self.gradient.shape
        out = np.zeros((frames, k, (REACH + 1) * k))
        for column in range(k):  # a column of the matrix is contiguous in the transposed band
            for d, blocks in enumerate(self.blocks):
                first = column if d == 0 else 0
                out[: len(blocks), column, d * k - column + first : (d + 1) * k - column] = blocks[:, first:, column]
        out[..., 0] += damping * np.maximum(out[..., 0], 1e-9) + 1e-9
        return out.reshape(frames * k, -1).T

    def step(self, damping: float) -> tuple[np.ndarray, np.ndarray] | None:
        """Step by frame (T, k) and of the shared unknowns (g,); None when the matrix is not positive definite."""
        frames, k = self.gradient.shape
        factor, info = lapack.dpbtrf(self.band(damping), lower=1, overwrite_ab=1)
        if info != 0:
            return None
        right = np.concatenate([self.gradient.reshape(-1, 1), self.border.reshape(frames * k, -1)], axis=1)
        solved = solved_by_factor(factor, right)
        border = self.border.reshape(frames * k, -1)
        corner = self.corner + damping * np.diag(np.maximum(np.diag(self.corner), 1e-9))
        schur = corner - border.T @ solved[:, 1:]
        try:
            shared = np.linalg.solve(schur, self.shared_gradient - border.T @ solved[:, 0])
        except np.linalg.LinAlgError:
            return None
        return -(solved[:, 0] - solved[:, 1:] @ shared).reshape(frames, k), -shared


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
    solved = solved_by_factor(factor, border)
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


def minimize(
    model: Callable[[S], Iterable[Rows]],
    start: S,
    sizes: tuple[int, int, int],
    max_iterations: int = 12,
    tol: float = 1e-4,
    damping: float = 1e-4,
) -> Solution[S]:
    """Finds a minimum near `start`.

    Args:
        model: residual rows of a state.
        start: first guess.
        sizes: frames, unknowns a frame, shared unknowns.
        max_iterations: accepted and refused steps together.
        tol: relative decrease of the cost that counts as none.
        damping: first one.
    """
    normal = NormalEquations(*sizes)
    state, cost = start, normal.assemble(model(start))
    converged, iteration = False, 0
    while iteration < max_iterations and not converged:
        iteration += 1
        step = normal.step(damping)
        trial = state.moved(*step) if step is not None else state
        trial_cost = normal.assemble(model(trial)) if step is not None else np.inf
        if not trial_cost < cost:
            damping *= 10.0
            converged = damping > 1e6
            normal.assemble(model(state))  # seldom; keeping both would double the memory
            continue
        converged = (cost - trial_cost) / max(cost, 1e-300) < tol
        state, cost, damping = trial, trial_cost, max(damping * 0.2, 1e-9)
    return Solution(state, cost, iteration, converged, normal)


def _is_range(frames: np.ndarray) -> bool:
    return len(frames) > 0 and bool(np.all(np.diff(frames) == 1))


def _runs(columns: np.ndarray) -> list[tuple[slice, slice]]:
    """Ascending columns as runs without gaps: (place in the jacobian, place among the unknowns)."""
    edges = np.flatnonzero(np.diff(columns) != 1) + 1
    bounds = [0, *edges.tolist(), len(columns)]
    return [(slice(i, j), slice(int(columns[i]), int(columns[i]) + j - i)) for i, j in itertools.pairwise(bounds)]
