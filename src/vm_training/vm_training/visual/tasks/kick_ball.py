"""Dribble a football along the x axis."""

from __future__ import annotations

import numpy as np

from vm_sim.objects import OBJECT_SCENES
from vm_training.visual.tasks.base import ObjectTask, ObjectView, Stick, towards

BEHIND_M, GOAL_M, NEAR_M, LINED_UP_RAD = 0.30, 2.0, 0.45, 0.7
FEET_REACH_M, WAITS_M, TURNS_M = 0.15, 0.42, 0.6  # to either side; ahead, where a ball farther aside is waited for
FOOT_M = 0.07  # from the middle to the foot that is to meet the ball
LOWEST_VIEW_M, SEARCH_STRIDE_M, SEARCH_TURN_RAD = 0.34, 0.03, 0.13


def go_through(view: ObjectView, *, lane: bool = True) -> Stick:
    """Goes behind the thing as seen from a point on the x axis ahead of it (without a lane: straight ahead), then
    through it."""
    way = np.stack([np.full(len(view.root), GOAL_M), -view.thing[:, 1] * lane], axis=1)
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


def dribble(view: ObjectView, *, lane: bool = True) -> Stick:
    """Goes through the ball, but waits before one that the feet would pass, and turns to it while it is in view."""
    stick, (ahead, aside) = go_through(view, lane=lane), view.ahead(view.thing).T
    far = np.hypot(ahead, aside)
    missed = (np.abs(aside) > FEET_REACH_M) & (far < TURNS_M + 0.15)
    wait = 0.26 * np.clip((ahead - WAITS_M) / 0.25, 0.0, 1.0)
    angle = np.arctan2(aside - FOOT_M * np.sign(aside), np.maximum(ahead, 0.05))
    turn = np.where(missed & (far < TURNS_M), towards(angle, 0.9), stick.turn)
    return Stick(np.where(missed, np.minimum(stick.stride, wait), stick.stride), turn, stick.style)


def dribble_in_view(view: ObjectView) -> Stick:
    """The same as one can who only sees and knows its heading: straight ahead, and a ball that is not in the picture is
    looked for, to the side where it went."""
    stick, (ahead, aside) = dribble(view, lane=False), view.ahead(view.thing).T
    gone = (ahead < LOWEST_VIEW_M) & ((ahead < 0.0) | (np.abs(aside) > 0.2))
    stride, turn = (
        np.where(gone, SEARCH_STRIDE_M, stick.stride),
        np.where(gone, np.where(aside < 0.0, -SEARCH_TURN_RAD, SEARCH_TURN_RAD), stick.turn),
    )
    return Stick(stride, turn, stick.style)


KICK_BALL = ObjectTask(
    "kick_ball",
    "dribble a football along x",
    OBJECT_SCENES["kick_ball"],
    dribble,
    "the ball is at least 5 m further along x, its drift at most a quarter of that, and the robot has not fallen",
    lambda f: (f["forward"] >= 5.0) & (f["drift"] <= 0.25 * f["forward"]) & (f["alive"] >= 60.0),
    taught=dribble_in_view,
)
