"""Push a box as large as the robot along the x axis, with both hands."""

from __future__ import annotations

import numpy as np

from vm_sim.objects import OBJECT_SCENES
from vm_training.visual.tasks.base import ObjectTask, ObjectView, Stick, towards

PALM_M = 0.10  # from a palm's keypoint to what it touches
TOUCH_M, FULL_M = 0.49, 0.36  # gaps at which the palms of reaching arms touch, and at which the body leans fully
PRESS_M = (0.02, 0.06)  # how far the palms are told to go into the box, upright, and more of it leaning


def push(view: ObjectView) -> Stick:
    """Faces the box's middle, and a little against its drift; arms give way, the body leans, the feet wait for it."""
    back = np.clip(-0.9 * view.thing[:, 1] - 0.3 * view.thing_yaw, -0.35, 0.35)
    near = view.gap < TOUCH_M + 0.1
    turn = towards(np.where(near, 0.6 * (back - view.heading) + 0.7 * view.bearing, view.bearing), 0.5)
    room = np.clip((view.gap - FULL_M) / (TOUCH_M - FULL_M), 0.0, 1.0)
    stride = 0.20 * room * np.clip(1.2 - 1.5 * np.abs(view.bearing), 0.2, 1.0)
    lean = 1.0 - room
    reach = view.gap - PALM_M + PRESS_M[0] + PRESS_M[1] * lean
    return Stick(stride, turn, 1.0 + lean, reach)


PUSH_BOX = ObjectTask(
    "push_box",
    "push a box of 0.76 x 1.02 x 1.02 m and 4 kg along x",
    OBJECT_SCENES["push_box"],
    push,
    "the box is at least 3 m further along x, its drift at most a quarter of that, and the robot has not fallen",
    lambda f: (f["forward"] >= 3.0) & (f["drift"] <= 0.25 * f["forward"]) & (f["alive"] >= 60.0),
    two_handed=True,
)
