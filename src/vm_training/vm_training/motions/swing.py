"""Foot paths between stances: lift, carry over the edge, set down."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vm_core import g1
from vm_core.frames import quat_from_rotvec, quat_from_yaw, quat_multiply, quat_rotate
from vm_core.scene_asset import SceneAsset
from vm_training.motions.footsteps import SIDES, Gait, Stance
from vm_training.motions.route import EDGE_M

# rounded, for the last digit of a difference would change every plan by as little
TOE_FROM_SOLE_CENTER = np.round(g1.SOLE_TOE - g1.SOLE_CENTER, 6)
RISE_END, FALL_START = 0.45, 0.65  # of the swing: up first, then down, so that the toe clears the riser


@dataclass
class FeetPath:
    """Sole centres and attitudes of both feet over T frames.

    Attributes:
        position_world: side to (T, 3) sole centre [m].
        yaw: side to (T,) [rad].
        pitch: side to (T,) [rad], positive with the toe down; on a slope flat feet have the slope's.
        planted: side to (T,) bool; a planted foot with pitch stands on its toes.
        pressure_world: side to (T, 3) where the foot bears on the ground or, in the air, would [m].
        slope: dz/dx of the ground.
    """

    position_world: dict[str, np.ndarray]
    yaw: dict[str, np.ndarray]
    pitch: dict[str, np.ndarray]
    planted: dict[str, np.ndarray]
    pressure_world: dict[str, np.ndarray]
    slope: float = 0.0


def feet_path(stances: list[Stance], times_s: np.ndarray, scene: SceneAsset, gait: Gait) -> FeetPath:
    """Both feet at the given times.

    Args:
        stances: in order of touch-down, as `plan_climb` gives them.
        times_s: (T,) rising.
        scene: whose surfaces swings must clear.
        gait: clearance and pitch.
    """
    slope = stances[0].slope
    path, lies = FeetPath({}, {}, {}, {}, {}, slope), -float(np.arctan(slope))
    for side in SIDES:
        own = [s for s in stances if s.side == side]
        flat = np.tile(own[0].position_world, (len(times_s), 1))
        yaw = np.full(len(times_s), own[0].yaw)
        planted = np.ones(len(times_s), dtype=bool)
        pitch, on_toes = np.zeros(len(times_s)), np.zeros(len(times_s))
        for i, (before, after) in enumerate(pairwise(own)):
            swing = (times_s > before.end_s) & (times_s < after.start_s)
            part = np.clip((times_s - before.end_s) / (after.start_s - before.end_s), 0.0, 1.0)
            late = times_s >= before.end_s
            flat[late] = _carry(before.position_world, after.position_world, part[late], scene, gait.clearance_m)
            yaw[late] = before.yaw + (after.yaw - before.yaw) * quintic(part[late])
            planted &= ~swing
            heel_off = 0.0 if i == 0 and before.start_s <= 0.0 else gait.heel_off_rad
            early_s = gait.drop_roll_s if _steps_down_from(before, stances) else 0.0
            falls = after.level_m < before.level_m - EDGE_M
            toe_down = gait.drop_toe_down_rad if falls else gait.toe_down_rad
            rolling_s = gait.double_support_s + early_s
            pitch += _swing_pitch(times_s - before.end_s, part, heel_off, toe_down, rolling_s)
            if falls and gait.drop_land_rad > 0.0:
                on_its_toes = quintic(2.0 * part - 1.0) * (1.0 - quintic((times_s - after.start_s) / gait.drop_land_s))
                pitch += gait.drop_land_rad * on_its_toes
                on_toes += on_its_toes
            if early_s:
                on_toes += _bears_on_toes(times_s - before.end_s, part, early_s, gait)
        offset = _rolled_over_toes(pitch, yaw, lies)
        path.position_world[side], path.yaw[side], path.pitch[side] = flat + offset, yaw, pitch + lies
        ahead = np.stack([np.cos(yaw), np.sin(yaw), np.zeros(len(yaw))], axis=1)
        path.planted[side] = planted
        path.pressure_world[side] = flat + (on_toes * TOE_FROM_SOLE_CENTER[0])[:, None] * ahead
    return path


def _steps_down_from(stance: Stance, stances: list[Stance]) -> bool:
    """Whether the other foot comes to stand lower while this one stands."""
    landed = [s for s in stances if s.side != stance.side and stance.start_s < s.start_s <= stance.end_s]
    return any(s.level_m < stance.level_m - EDGE_M for s in landed)


def _bears_on_toes(since_lift_off_s: np.ndarray, part: np.ndarray, early_s: float, gait: Gait) -> np.ndarray:
    """Share of the way from the sole's centre to the toes (T,): there before the heel rises, back in the air."""
    roll_start_s = -(gait.double_support_s + early_s)
    return quintic(1.0 + (since_lift_off_s - roll_start_s) / gait.double_support_s) * (1.0 - quintic(part))


def _swing_pitch(
    since_lift_off_s: np.ndarray, part: np.ndarray, heel_off: float, toe_down: float, rolling_s: float
) -> np.ndarray:
    """Rolls onto the toes before lifting off, points the toe down in the air, lands flat."""
    rolling = quintic(1.0 + since_lift_off_s / rolling_s)
    return heel_off * rolling * (1.0 - quintic(part / 0.7)) + toe_down * np.sin(np.pi * part) ** 2


def _rolled_over_toes(pitch: np.ndarray, yaw: np.ndarray, lies_rad: float) -> np.ndarray:
    """How the sole centre (T, 3) moves when the foot, that lies at a pitch, turns about its toes by another (T,)."""
    lying = quat_from_rotvec(np.array([0.0, lies_rad, 0.0]))
    tilt = quat_from_rotvec(pitch[:, None] * np.array([0.0, 1.0, 0.0]))
    to_toe = np.broadcast_to(TOE_FROM_SOLE_CENTER, (len(pitch), 3))
    over_toe = to_toe - quat_rotate(tilt, to_toe)
    return quat_rotate(quat_multiply(quat_from_yaw(yaw), np.tile(lying, (len(yaw), 1))), over_toe)


def quintic(t: np.ndarray) -> np.ndarray:
    """From 0 to 1 with zero velocity and acceleration at both ends."""
    t = np.clip(t, 0.0, 1.0)
    return t**3 * (10.0 - 15.0 * t + 6.0 * t**2)


def _carry(start: np.ndarray, end: np.ndarray, part: np.ndarray, scene: SceneAsset, clearance_m: float) -> np.ndarray:
    between = start[:2] + np.linspace(0, 1, 40)[:, None] * (end - start)[:2]
    top = max(float(scene.height_at(between).max()), start[2], end[2]) + clearance_m
    rise = quintic(part / RISE_END)
    fall = quintic((part - FALL_START) / (1.0 - FALL_START))
    height = start[2] + (top - start[2]) * rise + (end[2] - top) * fall
    # forward later than up: half of the way is done when the foot is at its highest
    forward = quintic((part - 0.12) / 0.76)
    return np.column_stack([start[:2] + forward[:, None] * (end - start)[:2], height])
