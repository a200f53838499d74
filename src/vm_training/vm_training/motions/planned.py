"""Everything that can be planned, by kind: walks over courses, seats, and walks away from a seat."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset
from vm_training.motions.clip import reference_clip
from vm_training.motions.courses import KINDS as WALKS
from vm_training.motions.courses import random_course
from vm_training.motions.feasibility import Feasibility
from vm_training.motions.footsteps import Gait
from vm_training.motions.reference import plan_reference
from vm_training.motions.route import Route
from vm_training.motions.seats import (
    EDGE_M,
    SEAT_HEIGHTS_M,
    STOOD_S,
    SeatPlan,
    SitTimeline,
    plan_no_seat,
    plan_seat,
    seat_scene,
    with_walk,
)

SIT, SIT_WALK, NO_SEAT, LEAVE = "sit", "sit_walk", "no_seat", "leave"
SEATED = (SIT, SIT_WALK)
"""Kinds in which a robot sits."""
_LATER = ("slope", "rough", "steep_up", "steep_down", "quick", "quick_arc")
KINDS = (*(kind for kind in WALKS if kind not in _LATER), SIT, SIT_WALK, NO_SEAT, LEAVE, *_LATER)
"""Kinds of motions: walks; sit and stand; the same and walk away; asked to sit where nothing is to sit on; walk away
from a seat. A motion is drawn by its kind's place in this row, so new kinds come last."""


@dataclass(frozen=True)
class PlannedMotion:
    """A motion over a random place.

    Attributes:
        clip: None if it cannot be.
        scene: around it.
        gait: how it steps.
        text: what it is, in words.
        feasibility: of the plan.
        timeline: what is asked for when, at a seat.
        route: of a walk.
    """

    clip: MotionClip | None
    scene: SceneAsset
    gait: Gait
    text: str
    feasibility: Feasibility
    timeline: SitTimeline | None = None
    route: Route | None = None


def plan_motion(
    kind: str, rng: np.random.Generator, gait: Gait, spread: float, seats_m: tuple[float, float] = SEAT_HEIGHTS_M
) -> PlannedMotion:
    """Plans a motion of a kind in KINDS.

    Args:
        kind: of motion.
        rng: source of sizes.
        gait: of steps; its stride is the course's.
        spread: how far ways to sit differ, 0 (not at all, as walkers need it) to 1.
        seats_m: lowest and highest seat to sit on or to leave.

    Raises:
        VmError: no way to do it.
    """
    if kind in WALKS:
        return _walk(kind, rng, gait)
    if kind == LEAVE:
        walk = _walk("flat", rng, gait)
        scene = seat_scene(float(rng.uniform(*seats_m)), float(rng.uniform(*EDGE_M)), rng)
        return replace(walk, scene=scene, text=f"{walk.text} away from a seat")
    if kind == NO_SEAT:
        return _seat(plan_no_seat(rng, gait), gait)
    plan = plan_seat(rng, gait, spread, seats_m)
    if kind != SIT_WALK or plan.clip is None:
        return _seat(plan, gait)
    walk = _walk("flat", rng, gait)
    if walk.clip is None:
        return walk
    return _seat(with_walk(plan, walk.clip, walk.gait, float(rng.uniform(*STOOD_S))), walk.gait)


def _seat(plan: SeatPlan, gait: Gait) -> PlannedMotion:
    return PlannedMotion(plan.clip, plan.scene, gait, plan.text, plan.feasibility, plan.timeline)


def _walk(kind: str, rng: np.random.Generator, gait: Gait) -> PlannedMotion:
    course = random_course(kind, rng, gait)
    reference = plan_reference(course.scene, course.route, course.gait)
    feasibility = Feasibility.of(reference)
    clip = None if feasibility.problems else reference_clip(reference, f"planned: {kind}, {course.text}")
    return PlannedMotion(clip, course.scene, course.gait, course.text, feasibility, None, course.route)
