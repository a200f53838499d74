"""The field's measures of human motion in the world.

WA-MPJPE and W-MPJPE as in WHAM, TRAM and VideoMimic's evaluation: chunks of 100 frames, a similarity (rotation, shift,
scale) found on the whole chunk or on its first two frames. The first-two-frames one magnifies small errors; it is
printed because the others print it. Lengths in mm, accelerations in m/s^2.
"""

from __future__ import annotations

import numpy as np

CHUNK = 100


def similarity(source: np.ndarray, target: np.ndarray, scale: bool = True) -> tuple[np.ndarray, np.ndarray, float]:
    """Umeyama (1991): R (3, 3), t (3,), s with target = s R source + t in least squares; points (N, 3)."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    U, D, Vt = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(U @ Vt))])
    R = U @ np.diag(sign) @ Vt
    s = float((D * sign).sum() / max(float(np.sum(a**2)), 1e-12)) if scale else 1.0
    return R, target.mean(axis=0) - s * R @ source.mean(axis=0), s


def aligned(points: np.ndarray, source: np.ndarray, target: np.ndarray, scale: bool = True) -> np.ndarray:
    """Points (..., 3) moved by the similarity from source to target (..., 3)."""
    R, t, s = similarity(source.reshape(-1, 3), target.reshape(-1, 3), scale)
    return s * points @ R.T + t


def _chunks(frames: int) -> list[slice]:
    """Chunks of 100 frames; a rest shorter than 20 frames says too little and is left out, unless it is all."""
    starts = [k for k in range(0, frames, CHUNK) if frames - k >= 20] or [0]
    return [slice(k, min(k + CHUNK, frames)) for k in starts]


def _error(a: np.ndarray, b: np.ndarray) -> float:
    return 1000.0 * float(np.linalg.norm(a - b, axis=-1).mean())


def wa_mpjpe(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Joints (T, J, 3) [m] -> mm, each chunk aligned as a whole."""
    return float(np.mean([_error(aligned(estimate[c], estimate[c], truth[c]), truth[c]) for c in _chunks(len(truth))]))


def w_mpjpe(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Joints (T, J, 3) [m] -> mm, each chunk aligned on its first two frames."""
    errors = []
    for c in _chunks(len(truth)):
        a, b = estimate[c], truth[c]
        errors.append(_error(aligned(a, a[:2], b[:2]), b))
    return float(np.mean(errors))


def pa_mpjpe(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Joints (T, J, 3) [m] -> mm, each frame aligned."""
    return float(np.mean([_error(aligned(a, a, b), b) for a, b in zip(estimate, truth, strict=True)]))


def mpjpe(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Root-aligned mm; the pelvis is joint 0; orientation as the world alignment of the whole clip leaves it."""
    moved = aligned(estimate, estimate, truth, scale=False)
    return _error(moved - moved[:, :1], truth - truth[:, :1])


def root_error(estimate: np.ndarray, truth: np.ndarray) -> float:
    """RTE: pelvis paths (T, 3) after a rigid alignment, per cent of the way."""
    way = float(np.linalg.norm(np.diff(truth, axis=0), axis=-1).sum())
    moved = aligned(estimate, estimate, truth, scale=False)
    return 100.0 * float(np.linalg.norm(moved - truth, axis=-1).mean()) / max(way, 1e-9)


def acceleration_error(estimate: np.ndarray, truth: np.ndarray, fps: float) -> float:
    """Mean difference of joint accelerations [m/s^2] after a rigid alignment of the whole clip."""
    moved = aligned(estimate, estimate, truth, scale=False)
    return float(np.linalg.norm(np.diff(moved, 2, axis=0) - np.diff(truth, 2, axis=0), axis=-1).mean() * fps**2)


def foot_skate(soles: np.ndarray, contact: np.ndarray, fps: float) -> float:
    """Mean speed [cm/s] of standing feet; soles (T, F, 2, 3) heel and toe of each foot, true contact (T, F).

    While a foot stands, at least one of heel and toe stays; the slower one counts.
    """
    speed = np.linalg.norm(np.diff(soles, axis=0), axis=-1).min(axis=-1) * fps * 100.0
    standing = (contact[:-1] > 0.5) & (contact[1:] > 0.5)
    return float(speed[standing].mean()) if standing.any() else 0.0


def camera_error(estimate: np.ndarray, truth: np.ndarray, scale: bool) -> float:
    """ATE: camera centres (T, 3) [m] after alignment, mm root mean square."""
    moved = aligned(estimate, estimate, truth, scale)
    return 1000.0 * float(np.sqrt(np.mean(np.sum((moved - truth) ** 2, axis=-1))))


def vertical_error(R_estimate: np.ndarray, R_truth: np.ndarray) -> float:
    """Mean angle [deg] between the verticals that cameras (T, 3, 3; camera to world, z up) see, estimated and true."""
    up, exact = R_estimate[:, 2], R_truth[:, 2]
    sine = np.linalg.norm(np.cross(up, exact), axis=-1)
    return float(np.degrees(np.arctan2(sine, np.sum(up * exact, axis=-1))).mean())
