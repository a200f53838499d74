"""The zero moment point that a sequence of stances asks for, and the height of the centre of mass over it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.ndimage import gaussian_filter1d

from vm_training.motions.footsteps import SIDES, Gait, Stance
from vm_training.motions.swing import FeetPath

SMOOTHING_FRAMES = 1.0
HEIGHT_SMOOTHING_S = 0.12


def zmp_reference(feet: FeetPath) -> np.ndarray:
    """(T, 2) [m]: where the standing foot bears; between two, a straight line over the double support."""
    left, right = feet.planted["left"], feet.planted["right"]
    weight = np.where(left & right, np.nan, np.where(left, 1.0, 0.0))
    known = np.flatnonzero(~np.isnan(weight))
    frames = np.arange(len(weight))
    # both ends stand on both feet
    at = np.concatenate([[0], known, [len(weight) - 1]])
    values = np.concatenate([[0.5], weight[known], [0.5]])
    first, last = (known[0], known[-1]) if len(known) else (0, len(weight) - 1)
    weight = np.interp(frames, at, values)
    ramp = 25  # frames over which the weight leaves and reaches the middle
    weight[: max(first - ramp, 0)] = 0.5
    weight[max(first - ramp, 0) : first] = np.linspace(0.5, weight[first], first - max(first - ramp, 0))
    tail = min(last + ramp, len(weight) - 1)
    weight[last:tail] = np.linspace(weight[last], 0.5, tail - last)
    weight[tail:] = 0.5
    weight = gaussian_filter1d(weight, SMOOTHING_FRAMES)[:, None]
    return weight * feet.pressure_world["left"][:, :2] + (1.0 - weight) * feet.pressure_world["right"][:, :2]


def support_height(stances: list[Stance], times_s: np.ndarray, gait: Gait) -> np.ndarray:
    """Height (T,) [m] that the centre of mass is carried over: the mean of the feet's stances, smooth.

    It rises after a foot stands higher and sinks before a foot stands lower, so that no leg is stretched too far.
    What a slope adds is `slope_height`.
    """
    heights = []
    for side in SIDES:
        own = [s for s in stances if s.side == side]
        height = np.full(len(times_s), own[0].level_m)
        for before, after in pairwise(own):
            rise = after.level_m - before.level_m
            change_s = after.start_s + (gait.height_delay_s if rise >= 0.0 else -gait.drop_lead_s)
            height = np.where(times_s >= change_s, after.level_m, height)
        heights.append(height)
    dt = times_s[1] - times_s[0]
    return gaussian_filter1d(np.mean(heights, axis=0), HEIGHT_SMOOTHING_S / dt, mode="nearest")


def slope_height(feet: FeetPath, dt_s: float) -> np.ndarray:
    """Height (T,) [m] of a slope between the feet, smooth."""
    middle = np.mean([feet.pressure_world[side][:, 0] for side in SIDES], axis=0)
    return gaussian_filter1d(feet.slope * middle, HEIGHT_SMOOTHING_S / dt_s, mode="nearest")
