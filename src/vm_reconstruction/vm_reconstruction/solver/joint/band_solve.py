"""Many right-hand sides at once with a banded Cholesky factor.

LAPACK's dpbtrs reads the whole factor once for every right-hand side; of a long clip that is 200 MB, dozens of times a
step. Block by block it is read once for all of them. Blocks are as large as the band reaches below the diagonal: then L
has a lower triangle on the diagonal and an upper one below it, and both lie in LAPACK's band as BLAS wants them.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided
from scipy.linalg import blas


def forward(factor: np.ndarray, right: np.ndarray) -> np.ndarray:
    """x (n, r) with L x = right (n, r); factor (w, n): LAPACK's lower band of L, as dpbtrf leaves it."""
    x = np.array(right, order="C")
    for start, end, beyond in _blocks(factor):
        diagonal, below = _triangles(factor, start, end, beyond)
        x[start:end] = blas.dtrsm(1.0, diagonal, x[start:end].T, side=1, lower=1, trans_a=1).T
        x[end:beyond] -= _below_times(below, x[start:end])
    return x


def backward(factor: np.ndarray, right: np.ndarray) -> np.ndarray:
    """x (n, r) with L^T x = right (n, r)."""
    x = np.array(right, order="C")
    for start, end, beyond in reversed(_blocks(factor)):
        diagonal, below = _triangles(factor, start, end, beyond)
        x[start:end] -= _below_transposed_times(below, x[end:beyond])
        x[start:end] = blas.dtrsm(1.0, diagonal, x[start:end].T, side=1, lower=1).T
    return x


def _blocks(factor: np.ndarray) -> list[tuple[int, int, int]]:
    """Start and end of each block, and of the next one."""
    width, n = factor.shape
    size = max(1, width - 1)
    return [(k, min(k + size, n), min(k + 2 * size, n)) for k in range(0, n, size)]


def _triangles(factor: np.ndarray, start: int, end: int, beyond: int) -> tuple[np.ndarray, np.ndarray]:
    """L's block on the diagonal and the one below it, as views whose other triangles show what is not theirs."""
    width = len(factor)
    stored = np.ascontiguousarray(factor.T).reshape(-1)  # column c of L begins at c * width with its diagonal
    item = stored.itemsize
    shape, strides = (beyond - start, end - start), (item, (width - 1) * item)
    panel = as_strided(stored[start * width :], shape, strides, writeable=False)
    return panel[: end - start], panel[end - start :]


def _below_times(below: np.ndarray, x: np.ndarray) -> np.ndarray:
    if below.shape[0] == below.shape[1]:
        return blas.dtrmm(1.0, below, x.T, side=1, trans_a=1).T
    return np.triu(below) @ x  # the last one


def _below_transposed_times(below: np.ndarray, x: np.ndarray) -> np.ndarray:
    if below.shape[0] == below.shape[1]:
        return blas.dtrmm(1.0, below, x.T, side=1).T
    return np.triu(below).T @ x
