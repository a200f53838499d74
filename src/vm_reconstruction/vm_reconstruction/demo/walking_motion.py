"""The demo's ground-truth motion: footsteps first, then a pelvis that the legs can carry, then limbs by geometry.

Feet are exact (planted means planted); the rest is shaped to look like a person's gait, not measured from one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from vm_reconstruction.demo.footsteps import Footstep

ROLL_OFF_S, ROLL_DOWN_S = 0.26, 0.12
LEG_REACH = 0.985  # of the leg's full length; a straight knee flickers
STAND_REACH = 0.975


@dataclass(frozen=True)
class Skeleton:
    """Rest pose of the body: joint name -> (3,) position [m], x forward, y left, soles at z = 0."""

    joints: dict[str, np.ndarray]

    def offset(self, joint: str, parent: str) -> np.ndarray:
        """Rest vector from parent to joint (3,) [m]."""
        return self.joints[joint] - self.joints[parent]

    def length(self, joint: str, parent: str) -> float:
        """Rest distance between two joints [m]."""
        return float(np.linalg.norm(self.offset(joint, parent)))


@dataclass(frozen=True)
class FootPath:
    """One foot over time.

    Attributes:
        ball: (T, 3) point on the sole under the ball of the foot [m].
        pitch: (T,) [rad], positive: heel up.
        contact: (T,) 1 while any part of the sole rests.
        ground: (T, 3) place of the sole under the ankle, moving in a straight line during the swing [m].
    """

    ball: np.ndarray
    pitch: np.ndarray
    contact: np.ndarray
    ground: np.ndarray


def _smooth(s: np.ndarray) -> np.ndarray:
    s = np.clip(s, 0.0, 1.0)
    return s**3 * (10.0 - 15.0 * s + 6.0 * s**2)


def _swing_height(s: np.ndarray, step: Footstep) -> np.ndarray:
    """Rises early and comes down late, so that toes pass the nosing above it."""
    start, end = step.start[2], step.end[2]
    line = start + (end - start) * _smooth(s / 0.5)
    return line + step.clearance * np.sin(np.pi * np.clip(s, 0, 1)) ** 2 * 1.3


def foot_path(side: int, steps: list[Footstep], time_s: np.ndarray, ball_x: float, heel_x: float) -> FootPath:
    """Follows one foot through its swings; ball_x and heel_x [m] place both on the sole relative to the ankle."""
    mine = [step for step in steps if step.side == side]
    ball = np.tile(mine[0].start + [ball_x, 0, 0], (len(time_s), 1))
    ground = np.tile(mine[0].start, (len(time_s), 1))
    pitch, contact = np.zeros(len(time_s)), np.ones(len(time_s))
    for step in mine:
        climbs = step.end[2] > step.start[2]
        after = time_s >= step.lift_s
        s = (time_s - step.lift_s) / (step.land_s - step.lift_s)
        swing = after & (s < 1.0)
        rolling = (time_s >= step.lift_s - ROLL_OFF_S) & ~after
        pitch[rolling] = step.heel_off * _smooth((time_s[rolling] - step.lift_s) / ROLL_OFF_S + 1.0)
        pitch[swing] = step.heel_off * (1 - _smooth(s[swing] / (0.4 if climbs else 0.75))) - step.toe_up * _smooth(
            (s[swing] - 0.5) / 0.5
        )
        landed = after & (s >= 1.0)
        pitch[landed] = -step.toe_up * (1 - _smooth((time_s[landed] - step.land_s) / ROLL_DOWN_S))
        contact[swing] = 0.0
        # On stairs the foot goes up before it goes forward, else the toes meet the riser.
        x = _smooth((s[after] - 0.18) / 0.82 if climbs else s[after])[:, None]
        ground[after] = step.start + x * (step.end - step.start)
        ball[after] = ground[after] + [ball_x, 0, 0]
        ball[swing, 2] = _swing_height(s[swing], step)
        # While the toe is up the heel carries: turn the ball about the heel instead of sinking it.
        heel_turn = after & (pitch < 0)
        arm = ball_x - heel_x
        ball[heel_turn, 0] -= arm * (1 - np.cos(pitch[heel_turn]))
        ball[heel_turn, 2] += arm * np.sin(-pitch[heel_turn])
    return FootPath(ball, pitch, contact, ground)


def pelvis_target(feet: list[FootPath], fps: float) -> np.ndarray:
    """Path (T, 3) of the point that the pelvis seeks: over the standing foot, smooth as a heavy body moves [m]."""
    load = np.stack([foot.contact for foot in feet])
    load = gaussian_filter1d(load, 0.07 * fps, axis=1, mode="nearest") + 1e-6
    load /= load.sum(axis=0)
    carried = sum(load[i, :, None] * feet[i].ground for i in range(2))
    smooth = gaussian_filter1d(carried, 0.20 * fps, axis=0, mode="nearest")
    return smooth * np.array([1.0, 0.5, 1.0])


def carry_pelvis(
    target: np.ndarray, hips: list[np.ndarray], ankles: list[np.ndarray], reach: float, fps: float
) -> np.ndarray:
    """Lowers the pelvis path (T, 3) smoothly until both ankles are within the legs' reach [m] of the hips."""
    path = target.copy()
    for _ in range(12):
        excess = np.zeros(len(path))
        for hip, ankle in zip(hips, ankles, strict=True):
            flat = np.sum((path + hip - ankle)[:, :2] ** 2, axis=1)
            allowed = ankle[:, 2] + np.sqrt(np.maximum(reach**2 - flat, 0.25)) - hip[:, 2]
            excess = np.maximum(excess, path[:, 2] - allowed)
        if excess.max() < 1e-4:
            break
        path[:, 2] -= np.maximum(gaussian_filter1d(excess, 0.10 * fps, mode="nearest"), 0.0) * 1.3
    return path


def knees(hip: np.ndarray, ankle: np.ndarray, thigh: float, shin: float, forward: np.ndarray) -> np.ndarray:
    """Knee positions (T, 3) of a two-bone leg that bends toward `forward` (T, 3)."""
    line = ankle - hip
    distance = np.linalg.norm(line, axis=1)
    line = line / distance[:, None]
    distance = np.clip(distance, abs(thigh - shin) + 1e-3, thigh + shin - 1e-4)
    along = (thigh**2 - shin**2 + distance**2) / (2 * distance)
    across = forward - np.sum(forward * line, axis=1, keepdims=True) * line
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    return hip + along[:, None] * line + np.sqrt(np.maximum(thigh**2 - along**2, 0))[:, None] * across
