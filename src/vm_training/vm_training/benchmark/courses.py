"""The fixed benchmark's courses: what stands in the way, where it begins and ends, and what is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from vm_core.errors import VmError
from vm_core.scene_asset import SEAT, SceneAsset, SceneBox

RISES_CM = (8, 10, 12, 14, 16, 18, 20)
RUNS_M = (0.26, 0.30, 0.34)
SEATS_CM = (35, 40, 45, 50)
SEAT_EDGE_M = (0.11, 0.15)
"""From the middle of the feet back to a seat; the heels reach 0.09 m back."""
DEFAULT_FEET_M = 0.034
"""How far ahead of the pelvis the feet's middle is in the pose in which robots start."""
SIT_COURSES = "sit_stand"
APPROACH_M, APPROACHES = 0.8, 5
"""The nearest first edge, and how many places it has within a stride: the steps up to it are others each time."""
STEPS = 6
SIT_SKILL = "sit"
"""A policy that can sit says so in its contract: training["skills"] holds this."""
FULL_STRIDE_M = 0.26
"""Of a step of 0.65 s at 0.4 m/s, the fastest that is asked for."""
_SIDE_M = 1.2
_DEPTH_M = 0.5


@dataclass(frozen=True)
class Episode:
    """One robot's way, straight ahead along x from the origin.

    Attributes:
        scene: what it walks on.
        goal_m: x to be reached; 0 for standing.
        speed: asked for on the way [m/s].
        time_limit_s: for all of it.
        slope: dz/dx of the ground where it starts.
        push_at_s: when it is pushed; infinite for never.
        push_m_s: (vx, vy) added to the pelvis.
        heading: of the way in the scene [rad]; the start is turned to it.
        seat_m: height of a seat behind the start; 0 for none.
    """

    scene: SceneAsset
    goal_m: float
    speed: float
    time_limit_s: float
    slope: float = 0.0
    push_at_s: float = math.inf
    push_m_s: tuple[float, float] = (0.0, 0.0)
    heading: float = 0.0
    seat_m: float = 0.0

    def from_afar(self, by_m: float) -> Episode:
        """The same boxes on level ground so much farther ahead, for who must have seen them; a seat stays."""
        at_seat = any(box.label == SEAT for box in self.scene.boxes)
        if not self.scene.boxes or at_seat or any(self.scene.ground[:2]):
            return self
        ahead = np.array([math.cos(self.heading), math.sin(self.heading), 0.0]) * by_m
        boxes = tuple(
            replace(b, center_world=tuple((np.array(b.center_world) + ahead).tolist())) for b in self.scene.boxes
        )
        limit_s = self.time_limit_s + 1.6 * by_m / max(self.speed, 0.1)
        return replace(self, scene=replace(self.scene, boxes=boxes), goal_m=self.goal_m + by_m, time_limit_s=limit_s)


@dataclass(frozen=True)
class Course:
    """A row of the benchmark.

    Attributes:
        name: of the row.
        make: an episode from its index and a random generator.
        most_drift_m: farther from the start is no success; infinite where the way leads elsewhere.
    """

    name: str
    make: Callable[[int, np.random.Generator], Episode]
    most_drift_m: float = math.inf


def _box(x: tuple[float, float], top: float, label: str, y: tuple[float, float] = (-_SIDE_M, _SIDE_M)) -> SceneBox:
    low = min(-_DEPTH_M, top - _DEPTH_M)
    center = (0.5 * (x[0] + x[1]), 0.5 * (y[0] + y[1]), 0.5 * (low + top))
    return SceneBox(center, (0.5 * (x[1] - x[0]), 0.5 * (y[1] - y[0]), 0.5 * (top - low)), label=label)


def _approach(turn: int) -> float:
    """To the first edge [m]; each place in turn, the strides up to it divided equally."""
    return APPROACH_M + FULL_STRIDE_M * (turn % APPROACHES) / APPROACHES


def _way(scene: SceneAsset, goal_m: float, rng: np.random.Generator, slope: float = 0.0) -> Episode:
    speed = float(rng.uniform(0.28, 0.4))
    return Episode(scene, goal_m, speed, 4.0 + 1.6 * goal_m / speed, slope)


def flat(index: int, rng: np.random.Generator) -> Episode:
    """Three metres straight ahead."""
    return _way(SceneAsset(), 3.0, rng)


def pushed(index: int, rng: np.random.Generator) -> Episode:
    """The same with a push of 0.5 m/s in any direction, somewhere on the way."""
    way, angle = flat(index, rng), float(rng.uniform(0.0, 2.0 * math.pi))
    push = (0.5 * math.cos(angle), 0.5 * math.sin(angle))
    return Episode(way.scene, way.goal_m, way.speed, way.time_limit_s, 0.0, float(rng.uniform(3.0, 6.0)), push)


def standing(index: int, rng: np.random.Generator) -> Episode:
    """A zero command for a minute."""
    return Episode(SceneAsset(), 0.0, 0.0, 60.0)


def stairs(rise_m: float, up: bool) -> Callable[[int, np.random.Generator], Episode]:
    """A flight of six steps; treads and approaches go round with the episode."""

    def make(index: int, rng: np.random.Generator) -> Episode:
        run = RUNS_M[index % len(RUNS_M)]
        edges = _approach(index // len(RUNS_M)) + run * np.arange(STEPS)
        end = float(edges[-1] + run + 1.0)
        if up:
            boxes = [_box((float(x), end + 2.0), rise_m * (i + 1), "step") for i, x in enumerate(edges)]
            return _way(SceneAsset(boxes=tuple(boxes)), end - 0.3, rng)
        tops = rise_m * np.arange(STEPS, 0, -1)
        boxes = [_box((-3.0, float(x)), float(top), "step") for x, top in zip(edges, tops, strict=True)]
        return _way(SceneAsset(boxes=tuple(boxes)), end - 0.3, rng)

    return make


def kerbs(index: int, rng: np.random.Generator) -> Episode:
    """Onto a kerb and off it, twice; heights of 5 to 12 cm."""
    first, second = ((0.05, 0.08), (0.07, 0.10), (0.09, 0.12), (0.12, 0.06))[index % 4]
    x = _approach(index // 4) + 0.2
    boxes = (_box((x, x + 1.2), first, "kerb"), _box((x + 2.2, x + 3.4), second, "kerb"))
    return _way(SceneAsset(boxes=boxes), x + 4.0, rng)


def slope(index: int, rng: np.random.Generator) -> Episode:
    """Up or down a plane of up to 10 degrees."""
    gradient = math.tan(math.radians((-10.0, -7.0, -4.0, 4.0, 7.0, 10.0)[index % 6]))
    return _way(SceneAsset(ground=(gradient, 0.0, 0.0)), 3.0, rng, gradient)


def rough(index: int, rng: np.random.Generator) -> Episode:
    """Square slabs of 0.4 m, each within 5 cm of the level."""
    field, start = np.random.default_rng(index % 8), _approach(index)
    boxes = [
        _box(
            (start + 0.4 * i, start + 0.4 * (i + 1)),
            float(field.uniform(0.005, 0.05)),
            "slab",
            (0.4 * j - 0.8, 0.4 * j - 0.4),
        )
        for i in range(8)
        for j in range(4)
    ]
    return _way(SceneAsset(boxes=tuple(boxes)), start + 3.7, rng)


def mixed(index: int, rng: np.random.Generator) -> Episode:
    """A kerb, three steps up, a landing, three steps down, and loose slabs."""
    kerb, rise, run = ((0.06, 0.10, 0.30), (0.08, 0.12, 0.34), (0.10, 0.14, 0.30))[index % 3]
    x = _approach(index // 3) + 0.2
    boxes = [_box((x, x + 1.0), kerb, "kerb")]
    up, down = x + 2.0, x + 3.0 + 6 * run
    boxes += [_box((up + run * i, down - run * i), rise * (i + 1), "step") for i in range(3)]
    slabs = np.random.default_rng(index % 3).uniform(0.01, 0.04, 4)
    boxes += [_box((down + 0.8 + 0.4 * i, down + 1.2 + 0.4 * i), float(h), "slab") for i, h in enumerate(slabs)]
    return _way(SceneAsset(boxes=tuple(boxes)), down + 3.2, rng)


def seats(height_m: float) -> Callable[[int, np.random.Generator], Episode]:
    """A seat right behind, 2 to 6 cm from the heels, up to 10 cm aside; sit down on it, get up, walk half a metre."""

    def make(index: int, rng: np.random.Generator) -> Episode:
        edge = float(rng.uniform(*SEAT_EDGE_M)) - DEFAULT_FEET_M
        depth, half, aside = float(rng.uniform(0.35, 0.6)), float(rng.uniform(0.25, 0.6)), float(rng.uniform(-0.1, 0.1))
        box = _box((-edge - depth, -edge), height_m, SEAT, (aside - half, aside + half))
        return Episode(SceneAsset(boxes=(box,)), 0.5, float(rng.uniform(0.2, 0.3)), 28.0, seat_m=height_m)

    return make


def leave_seat(index: int, rng: np.random.Generator) -> Episode:
    """A seat of 35 to 50 cm right behind; a metre and a half ahead, away from it."""
    way = seats(SEATS_CM[index % len(SEATS_CM)] / 100)(index, rng)
    return _way(way.scene, 1.5, rng)


def user_scene(name: str, scene: SceneAsset) -> Course:
    """From the scene's origin to the middle of its highest box, straight; without boxes two metres ahead."""

    def make(index: int, rng: np.random.Generator) -> Episode:
        if not scene.boxes:
            return _way(scene, 2.0, rng)
        goal = np.array(max(scene.boxes, key=lambda box: box.top).center_world[:2])
        way = float(np.linalg.norm(goal))
        if way < 0.3:
            raise VmError(f"scene {name}: its highest box lies over the start; expected one to walk to")
        found = _way(scene, way, rng)
        heading = math.atan2(goal[1], goal[0])
        return Episode(found.scene, found.goal_m, found.speed, found.time_limit_s, heading=heading)

    return Course(f"scene {name}", make)


COURSES: tuple[Course, ...] = (
    Course("flat", flat),
    Course("push", pushed),
    Course("zero_command", standing, most_drift_m=0.2),
    *(Course(f"stairs_up_{rise:02d}cm", stairs(rise / 100, up=True)) for rise in RISES_CM),
    *(Course(f"stairs_down_{rise:02d}cm", stairs(rise / 100, up=False)) for rise in RISES_CM),
    Course("kerbs", kerbs),
    Course("slopes", slope),
    Course("rough", rough),
    *(Course(f"{SIT_COURSES}_{height:02d}cm", seats(height / 100)) for height in SEATS_CM),
    Course("mixed", mixed),
    Course("leave_seat", leave_seat),
)
"""All rows, in order."""


def chosen_courses(names: tuple[str, ...]) -> list[Course]:
    """Courses by name or by the beginning of their names; all for none.

    Raises:
        VmError: a name that fits none.
    """
    found: list[Course] = []
    for name in names:
        fitting = [course for course in COURSES if course.name == name] or [
            course for course in COURSES if course.name.startswith(name)
        ]
        if not fitting:
            raise VmError(f"no course {name!r}; there are {', '.join(course.name for course in COURSES)}")
        found += [course for course in fitting if course not in found]
    return found if names else list(COURSES)
