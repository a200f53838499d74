"""People who leave the picture and come back, told to the user whichever solver runs."""

from __future__ import annotations

import numpy as np

from vm_reconstruction.progress import warn

LONGEST_GAP_S = 0.5  # shorter ones are bridged well


def tell_gaps(found: np.ndarray, fps: float, who: str = "nobody") -> None:
    """Warns of every longer time in which found (T,) is false: the pose there is a smooth guess; `who` "is seen"."""
    edges = np.flatnonzero(np.diff(np.concatenate([[1], found.astype(int), [1]])))
    for first, end in edges.reshape(-1, 2):
        if (end - first) / fps > LONGEST_GAP_S:
            warn(f"{who} is seen from {first / fps:.1f} to {end / fps:.1f} s; the motion there is a guess")
