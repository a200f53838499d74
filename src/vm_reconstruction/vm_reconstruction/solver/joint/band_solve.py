"""Many right-hand sides at once with a banded Cholesky factor.

LAPACK's dpbtrs reads the whole factor once for every right-hand side; of a long clip that is 200 MB, dozens of times a
step. Block by block it is read once for all of them.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided
from scipy.linalg import blas


def solved_by_factor(factor: np.ndarray, right: np.ndarray) -> np.ndarray:
    """x (n, r) with L L^T x = right (n, r); factor (w, n): LAPACK's lower band of L, as dpbtrf leaves it."""
    width, n = factor.shape
    stored = np.ascontiguousarray(factor.T).reshape(-1)  # column c of L begins at c * width with its diagonal
    upper = np.triu(np.ones((width, width)), 1)
    x = np.array(right)
    starts = range(0, n, width)
    for start in starts:
        end, beyond = min(start + width, n), min(start + 2 * width, n)
        panel = _panel(stored, width, start, end, beyond)
        x[start:end] = blas.dtrsm(1.0, panel[: end - start], x[start:end], lower=1)
        x[end:beyond] -= (panel[end - start :] * upper[: beyond - end, : end - start]) @ x[start:end]
    for start in reversed(starts):
        end, beyond = min(start + width, n), min(start + 2 * width, n)
        panel = _panel(stored, width, start, end, beyond)
        ahead = x[start:end] - (panel[end - start :] * upper[: beyond - end, : end - start]).T @ x[end:beyond]
        x[start:end] = blas.dtrsm(1.0, panel[: end - start], ahead, lower=1, trans_a=1)
    return x


def _panel(stored: np.ndarray, width: int, start: int, end: int, beyond: int) -> np.ndarray:
    """Columns [start, end) of L from their diagonals down to row `beyond`, a view.

    Where L is outside its band the view shows other columns: above the diagonal, and from it down in what is below the
    first `width` rows.
    """
    item = stored.itemsize
    shape, strides = (beyond - start, end - start), (item, (width - 1) * item)
    return as_strided(stored[start * width :], shape, strides, writeable=False)
