"""Foot paths between stances: lift, carry over the edge, set down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core.scene_asset import SceneAsset
from vm_training.motions.footsteps import SIDES, Stance

CLEARANCE_M = 0.06  # over the highest surface between two stances
TOE_DOWN_RAD = 0.6  # a flat swinging foot over a step would need more ankle flexion than the G1 has
RISE_END, FALL_START = 0.45, 0.65  # of the swing: up first, then down, so that the toe clears the riser


@dataclass
class FeetPath:
    """Sole centres and headings of both feet over T frames.

    Attributes:
        position_world: side to (T, 3) [m].
        yaw: side to (T,) [rad].
        planted: side to (T,) bool.
        pitch: side to (T,) [rad], positive with the toe down.
    """

    position_world: dict[str, np.ndarray]
    yaw: dict[str, np.ndarray]
    planted: dict[str, np.ndarray]
    pitch: dict[str, np.ndarray]


def feet_path(stances: list[Stance], times_s: np.ndarray, scene: SceneAsset) -> FeetPath:
    """Both feet at the given times.

    Args:
        stances: in order of touch-down, as `plan_climb` gives them.
        times_s: (T,) rising.
        scene: whose surfaces swings must clear.
    """
    path = FeetPath({}, {}, {}, {})
    for side in SIDES:
        own = [s for s in stances if s.side == side]
        position = np.tile(own[0].position_world, (len(times_s), 1))
        yaw = np.full(len(times_s), own[0].yaw)
        planted = np.ones(len(times_s), dtype=bool)
        pitch = np.zeros(len(times_s))
        for before, after in zip(own, own[1:], strict=False):
            swing = (times_s > before.end_s) & (times_s < after.start_s)
            part = np.clip((times_s - before.end_s) / (after.start_s - before.end_s), 0.0, 1.0)
            late = times_s >= before.end_s
            position[late] = _carry(before.position_world, after.position_world, part[late], scene)
            yaw[late] = before.yaw + (after.yaw - before.yaw) * quintic(part[late])
            planted &= ~swing
            pitch += TOE_DOWN_RAD * np.sin(np.pi * part) ** 2
        path.position_world[side], path.yaw[side], path.planted[side] = position, yaw, planted
        path.pitch[side] = pitch
    return path


def quintic(t: np.ndarray) -> np.ndarray:
    """From 0 to 1 with zero velocity and acceleration at both ends."""
    t = np.clip(t, 0.0, 1.0)
    return t**3 * (10.0 - 15.0 * t + 6.0 * t**2)


def _carry(start: np.ndarray, end: np.ndarray, part: np.ndarray, scene: SceneAsset) -> np.ndarray:
    between = start[:2] + np.linspace(0, 1, 40)[:, None] * (end - start)[:2]
    top = max(float(scene.height_at(between).max()), start[2], end[2]) + CLEARANCE_M
    rise = quintic(part / RISE_END)
    fall = quintic((part - FALL_START) / (1.0 - FALL_START))
    height = start[2] + (top - start[2]) * rise + (end[2] - top) * fall
    # forward later than up: half of the way is done when the foot is at its highest
    forward = quintic((part - 0.12) / 0.76)
    return np.column_stack([start[:2] + forward[:, None] * (end - start)[:2], height])
