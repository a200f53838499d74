"""Random seats behind a standing robot: to sit down on, to get up from, and such as nobody can sit on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SEAT, SceneAsset, SceneBox
from vm_training.motions.clip import motion_clip
from vm_training.motions.feasibility import Feasibility
from vm_training.motions.footsteps import Gait
from vm_training.motions.seat_place import SitTimes
from vm_training.motions.sit_clip import FRAME_S, plan_sit, plan_stand
from vm_training.motions.sitting import SitStyle

SEAT_HEIGHTS_M = (0.30, 0.52)
EDGE_M = (0.11, 0.15)
"""From the feet's middle back to a seat's edge; the heels reach 0.09 m back and must not press against it. The height
grid does not tell it better, so a robot that sits down must do the same at all of these."""
TOO_FAR_M, TOO_LOW_M, TOO_HIGH_M = (0.30, 0.7), (0.05, 0.22), (0.62, 0.75)
DOWN_S, SETTLE_S, STAND_S = 1.8, 1.2, 0.6
REST_S = (1.0, 4.0)
"""Seated."""
STOOD_S = (0.6, 2.0)
"""Standing between getting up and a walk: the gait clock has come to its end since one was told to get up."""


@dataclass(frozen=True)
class SitTimeline:
    """When a clip's robot is asked for what, as times in the clip [s].

    Attributes:
        down_s: asked to sit down.
        seated_s: at rest on the seat; infinite if there is none that it could sit on.
        rise_s: no longer asked to sit: gets up; infinite for never.
        walk_s: a foot lifts, for a walk that follows; infinite if none does.
    """

    down_s: float
    seated_s: float
    rise_s: float
    walk_s: float


@dataclass(frozen=True)
class SeatPlan:
    """A planned clip at a seat.

    Attributes:
        clip: None if it cannot be.
        scene: with the seat.
        timeline: of the clip.
        feasibility: of the plan.
        text: what it is, in words.
    """

    clip: MotionClip | None
    scene: SceneAsset
    timeline: SitTimeline
    feasibility: Feasibility
    text: str


def walker_style(gait: Gait) -> SitStyle:
    """How a walker sits down: from the pose in which it stands, and on every seat alike, for it has no more than the
    height grid to tell them apart."""
    return SitStyle(
        foot_spacing_m=gait.foot_spacing_m,
        edge_m=EDGE_M[1] - 0.03,
        com_height_m=gait.com_height_m,
        com_back_m=0.04,
        lean_rad=0.85,
        torso_lean_rad=1.3,
        reach_rad=1.0,
        least_move_s=DOWN_S,
        settle_s=SETTLE_S,
        stand_s=STAND_S,
    )


def random_style(style: SitStyle, rng: np.random.Generator, spread: float) -> SitStyle:
    """A style around another: leans, reach, width and time of the squat, `spread` of 0 (none) to 1."""

    def around(value: float, half_width: float) -> float:
        return value + spread * half_width * float(rng.uniform(-1.0, 1.0))

    lean = around(style.lean_rad, 0.12)
    return replace(
        style,
        lean_rad=lean,
        torso_lean_rad=min(around(style.torso_lean_rad, 0.12), lean + 0.48),
        reach_rad=around(style.reach_rad, 0.5),
        com_back_m=around(style.com_back_m, 0.015),
        foot_spacing_m=around(style.foot_spacing_m, 0.04),
        least_move_s=around(style.least_move_s, 0.4),
    )


def plan_seat(
    rng: np.random.Generator, gait: Gait, spread: float, heights_m: tuple[float, float] = SEAT_HEIGHTS_M
) -> SeatPlan:
    """Stand, sit down on a random seat, rest for a while, get up, stand; high seats, the hard ones, more often.

    Raises:
        VmError: no way to sit on it.
    """
    lowest, highest = heights_m
    height = lowest + (highest - lowest) * float(np.sqrt(rng.uniform()))
    edge = float(rng.uniform(*EDGE_M))
    style, rest = random_style(walker_style(gait), rng, spread), float(rng.uniform(*REST_S))
    scene = seat_scene(height, edge, rng)
    text = f"seat {height:.2f} m high, {edge:.2f} m behind"
    motion, on_seat = plan_sit(height, SitTimes(style.least_move_s, rest + 2.0 * style.settle_s, 0.0), style)
    feasibility = Feasibility.of_motion(motion)
    moves = style.least_move_s + style.settle_s + FRAME_S
    timeline = SitTimeline(STAND_S, STAND_S + moves, len(on_seat) * FRAME_S - STAND_S - moves, np.inf)
    feet = {f"{side}_foot": np.ones(len(on_seat)) for side in ("left", "right")}
    clip = motion_clip(motion, feet | {SEAT: on_seat}, FRAME_S, f"planned: sit, {text}")
    return SeatPlan(None if feasibility.problems else clip, scene, timeline, feasibility, text)


def plan_no_seat(rng: np.random.Generator, gait: Gait) -> SeatPlan:
    """Asked to sit down where there is nothing to sit on: stands still."""
    edge = float(np.mean(EDGE_M))
    motion = plan_stand(walker_style(gait), 3)
    case = ("nothing behind", "too far behind", "too low", "too high")[int(rng.integers(4))]
    wrong = {"too far behind": TOO_FAR_M, "too low": TOO_LOW_M, "too high": TOO_HIGH_M}.get(case)
    scene, text = SceneAsset(source="flat"), case
    if wrong is not None:
        value = float(rng.uniform(*wrong))
        far = case == "too far behind"
        scene = seat_scene(float(rng.uniform(*SEAT_HEIGHTS_M)) if far else value, value if far else edge, rng)
        text = f"a seat {value:.2f} m {'behind' if far else 'high'}"
    clip = motion_clip(
        motion, {f"{side}_foot": np.ones(len(motion.qpos)) for side in ("left", "right")}, FRAME_S, f"planned: {text}"
    )
    frames = np.zeros(round(6.0 / FRAME_S), dtype=int)
    timeline = SitTimeline(STAND_S, np.inf, np.inf, np.inf)
    return SeatPlan(frames_of(clip, frames), scene, timeline, Feasibility.of_motion(motion), text)


def seat_scene(height_m: float, edge_m: float, rng: np.random.Generator) -> SceneAsset:
    """A box behind a robot that stands at the origin and looks along x; depth, width and offset aside are random."""
    depth, width = float(rng.uniform(0.35, 0.6)), float(rng.uniform(0.5, 1.2))
    center = (-edge_m - 0.5 * depth, float(rng.uniform(-0.1, 0.1)), 0.5 * height_m)
    return SceneAsset(boxes=(SceneBox(center, (0.5 * depth, 0.5 * width, 0.5 * height_m), label=SEAT),), source="seat")


def frames_of(clip: MotionClip, frames: np.ndarray) -> MotionClip:
    """Some frames (T,) of a clip as a clip of its own."""
    assert clip.joint_target is not None
    return replace(
        clip,
        joint_pos=clip.joint_pos[frames],
        root_pos_world=clip.root_pos_world[frames],
        root_quat_wxyz=clip.root_quat_wxyz[frames],
        contact=clip.contact[frames],
        joint_target=clip.joint_target[frames],
    )


def with_walk(plan: SeatPlan, walk: MotionClip, gait: Gait, stood_s: float) -> SeatPlan:
    """A plan whose robot walks away after it has got up and stood for a while.

    Args:
        plan: feasible, of the gait's own stance.
        walk: planned from the origin along x; begins with standing for `gait.stand_s`.
        gait: of the walk.
        stood_s: between both [s].
    """
    sit = plan.clip
    assert sit is not None and sit.joint_target is not None and walk.joint_target is not None
    until = sit.num_frames + round(stood_s / FRAME_S)
    first = frames_of(sit, np.minimum(np.arange(until), sit.num_frames - 1))
    assert first.joint_target is not None
    joined = replace(
        sit,
        joint_pos=np.concatenate([first.joint_pos, walk.joint_pos]),
        root_pos_world=np.concatenate([first.root_pos_world, walk.root_pos_world]),
        root_quat_wxyz=np.concatenate([first.root_quat_wxyz, walk.root_quat_wxyz]),
        contact=np.concatenate([first.contact, np.column_stack([walk.contact, np.zeros(walk.num_frames)])]),
        joint_target=np.concatenate([first.joint_target, walk.joint_target]),
    )
    timeline = replace(plan.timeline, walk_s=until * FRAME_S + gait.stand_s)
    return replace(plan, clip=joined, timeline=timeline, text=f"{plan.text}, then {walk.duration_s:.1f} s of walking")
