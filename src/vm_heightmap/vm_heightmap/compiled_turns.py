"""Rotations for single calls in compiled code, where numpy's own cost would be most of it."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def exp_so3(rotvec):
    """Rotation matrix of a rotation vector."""
    angle = np.sqrt(rotvec[0] ** 2 + rotvec[1] ** 2 + rotvec[2] ** 2)
    half = 0.5 - angle * angle / 24.0 if angle < 1e-4 else (1.0 - np.cos(angle)) / (angle * angle)
    once = 1.0 - angle * angle / 6.0 if angle < 1e-4 else np.sin(angle) / angle
    x, y, z = rotvec
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + once * cross + half * (cross @ cross)


@numba.njit(cache=True, nogil=True)
def quat_of(turn):
    """Quaternion (4,) wxyz, w >= 0, of a rotation matrix, as `frames.quat_from_matrix` gives it."""
    trace = turn[0, 0] + turn[1, 1] + turn[2, 2]
    best, largest = 0, 1.0 + trace
    for i in range(3):
        if 1.0 + 2.0 * turn[i, i] - trace > largest:
            best, largest = i + 1, 1.0 + 2.0 * turn[i, i] - trace
    q = np.empty(4)
    if best == 0:
        q[0] = largest
        q[1], q[2], q[3] = turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]
    else:
        i, j, k = best - 1, best % 3, (best + 1) % 3
        q[0] = turn[k, j] - turn[j, k]
        q[1 + i], q[1 + j], q[1 + k] = largest, turn[i, j] + turn[j, i], turn[i, k] + turn[k, i]
    q /= np.sqrt(np.sum(q * q))
    return -q if q[0] < 0.0 else q


@numba.njit(cache=True, nogil=True)
def slerp(a, b, share):
    """Quaternions (N, 4) between a and b (N, 4) at shares (N,), as `frames.quat_slerp` gives them."""
    out = np.empty_like(a)
    for i in range(len(a)):
        cosine = np.sum(a[i] * b[i])
        sign = 1.0 if cosine >= 0.0 else -1.0
        angle = np.arccos(min(abs(cosine), 1.0))
        if angle < 1e-3:
            low, high = 1.0 - share[i], share[i]
        else:
            low, high = np.sin((1.0 - share[i]) * angle) / np.sin(angle), np.sin(share[i] * angle) / np.sin(angle)
        for j in range(4):
            out[i, j] = low * a[i, j] + high * sign * b[i, j]
        out[i] /= np.sqrt(np.sum(out[i] * out[i]))
    return out
