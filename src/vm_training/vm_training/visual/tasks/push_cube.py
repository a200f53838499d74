"""Push a cube over a table to a place a hand's length further."""

from __future__ import annotations

import numpy as np

from vm_sim.objects import OBJECT_SCENES
from vm_training.visual.tasks.base import ObjectTask, ObjectView, RewardWeights, Stick, towards

GOAL_M = (0.15, 0.0)
PALM_M = 0.10  # from a palm's keypoint to what it touches
TABLE = OBJECT_SCENES["push_cube"].furniture[0]
STANDS_X_M = float(TABLE.center_world[0] - TABLE.half_size[0]) - 0.20  # where the pelvis leaves room before the table
REACHES_M, PUSHES_M = 0.60, 0.02


def push(view: ObjectView) -> Stick:
    """Steps up to the table, turned to the cube, and lets the palms go on until the cube is where it should be."""
    left = GOAL_M[0] - (view.thing - view.start)[:, 0]
    stride = 0.13 * np.clip((STANDS_X_M - view.root[:, 0]) / 0.2, 0.0, 1.0)
    reach = np.where(left > 0.0, view.gap - PALM_M + PUSHES_M, view.gap - PALM_M - 0.05)
    return Stick(stride, towards(view.bearing, 0.5), np.ones(len(left)), np.minimum(reach, REACHES_M))


PUSH_CUBE = ObjectTask(
    "push_cube",
    "push a cube of 0.2 m on a table to a place 0.15 m further",
    OBJECT_SCENES["push_cube"],
    push,
    "the cube is within 0.05 m of the place at the end and still on the table, and the robot has not fallen",
    lambda f: (f["goal"] <= 0.05) & (f["height"] >= 0.75) & (f["alive"] >= 60.0),
    goal_m=GOAL_M,
    two_handed=True,
    weights=RewardWeights(goal=5.0, forward=0.0, drift=0.0),
)
