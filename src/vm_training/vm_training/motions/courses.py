"""Random places to walk: flat ground, arcs, stairs, kerbs, slopes, slabs; each with a way over it and a gait for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from vm_core.scene_asset import SceneAsset, SceneBox
from vm_training.motions.footsteps import Gait
from vm_training.motions.route import Route

HALF_WIDTH_M = 1.0
DEPTH_M = 0.5
LANDING_M = 3.0
STEEPEST_DEG, HIGHEST_SLAB_M = 11.0, 0.05
LONGEST_STRIDE_M, MOST_TURN_RAD = 0.27, 0.15  # of a step
WALKING_GAIT = Gait(com_height_m=0.63, soft_ends=True, as_seen=True, drop_roll_s=0.1)
"""Of every course: a walker cannot know on the flat what drops or rises come, so its height is the same on all.

Standing on the toes of one foot for longer than 0.1 s before a drop is what no teacher holds."""
QUICK_STEP_S = 0.32
"""A push grows until the next foot stands: in 0.32 s to less than half of what it grows to in 0.65 s."""

Place = tuple[SceneAsset, Route, float, str]
"""A scene, the way over it, the stride on the flat [m], and what it is, in words."""


@dataclass(frozen=True)
class Course:
    """A scene, the way over it, how it is walked, and what it is, in words."""

    kind: str
    scene: SceneAsset
    route: Route
    gait: Gait
    text: str


def random_course(kind: str, rng: np.random.Generator, gait: Gait) -> Course:
    """A course of a kind in KINDS, with everything else drawn from `rng`.

    Args:
        kind: name in KINDS.
        rng: source of sizes.
        gait: whose stride is the course's.
    """
    scene, route, stride, text = KINDS[kind](rng)
    return Course(kind, scene, route, replace(gait, stride_m=stride, **ITS_OWN.get(kind, {})), text)


def _flat(rng: np.random.Generator) -> Place:
    stride = rng.uniform(0.04, LONGEST_STRIDE_M)
    length = stride * rng.integers(1, 9)
    return SceneAsset(source="flat"), Route((0.0, 0.0), 0.0, length), stride, f"{length:.2f} m by {stride:.2f} m"


def _arc(rng: np.random.Generator) -> Place:
    stride = rng.uniform(0.02, LONGEST_STRIDE_M)
    length = stride * rng.integers(2, 9)
    curvature = rng.uniform(0.2, 1.0) * MOST_TURN_RAD / stride * rng.choice([-1.0, 1.0])
    text = f"{length:.2f} m by {stride:.2f} m, {curvature:+.1f} rad/m"
    return SceneAsset(source="flat"), Route((0.0, 0.0), 0.0, length, curvature), stride, text


def _quick(rng: np.random.Generator, *, turns: bool) -> Place:
    """The same speeds in steps of half the time."""
    share = QUICK_STEP_S / WALKING_GAIT.step_s
    stride, count = share * rng.uniform(0.02 if turns else 0.04, LONGEST_STRIDE_M), rng.integers(2, 19)
    curvature = rng.uniform(0.2, 1.0) * share * MOST_TURN_RAD / stride * rng.choice([-1.0, 1.0]) if turns else 0.0
    text = f"{stride * count:.2f} m by {stride:.2f} m, {curvature:+.1f} rad/m"
    return SceneAsset(source="flat"), Route((0.0, 0.0), 0.0, stride * count, curvature), stride, text


def _flight(rng: np.random.Generator, *, up: bool, rises_m: tuple[float, float], what: str) -> Place:
    count, rise, run = int(rng.integers(2, 5)), rng.uniform(*rises_m), rng.uniform(0.26, 0.36)
    levels = [rise * (i if up else count - i) for i in range(count + 1)]
    return _treads(levels, run, rng, f"{count} {what}, {rise:.3f} × {run:.2f} m")


def _kerb(rng: np.random.Generator) -> Place:
    rise, width = rng.uniform(0.04, 0.12), rng.uniform(0.4, 1.3)
    return _treads([0.0, rise, 0.0], width, rng, f"{rise:.3f} m high, {width:.2f} m wide")


def _slope(rng: np.random.Generator) -> Place:
    """As many up as down, more of them steep."""
    stride, angle = rng.uniform(0.04, LONGEST_STRIDE_M), STEEPEST_DEG * rng.uniform(0.1, 1.0) ** 0.7
    gradient = float(np.tan(np.radians(angle)) * rng.choice([-1.0, 1.0]))
    length = stride * rng.integers(1, 9)
    text = f"{length:.2f} m by {stride:.2f} m, {np.degrees(np.arctan(gradient)):+.1f} degrees"
    return SceneAsset(ground=(gradient, 0.0, 0.0), source=text), Route((0.0, 0.0), 0.0, length), stride, text


def _rough(rng: np.random.Generator) -> Place:
    """Slabs of any height, a row for each foot; what is left and right of the feet is no matter of theirs."""
    count, approach = int(rng.integers(3, 6)), rng.uniform(0.25, 0.9)
    # room for one place of the feet, or for two; between those a plan would take strides that no teacher holds
    length = rng.uniform(*((0.28, 0.35) if rng.random() < 0.5 else (0.42, 0.5)))
    tops = rng.uniform(0.005, HIGHEST_SLAB_M, (count, 2))
    boxes = []
    for i, pair in enumerate(tops):
        for side, top in zip((0.5, -0.5), pair, strict=True):
            # deep in the ground: out of a thin box a sole that sinks in is pushed downwards
            center = ((i + 0.5) * length, side * HALF_WIDTH_M, 0.5 * (float(top) - DEPTH_M))
            half = (0.5 * length, 0.5 * HALF_WIDTH_M, 0.5 * (float(top) + DEPTH_M))
            boxes.append(SceneBox(center, half, label="slab"))
    route = Route((-approach, 0.0), 0.0, approach + count * length + rng.uniform(0.3, 0.9))
    text = f"{count} slabs of {length:.2f} m, up to {tops.max():.3f} m"
    return SceneAsset(boxes=tuple(boxes), source=text), route, rng.uniform(0.15, LONGEST_STRIDE_M), text


def _treads(levels: list[float], run: float, rng: np.random.Generator, text: str) -> Place:
    """Levels along x: the first reaches back, the last ahead, those between are `run` deep."""
    approach, beyond = rng.uniform(0.25, 0.9), rng.uniform(0.3, 0.9)
    borders = [-LANDING_M, *(run * i for i in range(len(levels) - 1)), run * (len(levels) - 2) + LANDING_M]
    boxes = []
    for level, start, end in zip(levels, borders, borders[1:], strict=False):
        if level > 0.0:
            center = (0.5 * (start + end), 0.0, 0.5 * level)
            boxes.append(SceneBox(center, (0.5 * (end - start), HALF_WIDTH_M, 0.5 * level), label="step"))
    route = Route((-approach, 0.0), 0.0, approach + run * (len(levels) - 2) + beyond)
    return SceneAsset(boxes=tuple(boxes), source=text), route, rng.uniform(0.15, LONGEST_STRIDE_M), text


KINDS: dict[str, Callable[[np.random.Generator], Place]] = {
    "flat": _flat,
    "arc": _arc,
    "stairs_up": partial(_flight, up=True, rises_m=(0.05, 0.15), what="steps up"),
    "stairs_down": partial(_flight, up=False, rises_m=(0.05, 0.12), what="steps down"),
    "kerb": _kerb,
    "slope": _slope,
    "rough": _rough,
    "steep_up": partial(_flight, up=True, rises_m=(0.12, 0.20), what="high steps up"),
    "steep_down": partial(_flight, up=False, rises_m=(0.12, 0.19), what="high steps down"),
    "quick": partial(_quick, turns=False),
    "quick_arc": partial(_quick, turns=True),
}
"""Kinds of courses by name."""

LOW_EDGES, HIGH_STAIRS = ("stairs_up", "stairs_down", "kerb"), ("steep_up", "steep_down")

ITS_OWN: dict[str, dict[str, Any]] = {
    "rough": {"own_surfaces": True},
    "steep_up": {"stairs_lean_rad": 0.3, "stairs_height_m": 0.656},
    "steep_down": {
        "stairs_lean_rad": 0.456,
        "stairs_height_m": 0.581,
        "height_delay_s": 0.131,
        "drop_lead_s": 0.176,
        "drop_roll_s": 0.271,
        "heel_off_rad": 0.991,
        "drop_toe_down_rad": 0.393,
        "drop_land_rad": 0.273,
    },
    **dict.fromkeys(("quick", "quick_arc"), {"step_s": QUICK_STEP_S, "double_support_s": 0.06}),
}
"""What of the gait is a kind's own. Leant forward and higher over the feet, the ankle of who steps up bends less; who
steps down is lower, rolls onto the toes of the upper foot and comes to stand on those of the lower one."""
