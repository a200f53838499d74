"""The centre of mass that a zero-moment-point path asks for: one boundary-value solve over the whole motion."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_banded

GRAVITY = 9.81


def com_from_zmp(
    zmp: np.ndarray, height_over_zmp: np.ndarray, height_acceleration: np.ndarray, dt_s: float
) -> np.ndarray:
    """Horizontal centre of mass (T,) [m] whose zero moment point is `zmp`.

    Solves x - h x'' = zmp with h = (z - z_zmp) / (g + z'') (the cart-table equation with varying height; Kajita et al.,
    2003) as one tridiagonal system, at rest at both ends. Non-causal, so it needs no preview horizon.

    Args:
        zmp: (T,) [m], one axis.
        height_over_zmp: (T,) height of the centre of mass above the ground under it [m].
        height_acceleration: (T,) [m/s²].
        dt_s: time between frames.
    """
    h = height_over_zmp / (GRAVITY + height_acceleration) / dt_s**2
    bands = np.zeros((3, len(zmp)))
    bands[0, 1:], bands[1], bands[2, :-1] = -h[:-1], 1.0 + 2.0 * h, -h[1:]
    # mirrored neighbours at the ends: zero velocity there
    bands[1, 0], bands[1, -1] = 1.0 + h[0], 1.0 + h[-1]
    return solve_banded((1, 1), bands, zmp)


def zmp_of_com(
    com: np.ndarray, height_over_zmp: np.ndarray, height_acceleration: np.ndarray, dt_s: float
) -> np.ndarray:
    """The zero moment point (T,) [m] of a horizontal centre-of-mass path: the inverse of `com_from_zmp`."""
    padded = np.concatenate([com[:1], com, com[-1:]])
    acceleration = (padded[2:] - 2.0 * padded[1:-1] + padded[:-2]) / dt_s**2
    return com - height_over_zmp / (GRAVITY + height_acceleration) * acceleration
