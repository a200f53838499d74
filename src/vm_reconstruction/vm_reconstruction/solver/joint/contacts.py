"""When heels, toes and the seat stand still: read off the present solution, motion along the line of sight left out."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_erosion, gaussian_filter1d

from vm_reconstruction.solver.joint.skeleton import PELVIS, SOLES, TOUCHING
from vm_reconstruction.stages.stillness import MIN_STANCE_S, SMOOTH_S, STILL_SPEED, steady

# Rounds of (speed that counts as rest [m/s], speed of what is held in place, margin at both ends of what is held [s]):
# the better the solution, the finer. A heel that begins to rise is slow for a while; whoever holds it in place presses
# the whole body down, a centimetre a step, and the stairs with it.
ROUNDS = ((STILL_SPEED, 0.25, 0.1), (0.25, 0.15, 0.07))
SEAT_SPEED, MIN_SEAT_S = 0.25, 0.4
SEATED_SHARE = 0.75  # of the legs' length between pelvis and soles: lower than any walking pelvis


def across_speed(track: np.ndarray, camera: np.ndarray, fps: float) -> np.ndarray:
    """Speed (T,) [m/s] of a point (T, 3) across the line of sight of a camera (T, 3)."""
    ray = track - camera
    ray = ray / np.linalg.norm(ray, axis=-1, keepdims=True)
    velocity = np.gradient(gaussian_filter1d(track, SMOOTH_S * fps, axis=0, mode="nearest"), axis=0) * fps
    return np.linalg.norm(velocity - ray * np.sum(velocity * ray, axis=-1, keepdims=True), axis=-1)


def still_points(points: np.ndarray, camera: np.ndarray, fps: float, still_speed: float = STILL_SPEED) -> np.ndarray:
    """(T, 5) 0/1: heels, toes, and the pelvis of a seated person rest; points (T, 19, 3) [m, world], camera (T, 3)."""
    flags = [steady(across_speed(points[:, k], camera, fps) < still_speed, MIN_STANCE_S * fps) for k in SOLES]
    pelvis, soles = points[:, PELVIS], points[:, SOLES]
    leg = float(np.median(pelvis[:, 2] - soles[..., 2].min(axis=1)))  # standing height of the pelvis
    low = pelvis[:, 2] - np.median(soles[..., 2], axis=1) < SEATED_SHARE * leg
    slow = across_speed(pelvis, camera, fps) < SEAT_SPEED
    flags.append(steady(low & slow, MIN_SEAT_S * fps))
    return np.stack(flags, axis=1).astype(float)


def between_frames(still: np.ndarray, margin_frames: float) -> np.ndarray:
    """(T-1, 5): rests in both frames, with a margin: a foot that lands still moves and would drag the body."""
    assert still.shape[1] == len(TOUCHING)
    margin = max(1, round(margin_frames))
    inner = binary_erosion(still > 0.5, np.ones((2 * margin + 1, 1)), border_value=1).astype(float)
    return inner[:-1] * inner[1:]
