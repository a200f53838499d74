"""Walk to a big box without pushing it."""

from __future__ import annotations

import numpy as np

from vm_sim.objects import OBJECT_SCENES
from vm_training.visual.tasks.base import ObjectTask, ObjectView, RewardWeights, Stick, towards

STOPS_M = 0.55


def reach(view: ObjectView) -> Stick:
    """Faces the box and goes slower as it comes near; marks time before it."""
    left = view.gap - STOPS_M
    stride = 0.26 * np.clip(left / 0.4, 0.0, 1.0) * np.clip(1.2 - np.abs(view.bearing), 0.2, 1.0)
    return Stick(stride, towards(view.bearing, 0.5), np.zeros(len(left)))


REACH_BOX = ObjectTask(
    "reach_box",
    "walk to a big box 3 to 5 m away and stay before it",
    OBJECT_SCENES["reach_box"],
    reach,
    "within 0.8 m of the box at the end, the box moved less than 0.1 m, and the robot has not fallen",
    lambda f: (f["gap"] <= 0.8) & (f["distance"] <= 0.1) & (f["alive"] >= 60.0),
    weights=RewardWeights(approach=2.0, forward=0.0, drift=0.0),
)
