"""Steps of an estimated scene against the true ones: heights of their tops, places of their edges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import linear_sum_assignment

from vm_core.scene_asset import SceneAsset, SceneBox

MAX_STEP_MISMATCH_M = 0.30  # tops farther apart than this are not the same step
MAX_EDGE_MISMATCH_M = 0.20
RISER_M, SAMPLE_M = 0.06, 0.005  # least rise of an edge; distance of samples along the way


def match_steps(scene: SceneAsset, boxes: list[SceneBox]) -> list[tuple[float, float]]:
    """Pairs (estimated, true) of step tops above the ground [m], each used once, nearest heights together."""
    found = [box for box in scene.boxes if box.label.startswith("step")]
    if not found or not boxes:
        return []
    centers = np.array([box.center_world[:2] for box in found])
    estimated = np.array([box.top for box in found]) - scene.ground_height_at(centers)
    true = np.array([box.top for box in boxes])
    cost = np.abs(estimated[:, None] - true[None])
    rows, columns = linear_sum_assignment(cost)
    return [
        (float(estimated[r]), float(true[c]))
        for r, c in zip(rows, columns, strict=True)
        if cost[r, c] < MAX_STEP_MISMATCH_M
    ]


def edge_errors(
    way_xy: np.ndarray, true_height: Callable[[np.ndarray], np.ndarray], height: Callable[[np.ndarray], np.ndarray]
) -> tuple[int, list[float]]:
    """How many true edges a way crosses, and how far off [m] along it those are that the estimate has, too.

    Args:
        way_xy: (T, 2) where somebody went [m]; true_height, height: of the surface over points (N, 2), both in the
            way's frame.
    """
    points, along = _samples(way_xy)
    true, found = _edges(true_height(points), along), _edges(height(points), along)
    if not len(true) or not len(found):
        return len(true), []
    apart = np.abs(true[:, None, 0] - found[None, :, 0]) + 1e3 * (true[:, None, 1] != found[None, :, 1])
    rows, columns = linear_sum_assignment(apart)
    return len(true), [float(e) for e in apart[rows, columns] if e < MAX_EDGE_MISMATCH_M]


def _samples(way_xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 2) every SAMPLE_M along the straight line from where the way starts to where it ends."""
    start, end = way_xy[0], way_xy[-1]
    length = float(np.linalg.norm(end - start))
    along = np.arange(0.0, length, SAMPLE_M)
    return start + np.outer(along / max(length, 1e-9), end - start), along


def _edges(height: np.ndarray, along: np.ndarray) -> np.ndarray:
    """(K, 2): place [m] and direction (1 up, -1 down) of each jump."""
    jump = np.diff(height)
    at = np.flatnonzero(np.abs(jump) > RISER_M)
    return np.column_stack([along[at] + 0.5 * SAMPLE_M, np.sign(jump[at])])
