"""Random places for robots under commands: the kinds of the fixed benchmark, with other numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset, SceneBox

MOST_BOXES = 14
"""Every model carries so many boxes, far below where a course has fewer."""
_HALF_WIDTH_M, _DEPTH_M = 2.5, 0.5


@dataclass(frozen=True)
class CourseRanges:
    """What courses are drawn from.

    Attributes:
        rise_m: lowest and highest step of stairs.
        run_m: shortest and longest tread.
        kerb_m: lowest and highest kerb.
        slab_m: highest slab of rough ground.
        slope_deg: steepest slope.
        approach_m: from the start to the first edge.
    """

    rise_m: tuple[float, float] = (0.06, 0.18)
    run_m: tuple[float, float] = (0.25, 0.36)
    kerb_m: tuple[float, float] = (0.04, 0.13)
    slab_m: float = 0.055
    slope_deg: float = 11.0
    approach_m: tuple[float, float] = (0.5, 1.0)

    def __post_init__(self) -> None:
        pairs = (self.rise_m, self.run_m, self.kerb_m, self.approach_m)
        if not all(0.0 < low <= high for low, high in pairs) or not self.rise_m[1] < 0.4 or not 0 < self.slope_deg < 45:
            raise VmError(f"{self}: expected 0 < low <= high, rises below 0.4 m and slopes below 45 degrees")


def _across(x: tuple[float, float], top: float, label: str, y: tuple[float, float] | None = None) -> SceneBox:
    left, right = y or (-_HALF_WIDTH_M, _HALF_WIDTH_M)
    center = (0.5 * (x[0] + x[1]), 0.5 * (left + right), 0.5 * (top - _DEPTH_M))
    return SceneBox(center, (0.5 * (x[1] - x[0]), 0.5 * (right - left), 0.5 * (top + _DEPTH_M)), label=label)


def _stairs(ranges: CourseRanges, rng: np.random.Generator, up: bool) -> SceneAsset:
    """Four to eight steps, then a landing."""
    edge, rise, run = (float(rng.uniform(*pair)) for pair in (ranges.approach_m, ranges.rise_m, ranges.run_m))
    count = int(rng.integers(4, 9))
    edges = edge + run * np.arange(count)
    if up:
        return SceneAsset(boxes=tuple(_across((float(x), 12.0), rise * (i + 1), "step") for i, x in enumerate(edges)))
    return SceneAsset(boxes=tuple(_across((-3.0, float(x)), rise * (count - i), "step") for i, x in enumerate(edges)))


def _kerbs(ranges: CourseRanges, rng: np.random.Generator) -> SceneAsset:
    """Up and down again, three times."""
    boxes, x = [], float(rng.uniform(*ranges.approach_m))
    for _ in range(3):
        end = x + float(rng.uniform(0.7, 1.3))
        boxes.append(_across((x, end), float(rng.uniform(*ranges.kerb_m)), "kerb"))
        x = end + float(rng.uniform(0.7, 1.1))
    return SceneAsset(boxes=tuple(boxes))


def _rough(ranges: CourseRanges, rng: np.random.Generator) -> SceneAsset:
    """Slabs of any height, two side by side, for one foot may stand higher than the other."""
    boxes, x = [], float(rng.uniform(*ranges.approach_m))
    for _ in range(MOST_BOXES // 2):
        end, split = x + float(rng.uniform(0.32, 0.5)), float(rng.uniform(-0.12, 0.12))
        left, right = (float(rng.uniform(0.005, ranges.slab_m)) for _ in range(2))
        boxes.append(_across((x, end), right, "slab", (-_HALF_WIDTH_M, split)))
        boxes.append(_across((x, end), left, "slab", (split, _HALF_WIDTH_M)))
        x = end
    return SceneAsset(boxes=tuple(boxes))


def _slope(ranges: CourseRanges, rng: np.random.Generator) -> SceneAsset:
    angle = math.radians(float(rng.uniform(-ranges.slope_deg, ranges.slope_deg)))
    return SceneAsset(ground=(math.tan(angle), 0.0, 0.0))


_MAKERS = {
    "flat": lambda ranges, rng: SceneAsset(),
    "push": lambda ranges, rng: SceneAsset(),
    "stairs_up": lambda ranges, rng: _stairs(ranges, rng, up=True),
    "stairs_down": lambda ranges, rng: _stairs(ranges, rng, up=False),
    "kerbs": _kerbs,
    "rough": _rough,
    "slope": _slope,
}
TERRAINS = tuple(_MAKERS)
"""Kinds of courses; on `push` the ground is flat, and pushes are hard."""
OPEN = ("flat", "push")
"""Where a robot may walk anywhere; elsewhere it is steered straight over what lies ahead."""


def random_course(kind: str, ranges: CourseRanges, rng: np.random.Generator) -> SceneAsset:
    """A place of a kind, ahead of the origin along x, and wide enough to wander."""
    scene = _MAKERS[kind](ranges, rng)
    assert len(scene.boxes) <= MOST_BOXES
    return scene
