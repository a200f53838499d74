"""Dribble a football along the x axis."""

from __future__ import annotations

import numpy as np

from vm_sim.objects import OBJECT_SCENES
from vm_training.visual.tasks.base import HARD_TURN_RAD, LANE_M, ObjectTask, ObjectView, Stick, towards

STRIDE_M = 0.26
BEHIND_M, NEAR_M, LINED_UP_RAD = 0.30, 0.45, 0.7
BEHIND_RAD = 0.5  # off the way to the goal: nearer to it a dribbler is behind the ball
FEET_REACH_M, WAITS_M, TURNS_M = 0.15, 0.42, 0.6  # to either side; ahead, where a ball farther aside is waited for
FOOT_M = 0.07  # from the middle to the foot that is to meet the ball
LOWEST_VIEW_M = 0.34  # ahead of the pelvis, where the picture ends


def go_through(view: ObjectView) -> Stick:
    """Goes behind the thing as seen from a point on the x axis ahead of it, then through it."""
    angle = _angle(view.ahead(_behind_or_through(view, LINED_UP_RAD)))
    stride = STRIDE_M * np.clip(1.25 - 1.5 * np.abs(angle), 0.15, 1.0)
    return Stick(stride, towards(angle, 2.0, HARD_TURN_RAD), np.zeros(len(angle)))


def dribble(view: ObjectView) -> Stick:
    """Comes behind the ball, as seen from a point on the x axis ahead of it, and walks through it; turns before one
    that the feet would pass, and on the spot, to the side where it lies, to one that is out of the picture."""
    angle = _angle(view.ahead(_behind_or_through(view, BEHIND_RAD)))
    stride = STRIDE_M * np.clip(1.25 - 1.5 * np.abs(angle), 0.1, 1.0)
    turn = towards(angle, 2.0, HARD_TURN_RAD)

    ahead, aside = view.ahead(view.thing).T
    far = np.hypot(ahead, aside)
    missed = (np.abs(aside) > FEET_REACH_M) & (far < TURNS_M + 0.15)
    meet = _angle(np.stack([ahead, aside - FOOT_M * np.sign(aside)], axis=1))
    turn = np.where(missed & (far < TURNS_M), towards(meet, 3.0, HARD_TURN_RAD), turn)
    stride = np.where(missed, np.minimum(stride, STRIDE_M * np.clip((ahead - WAITS_M) / 0.25, 0.0, 1.0)), stride)
    gone = (ahead < LOWEST_VIEW_M) & ((ahead < 0.0) | (np.abs(aside) > 0.2))
    turn = np.where(gone, np.where(aside < 0.0, -HARD_TURN_RAD, HARD_TURN_RAD), turn)
    return Stick(np.where(gone, 0.0, stride), turn, np.zeros(len(far)))


def _behind_or_through(view: ObjectView, lined_up_rad: float) -> np.ndarray:
    """(N, 2) in the task frame [m]: the thing for who is near or within this angle behind it, else a place there."""
    way = np.stack([np.full(len(view.root), LANE_M), -view.thing[:, 1]], axis=1)
    to_thing = view.thing[:, :2] - view.root[:, :2]
    off = np.arctan2(to_thing[:, 1], to_thing[:, 0]) - np.arctan2(way[:, 1], way[:, 0])
    through = (np.abs(np.angle(np.exp(1j * off))) < lined_up_rad) | (np.linalg.norm(to_thing, axis=1) < NEAR_M)
    behind = view.thing[:, :2] - BEHIND_M * way / np.linalg.norm(way, axis=1, keepdims=True)
    return np.where(through[:, None], view.thing[:, :2], behind)


def _angle(ahead: np.ndarray) -> np.ndarray:
    """(N,) [rad] to the left, of points (N, 2) ahead and to the left; a right angle at most."""
    return np.arctan2(ahead[:, 1], np.maximum(ahead[:, 0], 0.05))


KICK_BALL = ObjectTask(
    "kick_ball",
    "dribble a football along x",
    OBJECT_SCENES["kick_ball"],
    dribble,
    "the ball is at least 5 m further along x, its drift at most a quarter of that, and the robot has not fallen",
    lambda f: (f["forward"] >= 5.0) & (f["drift"] <= 0.25 * f["forward"]) & (f["alive"] >= 60.0),
)
