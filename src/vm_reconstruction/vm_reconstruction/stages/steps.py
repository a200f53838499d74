"""Treads under raised feet: levels in their order along the way, evened where they are a flight, as boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core.scene_asset import SceneBox
from vm_reconstruction.geometry import flight
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.stages.stances import STANCE_STD_M, Stance, ground_height

SAME_STEP_M = 0.075
TREAD_HALF_WIDTH_M, TREAD_MIN_M, TREAD_BEYOND_M = 0.45, 0.30, 0.5
EDGE_STD_M = 0.03  # of an edge between two feet that are close to it
THICKNESS_MIN_M = 0.02


@dataclass(frozen=True)
class Level:
    """What carries some stances.

    Attributes:
        stances: those on it; empty for the ground before and behind the steps.
        top_m: over the ground; std_m: its standard deviation.
        low_m, high_m: the part of the way that feet cover.
    """

    stances: tuple[Stance, ...]
    top_m: float
    std_m: float
    low_m: float
    high_m: float


def step_boxes(
    found: list[Stance], on_ground: list[bool], ground: tuple[float, float, float], ground_std: float,
    motion: HumanMotion,
) -> list[SceneBox]:  # fmt: skip
    """One box a tread, for stances above the ground [m, world]."""
    raised = [s for s, low in zip(found, on_ground, strict=True) if not low]
    if not raised:
        return []
    way = _travel(motion, raised)
    levels = [_level(group, way, ground) for group in _groups(raised)]
    levels = _with_ground(sorted(levels, key=lambda v: v.low_m + v.high_m), found, on_ground, ground_std, way)
    tops, edges = _evened(levels)
    return [
        _tread(level, top, edges[k], edges[k + 1], way, ground)
        for k, (level, top) in enumerate(zip(levels, tops, strict=True))
        if level.stances
    ]


def _groups(raised: list[Stance]) -> list[list[Stance]]:
    """Stances grouped by height, lowest first; a level that is far away sideways is another one."""
    levels: list[list[Stance]] = []
    for stance in sorted(raised, key=lambda s: s.height):
        for level in levels:
            near = np.linalg.norm(stance.sole.mean(axis=0)[:2] - _middle(level)[:2]) < 1.2
            if near and abs(stance.height - np.mean([s.height for s in level])) < SAME_STEP_M:
                level.append(stance)
                break
        else:
            levels.append([stance])
    return levels


def _middle(level: list[Stance]) -> np.ndarray:
    return np.mean([s.sole.mean(axis=0) for s in level], axis=0)


def _travel(motion: HumanMotion, raised: list[Stance]) -> np.ndarray:
    """Horizontal unit vector (2) of the way over the steps: along the pelvis' path while feet are up there."""
    pelvis = motion.joint("pelvis")[:, :2]
    start, end = min(s.start for s in raised), max(s.end for s in raised) - 1
    back = max(0, start - round(0.5 * motion.fps))
    way = pelvis[end] - pelvis[back]
    if np.linalg.norm(way) < 0.3:  # no way was made: the direction of the feet
        way = np.mean([(s.sole[1] - s.sole[0])[:2] for s in raised], axis=0)
    return way / max(float(np.linalg.norm(way)), 1e-9)


def _level(group: list[Stance], way: np.ndarray, ground: tuple[float, float, float]) -> Level:
    heights = [s.height for s in group]
    top = float(np.mean(heights)) - ground_height(ground, _middle(group)[:2])
    std = float(np.hypot(np.std(heights), STANCE_STD_M) / np.sqrt(len(group)))
    along = np.concatenate([s.sole[:, :2] @ way for s in group])
    return Level(tuple(group), top, std, float(along.min()), float(along.max()))


def _with_ground(
    levels: list[Level], found: list[Stance], on_ground: list[bool], ground_std: float, way: np.ndarray
) -> list[Level]:
    """The same with the ground before and behind, where somebody stood on it."""
    spans = [s.sole[:, :2] @ way for s, low in zip(found, on_ground, strict=True) if low]
    first, last = levels[0], levels[-1]
    before = [span.max() for span in spans if span.mean() < 0.5 * (first.low_m + first.high_m)]
    behind = [span.min() for span in spans if span.mean() > 0.5 * (last.low_m + last.high_m)]
    start = [Level((), 0.0, ground_std, -np.inf, float(max(before)))] if before else []
    end = [Level((), 0.0, ground_std, float(min(behind)), np.inf)] if behind else []
    return [*start, *levels, *end]


def _evened(levels: list[Level]) -> tuple[np.ndarray, np.ndarray]:
    """Tops (N,) over the ground, and the edges (N + 1,) between and around the levels along the way [m]."""
    tops, std = np.array([v.top_m for v in levels]), np.array([v.std_m for v in levels])
    low, high = np.array([v.low_m for v in levels]), np.array([v.high_m for v in levels])
    edges, gaps = 0.5 * (high[:-1] + low[1:]), np.maximum(low[1:] - high[:-1], 0.0)
    for part in flight.flights(tops):
        even = flight.even(tops[part], std[part])
        if even is None:
            continue
        tops[part], steps = even
        between = slice(part.start, part.stop - 1)
        places, wide = _beside_landings(edges[between], gaps[between], low[part], high[part])
        edges[between] = flight.even_edges(places, steps, np.hypot(EDGE_STD_M, wide / np.sqrt(12)))
    return tops, np.concatenate([[low[0] - 0.1], edges, [high[-1] + TREAD_BEYOND_M]])


def _beside_landings(
    edges: np.ndarray, gaps: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Edges (N - 1,) [m] of a flight of N levels and the widths (N - 1,) within which they are.

    On a tread feet stand close to both edges; before the first step and behind the last one they stand anywhere, so
    what those two gaps are wider than the narrowest one lies on the landing's side.
    """
    places, widths = edges.copy(), gaps.copy()
    usual = float(np.min(gaps))
    places[0], widths[0] = low[1] - 0.5 * usual, usual
    places[-1], widths[-1] = high[-2] + 0.5 * usual, usual
    return places, widths


def _tread(
    level: Level, top_m: float, start: float, end: float, way: np.ndarray, ground: tuple[float, float, float]
) -> SceneBox:
    """From edge to edge, at least under the feet."""
    side = np.array([-way[1], way[0]])
    across = np.concatenate([s.sole[:, :2] @ side for s in level.stances])
    half_width = max(TREAD_HALF_WIDTH_M, 0.5 * float(np.ptp(across)) + 0.2)
    if end - start < TREAD_MIN_M - 0.1:
        middle = 0.5 * (level.low_m + level.high_m)
        start, end = middle - TREAD_MIN_M / 2, middle + TREAD_MIN_M / 2
    xy = way * (0.5 * (start + end)) + side * (0.5 * (across.min() + across.max()))
    return box(
        xy, top_m + ground_height(ground, xy), (0.5 * (end - start), half_width), way, ground, "step", level.std_m
    )


def box(
    xy: np.ndarray,
    top: float,
    half: tuple[float, float],
    way: np.ndarray,
    ground: tuple[float, float, float],
    label: str,
    std: float,
) -> SceneBox:
    """A box from the ground's lowest point under it up to `top`."""
    reach = float(np.hypot(*ground[:2]) * np.hypot(*half))
    bottom = min(ground_height(ground, xy) - reach, top - 2 * THICKNESS_MIN_M)
    center = (float(xy[0]), float(xy[1]), 0.5 * (top + bottom))
    yaw = float(np.arctan2(way[1], way[0]))
    return SceneBox(center, (half[0], half[1], 0.5 * (top - bottom)), yaw, label, std)
