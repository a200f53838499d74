"""Rotations (..., 3, 3) and their tangent vectors (..., 3) [rad], batched; perturbations are on the right: R exp(d)."""

from __future__ import annotations

import numpy as np


def skew(v: np.ndarray) -> np.ndarray:
    """(..., 3, 3) with skew(v) @ a = v x a."""
    out = np.zeros((*v.shape, 3))
    out[..., 0, 1], out[..., 0, 2], out[..., 1, 2] = -v[..., 2], v[..., 1], -v[..., 0]
    out[..., 1, 0], out[..., 2, 0], out[..., 2, 1] = v[..., 2], -v[..., 1], v[..., 0]
    return out


def exp(v: np.ndarray) -> np.ndarray:
    """Rotation of a rotation vector (Rodrigues)."""
    angle = np.linalg.norm(v, axis=-1)[..., None, None]
    small = angle < 1e-8
    safe = np.where(small, 1.0, angle)
    k = skew(v)
    a = np.where(small, 1.0, np.sin(safe) / safe)
    b = np.where(small, 0.5, (1 - np.cos(safe)) / safe**2)
    return np.eye(3) + a * k + b * (k @ k)


def log(R: np.ndarray) -> np.ndarray:
    """Rotation vector of a rotation, shorter than pi."""
    axis = 0.5 * np.stack([R[..., 2, 1] - R[..., 1, 2], R[..., 0, 2] - R[..., 2, 0], R[..., 1, 0] - R[..., 0, 1]], -1)
    sine = np.linalg.norm(axis, axis=-1)
    cosine = 0.5 * (np.trace(R, axis1=-2, axis2=-1) - 1.0)
    angle = np.arctan2(sine, cosine)
    vector = axis * np.where(sine > 1e-8, angle / np.maximum(sine, 1e-8), 1.0)[..., None]
    near_pi = (cosine < -0.9999) & (sine < 1e-2)
    if near_pi.any():  # the skew part vanishes there; the symmetric part still knows the axis
        vector[near_pi] = _log_near_pi(R[near_pi], axis[near_pi], angle[near_pi])
    return vector


def _log_near_pi(R: np.ndarray, axis: np.ndarray, angle: np.ndarray) -> np.ndarray:
    outer = 0.5 * (R + np.eye(3))  # u u^T
    column = np.argmax(np.diagonal(outer, axis1=-2, axis2=-1), axis=-1)
    u = np.take_along_axis(outer, column[:, None, None], axis=-1)[..., 0]
    u /= np.linalg.norm(u, axis=-1, keepdims=True)
    sign = np.where(np.sum(u * axis, axis=-1) < 0, -1.0, 1.0)
    return u * (sign * angle)[:, None]


def right_jacobian_inverse(v: np.ndarray) -> np.ndarray:
    """(..., 3, 3) J with log(exp(v) exp(d)) = v + J d + O(d^2)."""
    angle2 = np.sum(v * v, axis=-1)[..., None, None]
    safe = np.maximum(angle2, 1e-8)
    angle = np.sqrt(safe)
    c = np.where(angle2 < 1e-6, 1 / 12, 1 / safe - (1 + np.cos(angle)) / (2 * angle * np.maximum(np.sin(angle), 1e-9)))
    k = skew(v)
    return np.eye(3) + 0.5 * k + c * (k @ k)


def right_jacobian(v: np.ndarray) -> np.ndarray:
    """(..., 3, 3) J with exp(v + d) = exp(v) exp(J d) + O(d^2)."""
    return np.linalg.inv(right_jacobian_inverse(v))
