"""Where two line segments come nearest."""

from __future__ import annotations

import numpy as np


def nearest_on_segments(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest points (N, 3) of segments (N, 2, 3), after Ericson, Real-Time Collision Detection, 5.1.9."""
    da, db, between = a[:, 1] - a[:, 0], b[:, 1] - b[:, 0], a[:, 0] - b[:, 0]
    aa, bb, ab = (np.sum(u * v, axis=-1) for u, v in ((da, da), (db, db), (da, db)))
    ar, br = np.sum(da * between, axis=-1), np.sum(db * between, axis=-1)
    aa_safe, bb_safe = np.maximum(aa, 1e-12), np.maximum(bb, 1e-12)
    cross = aa * bb - ab * ab
    s = np.where(cross > 1e-12, np.clip((ab * br - ar * bb) / np.maximum(cross, 1e-12), 0.0, 1.0), 0.0)
    t = (ab * s + br) / bb_safe
    s = np.where(t < 0.0, np.clip(-ar / aa_safe, 0, 1), np.where(t > 1.0, np.clip((ab - ar) / aa_safe, 0, 1), s))
    t = np.clip(t, 0.0, 1.0)
    s = np.where(aa < 1e-12, 0.0, np.where(bb < 1e-12, np.clip(-ar / aa_safe, 0.0, 1.0), s))
    t = np.where(bb < 1e-12, 0.0, t)
    return a[:, 0] + s[:, None] * da, b[:, 0] + t[:, None] * db
