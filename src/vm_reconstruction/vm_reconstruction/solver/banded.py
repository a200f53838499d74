"""Levenberg-Marquardt with robust weights for problems whose unknowns follow one another in time.

The unknowns are a vector x in frame order. Residuals touch unknowns at most `bandwidth` apart, so the normal matrix
is banded and one Cholesky step costs N * bandwidth^2 (scipy.linalg.solveh_banded): linear in the clip's length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, solveh_banded


@dataclass(frozen=True)
class Block:
    """n residual groups of m rows that touch k unknowns each, already divided by their standard deviation.

    Attributes:
        residual: (n, m).
        jacobian: (n, m, k) derivative of `residual` by the unknowns in `columns`.
        columns: (n, k) int, indices into x; different within a group.
        cauchy: scale (in standard deviations) beyond which a group counts as an outlier; None for plain squares.
    """

    residual: np.ndarray
    jacobian: np.ndarray
    columns: np.ndarray
    cauchy: float | None = None

    def cost(self) -> float:
        """Half the (robust) sum of squares; Cauchy's is c^2/2 log(1 + s/c^2) of a group's squared norm s."""
        squared = np.sum(self.residual**2, axis=1)
        if self.cauchy is None:
            return 0.5 * float(squared.sum())
        return 0.5 * self.cauchy**2 * float(np.log1p(squared / self.cauchy**2).sum())

    def weights(self) -> np.ndarray:
        """(n,) weights of iteratively reweighted least squares."""
        squared = np.sum(self.residual**2, axis=1)
        return np.ones(len(squared)) if self.cauchy is None else 1.0 / (1.0 + squared / self.cauchy**2)


@dataclass(frozen=True)
class Solution:
    """What the solver found: x (N,), the final cost, iterations, whether the steps became negligible."""

    x: np.ndarray
    cost: float
    iterations: int
    converged: bool


Model = Callable[[np.ndarray], Sequence[Block]]


def minimize(model: Model, start: np.ndarray, bandwidth: int, max_iterations: int = 30, tol: float = 1e-5) -> Solution:
    """Finds a minimum of the model's cost near `start`.

    Args:
        model: residual blocks at x.
        start: (N,) first guess.
        bandwidth: largest distance between two unknowns that share a residual.
        max_iterations: accepted and refused steps together.
        tol: relative decrease of the cost that counts as none.
    """
    x, damping = start.astype(np.float64).copy(), 1e-3
    blocks = model(x)
    cost = sum(block.cost() for block in blocks)
    for iteration in range(1, max_iterations + 1):
        band, gradient = normal_equations(blocks, len(x), bandwidth)
        step = _solve(band, gradient, damping)
        trial_blocks = model(x + step) if step is not None else blocks
        trial = sum(block.cost() for block in trial_blocks) if step is not None else np.inf
        if step is None or not trial < cost:
            damping *= 10.0
            if damping > 1e8:
                return Solution(x, cost, iteration, True)
            continue
        decrease = (cost - trial) / max(cost, 1e-300)
        x, blocks, cost, damping = x + step, trial_blocks, trial, max(damping * 0.2, 1e-9)
        if decrease < tol:
            return Solution(x, cost, iteration, True)
    return Solution(x, cost, max_iterations, False)


def normal_equations(blocks: Sequence[Block], size: int, bandwidth: int) -> tuple[np.ndarray, np.ndarray]:
    """Lower band (bandwidth+1, N) of J^T W J, and J^T W r (N,)."""
    band, gradient = np.zeros((bandwidth + 1) * size), np.zeros(size)
    for block in blocks:
        if len(block.residual) == 0:
            continue
        weighted = block.jacobian * block.weights()[:, None, None]
        gradient += np.bincount(
            block.columns.ravel(), np.einsum("nmk,nm->nk", weighted, block.residual).ravel(), minlength=size
        )
        products = np.matmul(weighted.transpose(0, 2, 1), block.jacobian)
        row, column = block.columns[:, :, None], block.columns[:, None, :]
        offset = row - column
        lower = offset >= 0
        assert int(offset.max()) <= bandwidth, f"residual spans {int(offset.max())} unknowns, band is {bandwidth}"
        index = np.broadcast_to(offset * size + column, products.shape)
        band += np.bincount(index[lower], products[lower], minlength=band.size)
    return band.reshape(bandwidth + 1, size), gradient


def _solve(band: np.ndarray, gradient: np.ndarray, damping: float) -> np.ndarray | None:
    damped = band.copy()
    damped[0] += damping * np.maximum(band[0], 1e-9)
    try:
        return -solveh_banded(damped, gradient, lower=True, check_finite=False, overwrite_ab=True)
    except LinAlgError:
        return None
