"""Walks that end at any moment: the foot in the air comes down where it catches the body, and both feet stay there.

Nothing before the halt knows of it; from then on body and feet go as `vm_core.halting` leads them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vm_core.halting import eased, halt_path
from vm_training.motions.footsteps import SIDES
from vm_training.motions.reference import Reference, mean_heading, measured_zmp
from vm_training.motions.swing import FeetPath, quintic
from vm_training.motions.whole_body import reference_model, solve_kinematics, with_dynamics
from vm_training.visual.motions import MotionPlan

REST_S, LANDING_S = 2.5, 0.2


@dataclass(frozen=True)
class Halted:
    """A walk that has been halted.

    Attributes:
        reference: of the motion.
        frame: at which it was told to halt.
        landed: frame at which the last foot came down, and its place in SIDES.
    """

    reference: Reference
    frame: int
    landed: tuple[int, int]


def halted(plan: MotionPlan, walk: Reference, frame: int) -> Halted:
    """The motion of a plan, whose walk is `walk`, that is told to halt at a frame of any of its steps."""
    dt_s = walk.dt_s
    flying = [side for side in SIDES if not walk.feet.planted[side][frame]]
    count = frame + round(REST_S / dt_s)
    lands = frame
    if flying:
        rest = int(np.argmax(walk.feet.planted[flying[0]][frame:]))
        lands = frame + min(rest, round(LANDING_S / dt_s))
    com, place = _body_path(walk, frame, lands, count, flying[0] if flying else None)
    feet = _feet_path(walk.feet, frame, lands, count, flying[0] if flying else None, place, dt_s)
    times = dt_s * np.arange(count)
    heading = mean_heading(feet, dt_s)
    model = reference_model()
    qpos, error = solve_kinematics(
        model, feet, com, heading, plan.gait.lean_rad, replace(plan, load_n=0.0).body(times).arms
    )
    motion = with_dynamics(model, qpos, feet.planted, error, dt_s)
    zmp = measured_zmp(model, motion, np.zeros(count), dt_s)
    last = SIDES.index(flying[0]) if flying else _last_landed(walk.feet, frame)
    landed = lands if flying else _landing_before(walk.feet, frame, last)
    return Halted(Reference(motion, feet, zmp, np.zeros(2), dt_s), frame, (landed, last))


def _landing_before(feet: FeetPath, frame: int, side: int) -> int:
    flies = np.flatnonzero(~feet.planted[SIDES[side]][: frame + 1])
    return int(flies[-1]) + 1 if len(flies) else 0


def _last_landed(feet: FeetPath, frame: int) -> int:
    return int(np.argmax([_landing_before(feet, frame, side) for side in range(2)]))


def _body_path(
    walk: Reference, frame: int, lands: int, count: int, flying: str | None
) -> tuple[np.ndarray, np.ndarray]:
    """Centre of mass (count, 3), and where the flying foot comes down (3,), if one flies."""
    feet, com = walk.feet, walk.motion.com_world
    stance, other = ("right", "left") if flying == "left" else ("left", "right")
    yaw = float(np.mean([feet.yaw[side][frame] for side in SIDES]))
    turn = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])  # world to heading
    origin = feet.pressure_world[stance][frame, :2]
    body = turn @ (com[frame - 1, :2] - origin)
    speed = turn @ (com[frame, :2] - com[frame - 2, :2]) / (2.0 * walk.dt_s)
    foot = turn @ (feet.pressure_world[other][frame, :2] - origin)
    side = np.array([1.0 if other == "left" else -1.0])
    place, states = halt_path(
        body[None],
        speed[None],
        foot[None],
        side,
        np.array([lands - frame]),
        np.array([flying is not None]),
        count - frame,
    )
    after = states[0, :, :2] @ turn + origin
    height = com[frame, 2] + (com[0, 2] - com[frame, 2]) * quintic(np.arange(1, count - frame + 1) * walk.dt_s / 0.6)
    return np.vstack([com[:frame], np.column_stack([after, height])]), np.append(place[0] @ turn + origin, 0.0)


def _feet_path(
    walk: FeetPath, frame: int, lands: int, count: int, flying: str | None, place: np.ndarray, dt_s: float
) -> FeetPath:
    path = FeetPath({}, {}, {}, {}, {})
    since = np.arange(1, count - frame + 1)
    for side in SIDES:
        flies = side == flying
        frames = max(lands - frame, 1) if flies else round(LANDING_S / dt_s)
        goal = place if flies else walk.pressure_world[side][frame]
        position, yaw, pitch = walk.position_world[side], walk.yaw[side], walk.pitch[side]
        part = np.clip(since / frames, 0.0, 1.0)
        speed = 0.5 * (position[frame] - position[frame - 2]) * frames if flies else np.zeros(3)
        after = eased(position[None, frame - 1], speed[None], np.asarray(goal)[None], part[None])[0]
        path.position_world[side] = np.vstack([position[:frame], after])
        path.yaw[side] = np.concatenate([yaw[:frame], np.full(len(since), yaw[frame])])
        path.pitch[side] = np.concatenate([pitch[:frame], pitch[frame - 1] * (1.0 - quintic(part))])
        planted = walk.planted[side][:frame], since > lands - frame if flies else np.ones(len(since), dtype=bool)
        path.planted[side] = np.concatenate(planted)
        path.pressure_world[side] = np.vstack([walk.pressure_world[side][:frame], np.tile(goal, (len(since), 1))])
    return path
