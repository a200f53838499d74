"""Rotations for numpy and torch: unit quaternions in wxyz order, batched over leading axes.

A quaternion `q_AB` turns coordinates in frame B into coordinates in frame A: `v_A = quat_rotate(q_AB, v_B)`.
World frames are z up, body frames x forward, y left, z up (REP-103). xyzw exists only at ROS's border.
"""

from __future__ import annotations

import math
from typing import Any

from vm_core.arrays import array_namespace, stack_last

Array = Any  # numpy.ndarray or torch.Tensor


def quat_multiply(a: Array, b: Array) -> Array:
    """Hamilton product a*b of quaternions (..., 4) wxyz."""
    aw, ax, ay, az = (a[..., i] for i in range(4))
    bw, bx, by, bz = (b[..., i] for i in range(4))
    return stack_last(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ]
    )


def quat_conjugate(q: Array) -> Array:
    """The inverse of unit quaternions (..., 4) wxyz."""
    xp = array_namespace(q)
    return xp.concat([q[..., :1], -q[..., 1:]], axis=-1)


def quat_rotate(q: Array, v: Array) -> Array:
    """Turns vectors v (..., 3) by unit quaternions q (..., 4): v + 2w(u×v) + 2u×(u×v)."""
    u = q[..., 1:]
    t = 2.0 * _cross(u, v)
    return v + q[..., :1] * t + _cross(u, t)


def quat_rotate_inverse(q: Array, v: Array) -> Array:
    """Turns vectors v (..., 3) by the inverse of unit quaternions q (..., 4)."""
    return quat_rotate(quat_conjugate(q), v)


def quat_from_rotvec(rotvec: Array) -> Array:
    """Exponential map: rotation vectors (..., 3) [rad] to quaternions (..., 4)."""
    xp = array_namespace(rotvec)
    angle = _norm(rotvec)
    half = 0.5 * angle
    # sin(x/2)/x by its series near zero, where the quotient loses all digits
    safe = xp.where(angle > 1e-6, angle, xp.ones_like(angle))
    scale = xp.where(angle > 1e-6, xp.sin(half) / safe, 0.5 - angle * angle / 48.0)
    return xp.concat([xp.cos(half), rotvec * scale], axis=-1)


def rotvec_from_quat(q: Array) -> Array:
    """Logarithm map: quaternions (..., 4) to rotation vectors (..., 3) [rad] of length at most pi."""
    xp = array_namespace(q)
    q = xp.where(q[..., :1] < 0.0, -q, q)
    sine = _norm(q[..., 1:])
    angle = 2.0 * xp.atan2(sine, q[..., :1])
    safe = xp.where(sine > 1e-6, sine, xp.ones_like(sine))
    return q[..., 1:] * xp.where(sine > 1e-6, angle / safe, 2.0 * xp.ones_like(sine))


def matrix_from_quat(q: Array) -> Array:
    """Rotation matrices (..., 3, 3) of unit quaternions (..., 4)."""
    xp = array_namespace(q)
    w, x, y, z = (q[..., i] for i in range(4))
    rows = [
        xp.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], axis=-1),
        xp.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], axis=-1),
        xp.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], axis=-1),
    ]
    return xp.stack(rows, axis=-2)


def quat_from_matrix(matrix: Array) -> Array:
    """Quaternions (..., 4), w >= 0, of rotation matrices (..., 3, 3).

    Bar-Itzhack (2000), closed form: each candidate is a column of 4 q qᵀ; the one with the largest diagonal entry is
    well conditioned for every rotation.
    """
    xp = array_namespace(matrix)
    m = [[matrix[..., i, j] for j in range(3)] for i in range(3)]
    trace = m[0][0] + m[1][1] + m[2][2]
    wx, wy, wz = m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]
    xy, xz, yz = m[0][1] + m[1][0], m[0][2] + m[2][0], m[1][2] + m[2][1]
    outer = xp.stack(
        [
            xp.stack([1 + trace, wx, wy, wz], axis=-1),
            xp.stack([wx, 1 + 2 * m[0][0] - trace, xy, xz], axis=-1),
            xp.stack([wy, xy, 1 + 2 * m[1][1] - trace, yz], axis=-1),
            xp.stack([wz, xz, yz, 1 + 2 * m[2][2] - trace], axis=-1),
        ],
        axis=-2,
    )
    diagonal = xp.stack([outer[..., i, i] for i in range(4)], axis=-1)
    largest = xp.max(diagonal, axis=-1, keepdims=True)
    best = outer[..., 0, :]
    for i in (1, 2, 3):
        best = xp.where(diagonal[..., i : i + 1] == largest, outer[..., i, :], best)
    q = best / _norm(best)
    return xp.where(q[..., :1] < 0.0, -q, q)


def quat_from_yaw(yaw: Array) -> Array:
    """Quaternions (..., 4) of turns about z by yaw (...) [rad]."""
    xp = array_namespace(yaw)
    zero = xp.zeros_like(yaw)
    return xp.stack([xp.cos(0.5 * yaw), zero, zero, xp.sin(0.5 * yaw)], axis=-1)


def yaw_from_quat(q: Array) -> Array:
    """Heading (...) [rad] of the body's x axis in the world's horizontal plane."""
    xp = array_namespace(q)
    w, x, y, z = (q[..., i] for i in range(4))
    return xp.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


def heading_quat(q: Array) -> Array:
    """The yaw-only part (..., 4) of orientations (..., 4)."""
    return quat_from_yaw(yaw_from_quat(q))


def quat_slerp(a: Array, b: Array, t: Array) -> Array:
    """Spherical interpolation from a to b (..., 4) at fractions t (...), the short way round."""
    step = rotvec_from_quat(quat_multiply(quat_conjugate(a), b))
    return quat_multiply(a, quat_from_rotvec(step * t[..., None]))


def quat_to_xyzw(q: Array) -> Array:
    """wxyz to ROS's xyzw, last axis."""
    xp = array_namespace(q)
    return xp.concat([q[..., 1:], q[..., :1]], axis=-1)


def quat_from_xyzw(q: Array) -> Array:
    """ROS's xyzw to wxyz, last axis."""
    xp = array_namespace(q)
    return xp.concat([q[..., 3:], q[..., :3]], axis=-1)


def wrap_angle(angle: Array) -> Array:
    """Angles [rad] wrapped to [-pi, pi)."""
    return (angle + math.pi) % (2.0 * math.pi) - math.pi


def yawed(places: Array, yaw: Array) -> Array:
    """Places (..., 2 or 3) turned to the left about the vertical by yaw (...) [rad]."""
    xp = array_namespace(places)
    yaw = yaw.reshape(*yaw.shape, *(1,) * (places.ndim - 1 - yaw.ndim))
    c, s = xp.cos(yaw), xp.sin(yaw)
    flat = xp.stack([c * places[..., 0] - s * places[..., 1], s * places[..., 0] + c * places[..., 1]], axis=-1)
    return xp.concat([flat, places[..., 2:]], axis=-1)


def _cross(a: Array, b: Array) -> Array:
    # array_api's linalg.cross does not broadcast the same way in numpy and torch
    return stack_last(
        [
            a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1],
            a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2],
            a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0],
        ]
    )


def _norm(v: Array) -> Array:
    xp = array_namespace(v)
    return xp.sqrt(xp.sum(v * v, axis=-1, keepdims=True))
