"""Push a box as large as the robot along the x axis, by the feet: each step goes as far as the box gives way."""

from __future__ import annotations

import numpy as np

from vm_sim.objects import OBJECT_SCENES
from vm_training.visual.tasks.base import HARD_TURN_RAD, ObjectTask, ObjectView, Stick, towards

NEAR_M, BLOCKED_M = 0.6, 0.27  # gaps from which on it minds its steps, and at which they are least
STRIDES_M, YIELDS = (0.12, 0.20), 0.8  # least, and largest; more of it for each metre of gap
BACK_RAD_M, MOST_BACK_RAD = 1.5, 0.5  # against drift: how far aside it heads for each metre, and at most
AT_EASE = 0.0  # style; the arms stay out of the way, for palms that meet a box push the trunk over


def push(view: ObjectView) -> Stick:
    """Faces the box's middle, and against its drift; walks into it, and steps less where it gives no way.

    It asks for no more than one can know who sees: where the near face is, from the line that the box began on. How the
    box has turned would not help: robots drifted as far with it, and went less far.
    """
    back = np.clip(-BACK_RAD_M * view.near_face[:, 1], -MOST_BACK_RAD, MOST_BACK_RAD)
    near = view.gap < NEAR_M
    angle = np.where(near, 0.6 * (back - view.heading) + 0.7 * view.bearing, view.bearing)
    least, most = STRIDES_M
    minding = np.clip(least + YIELDS * (view.gap - BLOCKED_M), 0.0, most)
    stride = np.where(near, minding, most * np.clip(1.2 - 1.5 * np.abs(view.bearing), 0.2, 1.0))
    return Stick(stride, towards(angle, 1.5, HARD_TURN_RAD), np.full(len(near), AT_EASE))


PUSH_BOX = ObjectTask(
    "push_box",
    "push a box of 0.76 x 1.02 x 1.02 m and 4 kg along x",
    OBJECT_SCENES["push_box"],
    push,
    "the box is at least 3 m further along x, its drift at most a quarter of that, and the robot has not fallen",
    lambda f: (f["forward"] >= 3.0) & (f["drift"] <= 0.25 * f["forward"]) & (f["alive"] >= 60.0),
    mark="near_face",
    glances_m=((0.6, 1.5), (-0.5, 0.5)),
    two_handed=True,
)
