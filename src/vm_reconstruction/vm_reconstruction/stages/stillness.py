"""When points stand still: the test that makes contacts out of a track."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_closing, binary_opening, gaussian_filter1d

from vm_reconstruction.solver.body_problem import POINTS

STILL_SPEED = 0.35  # m/s; a swinging foot moves at 1-4 m/s, a planted one at the landmarks' noise
STANCE_SPEED = (0.25, STILL_SPEED)  # a stance begins below the first and lasts as long as it stays below the second
MIN_STANCE_S = 0.12
SMOOTH_S = 0.05


def speed(positions: np.ndarray, fps: float) -> np.ndarray:
    """Speed (T,) [m/s] of a point (T, 3), low-passed."""
    smooth = gaussian_filter1d(positions, SMOOTH_S * fps, axis=0, mode="nearest")
    return np.linalg.norm(np.gradient(smooth, axis=0), axis=-1) * fps


def planted_points(points: np.ndarray, fps: float) -> np.ndarray:
    """(T-1, 17) 1 where a heel or toe stays between two frames; points (T, 17, 3) in the first camera's axes.

    Motion along the line of sight is what a single camera sees worst, so it is left out of the speed.
    """
    planted = np.zeros((len(points) - 1, len(POINTS)))
    for name in ("left_heel", "left_toe", "right_heel", "right_toe"):
        track = points[:, POINTS.index(name)]
        ray = track / np.linalg.norm(track, axis=-1, keepdims=True)
        smooth = gaussian_filter1d(track, SMOOTH_S * fps, axis=0, mode="nearest")
        velocity = np.gradient(smooth, axis=0) * fps
        across = velocity - ray * np.sum(velocity * ray, axis=-1, keepdims=True)
        still = steady(np.linalg.norm(across, axis=-1) < STILL_SPEED, MIN_STANCE_S * fps)
        planted[:, POINTS.index(name)] = still[:-1] & still[1:]
    return planted


def stance(speed_m_s: np.ndarray, thresholds: tuple[float, float], fps: float) -> np.ndarray:
    """Flags (T,) of a heel or toe at rest, from its speed (T,): thresholds as STANCE_SPEED, nothing shorter than it."""
    return steady(hysteresis(*(speed_m_s < limit for limit in thresholds)), MIN_STANCE_S * fps)


def steady(flags: np.ndarray, min_frames: float, max_gap: float | None = None) -> np.ndarray:
    """Flags (T,) without gaps of up to max_gap (half of min_frames) and then without runs shorter than min_frames.

    A run that touches the first or last frame stays: it may go on outside the video.
    """
    length = max(1, round(min_frames))
    gap = max(1, length // 2 if max_gap is None else round(max_gap))
    margin = max(length, gap)
    closed = binary_closing(np.pad(flags, margin, mode="edge"), np.ones(gap + 1, bool))
    return binary_opening(closed, np.ones(length, bool))[margin:-margin]


def hysteresis(begins: np.ndarray, lasts: np.ndarray) -> np.ndarray:
    """Runs of lasts (T,) in which begins (T,) is true somewhere: what starts at one threshold ends at a wider one."""
    either = lasts | begins
    runs = np.cumsum(np.diff(either, prepend=False) & either) * either  # counted from one
    return np.isin(runs, np.unique(runs[begins])) & either
