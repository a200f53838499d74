"""Push a box as large as the robot along the x axis, with both hands."""

from __future__ import annotations

import numpy as np

from vm_sim.objects import OBJECT_SCENES
from vm_training.visual.gait_table import STYLES
from vm_training.visual.tasks.base import ObjectTask, ObjectView, Stick, towards

REACH_M = 0.40  # from the pelvis to the palms of reaching arms
LOAD_N = STYLES[2][1]


def push(view: ObjectView) -> Stick:
    """Faces the box's middle, and a little against its drift; leans as far as its friction asks for."""
    back = np.clip(-0.9 * view.thing[:, 1] - 0.3 * view.thing_yaw, -0.35, 0.35)
    near = view.gap < REACH_M + 0.15
    turn = towards(np.where(near, 0.6 * (back - view.heading) + 0.7 * view.bearing, view.bearing), 0.5)
    stride = 0.22 * np.clip(1.2 - 1.5 * np.abs(view.bearing), 0.2, 1.0)
    lean = np.clip(view.weight_n / LOAD_N, 0.0, 1.0) * np.clip((REACH_M + 0.08 - view.gap) / 0.08, 0.0, 1.0)
    return Stick(stride, turn, 1.0 + lean)


PUSH_BOX = ObjectTask(
    "push_box",
    "push a box of 0.76 x 1.02 x 1.02 m and 4 kg along x",
    OBJECT_SCENES["push_box"],
    push,
    "the box is at least 3 m further along x, its drift at most a quarter of that, and the robot has not fallen",
    lambda f: (f["forward"] >= 3.0) & (f["drift"] <= 0.25 * f["forward"]) & (f["alive"] >= 60.0),
    two_handed=True,
)
