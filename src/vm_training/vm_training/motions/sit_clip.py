"""From a clip in which somebody sits and the scene around to a clip that a robot can follow there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vm_core.errors import VmError
from vm_core.frames import quat_from_yaw, quat_multiply, quat_rotate
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SEAT, SceneAsset
from vm_training.motions.clip import motion_clip
from vm_training.motions.feasibility import Feasibility
from vm_training.motions.seat_place import SeatPlace, SitTimes, find_seat, sit_times
from vm_training.motions.sitting import SitPath, SitStyle, plan_path, standing_pose
from vm_training.motions.whole_body import WholeBodyMotion, reference_model, with_dynamics

FRAME_S = 0.02
LEAST_REST_S = 1.0


def sit_clip(scene: SceneAsset, seen: MotionClip, style: SitStyle) -> MotionClip:
    """Stands in front of the seat that the person sat on, sits for as long, and gets up as fast.

    Args:
        scene: with that seat.
        seen: the person's motion, of any robot or joints; only the pelvis and the contact `seat` count.
        style: how the robot does it.

    Raises:
        VmError: nobody sits, there is no such seat, or it cannot be sat on.
    """
    place, times = find_seat(scene, seen, style.edge_m), sit_times(seen)
    motion, seat = plan_sit(place.height_m, times, style)
    problems = Feasibility.of_motion(motion).problems
    if problems:
        raise VmError(f"no feasible way to sit on a seat {place.height_m:.2f} m high: {problems}")
    feet = {f"{side}_foot": np.ones(len(seat)) for side in ("left", "right")}
    return placed(motion_clip(motion, feet | {SEAT: seat}, FRAME_S, "planned sit"), place)


def plan_sit(seat_height_m: float, times: SitTimes, style: SitStyle) -> tuple[WholeBodyMotion, np.ndarray]:
    """The motion in the feet's frame, and (T,) whether the hips are on the seat."""
    down_s, up_s = (max(wanted, style.least_move_s) for wanted in (times.down_s, times.up_s))
    down = plan_path(seat_height_m, style, down_s, FRAME_S)
    up = down if up_s == down_s else plan_path(seat_height_m, style, up_s, FRAME_S)
    rest = round(max(times.seated_s - 2.0 * style.settle_s, LEAST_REST_S) / FRAME_S)
    stand = round(style.stand_s / FRAME_S)
    qpos = np.concatenate([
        np.repeat(down.squat[:1], stand, axis=0), down.squat, down.settle,
        np.repeat(down.settle[-1:], rest, axis=0),
        up.settle[::-1], up.squat[::-1], np.repeat(up.squat[:1], stand, axis=0),
    ])  # fmt: skip
    share = np.concatenate(
        [
            np.zeros(stand + len(down.squat)),
            _taken(down),
            np.ones(rest),
            _taken(up)[::-1],
            np.zeros(len(up.squat) + stand),
        ]
    )
    planted = {side: np.ones(len(qpos), dtype=bool) for side in ("left", "right")}
    motion = with_dynamics(reference_model(), qpos, planted, np.zeros(len(qpos)), FRAME_S, seat_share=share)
    return motion, (share > 0.0).astype(float)


def plan_stand(style: SitStyle, frames: int) -> WholeBodyMotion:
    """The stance before, and no more."""
    qpos = np.repeat(standing_pose(style)[None], frames, axis=0)
    planted = {side: np.ones(frames, dtype=bool) for side in ("left", "right")}
    return with_dynamics(reference_model(), qpos, planted, np.zeros(frames), FRAME_S)


def _taken(path: SitPath) -> np.ndarray:
    """How willingly the seat bears the hips while the trunk comes upright, above 0 to 1."""
    return np.arange(1, len(path.settle) + 1) / len(path.settle)


def placed(clip: MotionClip, place: SeatPlace) -> MotionClip:
    """A clip around the origin, moved to where the feet belong."""
    turn = quat_from_yaw(np.array(place.heading))
    origin = np.array([*place.feet_xy, place.ground_z])
    return replace(
        clip,
        root_pos_world=quat_rotate(turn, clip.root_pos_world) + origin,
        root_quat_wxyz=quat_multiply(np.broadcast_to(turn, clip.root_quat_wxyz.shape), clip.root_quat_wxyz),
    )
