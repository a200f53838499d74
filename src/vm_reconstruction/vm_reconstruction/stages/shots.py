"""Cuts: where one shot of a video ends and the next begins, found as single jumps of the whole picture."""

from __future__ import annotations

import cv2
import numpy as np

THUMB = (32, 24)
MIN_JUMP = 20.0  # mean change of grey [0..255] from one frame to the next
MIN_RATIO = 4.0  # over the changes just before and after: a fast pan changes many frames, a cut one
MIN_SHOT_FRAMES = 5


def thumbnail(frame: np.ndarray) -> np.ndarray:
    """(24, 32) float32 grey of a BGR frame."""
    return cv2.resize(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), THUMB, interpolation=cv2.INTER_AREA).astype(np.float32)


def find_shots(thumbnails: list[np.ndarray]) -> list[tuple[int, int]]:
    """[start, end) of every shot, in frames; a shorter piece belongs to the one before it."""
    count = len(thumbnails)
    jump = np.array([float(np.abs(b - a).mean()) for a, b in zip(thumbnails[:-1], thumbnails[1:], strict=True)])
    padded = np.pad(jump, 1)
    around = np.maximum(padded[:-2], padded[2:]) if count > 1 else jump
    cuts = np.flatnonzero((jump > MIN_JUMP) & (jump > MIN_RATIO * np.maximum(around, 1.0))) + 1
    edges = [0]
    for cut in cuts.tolist():
        if cut - edges[-1] >= MIN_SHOT_FRAMES and count - cut >= MIN_SHOT_FRAMES:
            edges.append(cut)
    return list(zip(edges, [*edges[1:], count], strict=True))
