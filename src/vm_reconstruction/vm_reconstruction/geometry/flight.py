"""Flights of stairs: treads that rise by one height and follow each other at one length, as building codes ask.

One stance tells its tread's height to some centimetres; all stances of a flight together tell two numbers, where it
starts and by how much it rises. Levels that contradict an even flight are left as they are.
"""

from __future__ import annotations

import numpy as np

MIN_LEVELS = 3  # a line through two points fits whatever they are
RISE_RANGE_M = (0.08, 0.26)  # of one step
MOST_STEPS_AT_ONCE = 2
MISFIT = 2.5  # standard deviations, root mean square, beyond which a flight is not even
DOUBTFUL, CLEAR = 1.3, 0.7  # beyond the first a skipped tread is thought of, and believed below the second


def flights(top_m: np.ndarray) -> list[slice]:
    """Longest runs of levels (N,) along a way that rise, or fall, from each to the next; neighbours share a landing."""
    signs = np.sign(np.diff(top_m))
    found, start = [], 0
    for k in range(1, len(signs) + 1):
        if k == len(signs) or signs[k] != signs[start]:
            found.append(slice(start, k + 1))
            start = k
    return [f for f in found if f.stop - f.start >= MIN_LEVELS]


def even(top_m: np.ndarray, std_m: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """One flight as a start and a rise: heights (N,), and how many rises each level is from the first (N,).

    A tread may have been skipped, or not been told from its neighbour. None if the levels contradict an even flight.
    """
    difference = np.abs(np.diff(top_m))
    misfit, heights, steps = _fit(top_m, std_m, float(np.median(difference)))
    if misfit > DOUBTFUL:
        other = _fit(top_m, std_m, float(difference.min()))
        misfit, heights, steps = other if other[0] < CLEAR else (misfit, heights, steps)
    return (heights, steps) if misfit < MISFIT else None


def _fit(top_m: np.ndarray, std_m: np.ndarray, rise_m: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Misfit in standard deviations, heights and counts of rises, if one rise is about rise_m."""
    count = np.maximum(1, np.round(np.abs(np.diff(top_m)) / max(rise_m, 1e-6)))
    steps = np.concatenate([[0.0], np.cumsum(count)])
    rows = np.column_stack([np.ones(len(steps)), steps])
    start, rise = np.linalg.lstsq(rows / std_m[:, None], top_m / std_m, rcond=None)[0]
    heights = start + rise * steps
    possible = count.max() <= MOST_STEPS_AT_ONCE and RISE_RANGE_M[0] < abs(rise) < RISE_RANGE_M[1]
    misfit = float(np.sqrt(np.sum(((top_m - heights) / std_m) ** 2) / max(1, len(top_m) - 2)))
    return misfit if possible else np.inf, heights, steps


def even_edges(place_m: np.ndarray, steps: np.ndarray, std_m: np.ndarray) -> np.ndarray:
    """Where the levels of one flight meet (N - 1,), all treads equally long.

    Args:
        place_m: (N - 1,) where feet say that each level ends; steps: (N,) how many rises each is from the first;
            std_m: (N - 1,) of the places.
    """
    if len(place_m) < MIN_LEVELS:
        return place_m  # two edges fit any length
    rows = np.column_stack([np.ones(len(place_m)), 0.5 * (steps[:-1] + steps[1:])])
    line = np.linalg.lstsq(rows / std_m[:, None], place_m / std_m, rcond=None)[0]
    return rows @ line
