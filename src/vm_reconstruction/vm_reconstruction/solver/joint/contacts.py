"""When heels, toes, seat and hands rest: by their motion across the line of sight, and what is seen under them."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_erosion, gaussian_filter1d
from scipy.spatial import cKDTree

from vm_reconstruction.solver.body_problem import POINTS
from vm_reconstruction.solver.joint.skeleton import HANDS, PELVIS, SEAT, SIDES, SOLES, TOUCHING, WRISTS
from vm_reconstruction.stages.stillness import MIN_STANCE_S, SMOOTH_S, STANCE_SPEED, STILL_SPEED, hysteresis, steady

# Rounds of (speed that counts as rest [m/s], speed of what is held in place, margin at both ends of what is held [s]):
# the better the solution, the finer. A heel that begins to rise is slow for a while; whoever holds it in place presses
# the whole body down, a centimetre a step, and the stairs with it.
ROUNDS = ((STILL_SPEED, 0.25, 0.1), (0.25, 0.15, 0.07))
# Where two numbers stand, a contact begins below the first and lasts as long as it stays below the second.
SEAT_SPEED, MIN_SEAT_S = (0.25, 0.35), 0.4
SEATED_SHARE = (0.75, 0.8)  # of the legs' length between pelvis and soles: lower than any walking pelvis
FOOT_NEAR_M, SEAT_NEAR_M = (0.08, 0.12), (0.10, 0.15)  # over the seen surface; what nobody saw forbids nothing
# By so much may a person's resting soles all be over the surface, or in it; the lowest of slow ones show it.
MOST_OFFSET_M, LOW_SHARE = 0.05, 0.25
HAND_SPEED, HAND_NEAR_M, MIN_HAND_S = (0.12, 0.25), (0.06, 0.10), 0.4
FINGERS_SHARE = 0.052  # of the height: knuckles beyond the wrist
SURFACE_POINTS = 4  # so many points of the scene must be near a hand
_ELBOWS = [POINTS.index(f"{side}_elbow") for side in SIDES]


def across_speed(track: np.ndarray, camera: np.ndarray, fps: float) -> np.ndarray:
    """Speed (T,) [m/s] of a point (T, 3) across the line of sight of a camera (T, 3)."""
    ray = track - camera
    ray = ray / np.linalg.norm(ray, axis=-1, keepdims=True)
    velocity = np.gradient(gaussian_filter1d(track, SMOOTH_S * fps, axis=0, mode="nearest"), axis=0) * fps
    return np.linalg.norm(velocity - ray * np.sum(velocity * ray, axis=-1, keepdims=True), axis=-1)


def still_points(
    points: np.ndarray, camera: np.ndarray, fps: float, stance_speed: tuple[float, float] = STANCE_SPEED,
    over: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """(T, 7) 0/1: heels, toes, and the pelvis of a seated person rest, hands see `resting_hands`.

    Args:
        points: (T, 19, 3) [m, world]; camera: (T, 3).
        fps: frames a second; stance_speed: of heels and toes [m/s], begins below the first, lasts below the second.
        over: (T, 5) how far heels, toes and seat are over the seen surface [m], NaN where none is; None: not known.
    """
    flags = np.zeros((len(points), len(TOUCHING)))
    over = np.full((len(points), SEAT + 1), np.nan) if over is None else over
    fast = np.stack([across_speed(points[:, k], camera, fps) for k in SOLES], axis=1)
    near = [_within(over[:, :SEAT] - _offset(over[:, :SEAT], fast), limit) for limit in FOOT_NEAR_M]
    for column in range(len(SOLES)):
        rests = [(fast[:, column] < v) & n[:, column] for v, n in zip(stance_speed, near, strict=True)]
        flags[:, column] = steady(hysteresis(*rests), MIN_STANCE_S * fps)
    pelvis, soles = points[:, PELVIS], points[:, SOLES]
    leg = float(np.median(pelvis[:, 2] - soles[..., 2].min(axis=1)))  # standing height of the pelvis
    high, speed = pelvis[:, 2] - np.median(soles[..., 2], axis=1), across_speed(pelvis, camera, fps)
    limits = zip(SEATED_SHARE, SEAT_SPEED, SEAT_NEAR_M, strict=True)
    seated = [(high < share * leg) & (speed < v) & _within(over[:, SEAT], near_m) for share, v, near_m in limits]
    flags[:, SEAT] = steady(hysteresis(*seated), MIN_SEAT_S * fps)
    return flags


def _within(over: np.ndarray, limit: float) -> np.ndarray:
    """Not farther than `limit` over what was seen."""
    return np.isnan(over) | (over < limit)


def _offset(over: np.ndarray, fast: np.ndarray) -> float:
    """What the person's slow soles have in common: depth, height and soles' thickness err for all of a clip."""
    slow = over[(fast < STILL_SPEED) & ~np.isnan(over)]
    low = np.quantile(slow, LOW_SHARE) if len(slow) else 0.0
    return float(np.clip(low, -MOST_OFFSET_M, MOST_OFFSET_M))


def resting_hands(points: np.ndarray, camera: np.ndarray, fps: float, cloud: np.ndarray, height_m: float) -> np.ndarray:
    """(T, 2) 0/1: left and right hand rest on something of the scene; points (T, 19, 3), cloud (N, 3) [m, world]."""
    flags = np.zeros((len(points), 2))
    if len(cloud) < SURFACE_POINTS:
        return flags
    tree = cKDTree(cloud)
    for side, (wrist, elbow) in enumerate(zip(WRISTS, _ELBOWS, strict=True)):
        forearm = points[:, wrist] - points[:, elbow]
        forearm /= np.maximum(np.linalg.norm(forearm, axis=1, keepdims=True), 1e-6)
        hand = points[:, wrist] + FINGERS_SHARE * height_m * forearm
        away = tree.query(hand, k=SURFACE_POINTS)[0][:, -1]
        fast = across_speed(points[:, wrist], camera, fps)
        rests = [(away < near) & (fast < speed) for near, speed in zip(HAND_NEAR_M, HAND_SPEED, strict=True)]
        flags[:, side] = steady(hysteresis(*rests), MIN_HAND_S * fps)
    return flags


def with_hands(flags: np.ndarray, hands: np.ndarray) -> np.ndarray:
    """Flags (T, 7) of `still_points` with hands (T, 2)."""
    result = flags.copy()
    result[:, HANDS] = hands
    return result


def between_frames(still: np.ndarray, margin_frames: float) -> np.ndarray:
    """(T-1, 7): rests in both frames, with a margin: a foot that lands still moves and would drag the body."""
    assert still.shape[1] == len(TOUCHING)
    margin = max(1, round(margin_frames))
    inner = binary_erosion(still > 0.5, np.ones((2 * margin + 1, 1)), border_value=1).astype(float)
    return inner[:-1] * inner[1:]
