"""Take a light box between the palms and hold it at a metre: walk up to it, then `vm_core.lifting` takes it."""

from __future__ import annotations

import numpy as np

from vm_sim.objects import OBJECT_SCENES
from vm_training.visual.lift_path import REACH_M
from vm_training.visual.tasks.base import HARD_TURN_RAD, ObjectTask, ObjectView, RewardWeights, Stick, towards

HEIGHT_M, HELD_M = 1.0, 0.15
STOPS_M, STRIDE_M, STRIDES = 0.06, 0.10, 0.6  # short of the reach; longest stride, and of the way that is left
FACES, ASTRAY_RAD = (
    1.5,
    0.25,
)  # turns by so much of the bearing; who is off by that stays where he is till he faces it


def walk_up(view: ObjectView) -> Stick:
    """Steps up to the box, shorter and shorter, facing its middle; it asks where this is and for nothing else."""
    ahead = view.ahead(view.thing)[:, 0]
    stride = np.clip(STRIDES * (ahead - REACH_M[0] + STOPS_M), 0.0, STRIDE_M)
    stride *= np.clip(1.5 - 1.5 * np.abs(view.bearing) / ASTRAY_RAD, 0.0, 1.0)
    turn = towards(view.bearing, FACES, HARD_TURN_RAD)
    return Stick(stride, turn, np.zeros(len(ahead)))


LIFT_BOX = ObjectTask(
    "lift_box",
    "take a box of 0.38 x 0.51 x 0.51 m and 0.5 kg between the palms and hold it at 1 m",
    OBJECT_SCENES["lift_box"],
    walk_up,
    "the box's centre is within 0.15 m of 1 m at the end, it was never dropped, and the robot has not fallen",
    lambda f: (abs(f["height"] - HEIGHT_M) <= HELD_M) & (f["dropped"] == 0.0) & (f["alive"] >= 60.0),
    glances_m=((0.35, 0.95), (-0.3, 0.3)),
    height_m=HEIGHT_M,
    two_handed=True,
    lifts=True,
    weights=RewardWeights(approach=1.0, height=5.0, forward=0.0, drift=0.0),
)
