"""Videos whose frames come at uneven times, as phones record them in poor light: which frame is for which moment."""

from __future__ import annotations

import numpy as np

UNEVEN = 0.3  # of the usual interval
UNEVEN_SHARE = 0.02  # of the frames; a single slip is no variable rate


def is_uneven(times_ms: np.ndarray) -> bool:
    """Whether more than a few intervals differ from the usual one; times that do not rise are no times."""
    intervals = np.diff(times_ms)
    if len(intervals) < 10 or (intervals <= 0.0).any():
        return False
    usual = float(np.median(intervals))
    return bool(np.mean(np.abs(intervals - usual) > UNEVEN * usual) > UNEVEN_SHARE)


def even_picks(times_ms: np.ndarray, fps: float) -> np.ndarray:
    """The frame nearest to each moment of an even clock; a frame may stand for several moments, or for none.

    Args:
        times_ms: (N,) rising times of the frames [ms].
        fps: moments a second.

    Returns:
        (M,) indices into the frames, from the first frame's time to the last one's.
    """
    moments = np.arange(times_ms[0], times_ms[-1] + 1e-6, 1000.0 / fps)
    after = np.clip(np.searchsorted(times_ms, moments), 1, len(times_ms) - 1)
    earlier = moments - times_ms[after - 1] <= times_ms[after] - moments
    return after - earlier
