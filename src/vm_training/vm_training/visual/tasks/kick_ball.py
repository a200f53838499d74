"""Dribble a football along the x axis."""

from __future__ import annotations

import numpy as np

from vm_sim.objects import OBJECT_SCENES
from vm_training.visual.tasks.base import ObjectTask, ObjectView, Stick, towards

BEHIND_M, GOAL_M, NEAR_M, LINED_UP_RAD = 0.30, 2.0, 0.45, 0.7


def dribble(view: ObjectView) -> Stick:
    """Goes behind the ball as seen from a point on the x axis ahead of it, then through it."""
    goal = np.stack([view.thing[:, 0] + GOAL_M, np.zeros(len(view.root))], axis=1)
    way = goal - view.thing[:, :2]
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    to_ball = view.thing[:, :2] - view.root[:, :2]
    off = np.arctan2(to_ball[:, 1], to_ball[:, 0]) - np.arctan2(way[:, 1], way[:, 0])
    lined_up = np.abs(np.angle(np.exp(1j * off))) < LINED_UP_RAD
    near = np.linalg.norm(to_ball, axis=1) < NEAR_M
    aim = np.where((lined_up | near)[:, None], view.thing[:, :2], view.thing[:, :2] - BEHIND_M * way)
    ahead = view.ahead(aim)
    angle = np.arctan2(ahead[:, 1], np.maximum(ahead[:, 0], 0.05))
    stride = 0.26 * np.clip(1.25 - 1.5 * np.abs(angle), 0.15, 1.0)
    return Stick(stride, towards(angle, 0.6), np.zeros(len(near)))


KICK_BALL = ObjectTask(
    "kick_ball",
    "dribble a football along x",
    OBJECT_SCENES["kick_ball"],
    dribble,
    "the ball is at least 5 m further along x, its drift at most a quarter of that, and the robot has not fallen",
    lambda f: (f["forward"] >= 5.0) & (f["drift"] <= 0.25 * f["forward"]) & (f["alive"] >= 60.0),
)
