"""Take a light box between the palms and hold it at a metre."""

from __future__ import annotations

from vm_sim.objects import OBJECT_SCENES
from vm_training.visual.tasks.base import ObjectTask, RewardWeights

HEIGHT_M, HELD_M = 1.0, 0.15

LIFT_BOX = ObjectTask(
    "lift_box",
    "take a box of 0.38 x 0.51 x 0.51 m and 0.5 kg between the palms and hold it at 1 m",
    OBJECT_SCENES["lift_box"],
    None,
    "the box's centre is within 0.15 m of 1 m at the end, it was never dropped, and the robot has not fallen",
    lambda f: (abs(f["height"] - HEIGHT_M) <= HELD_M) & (f["dropped"] == 0.0) & (f["alive"] >= 60.0),
    height_m=HEIGHT_M,
    two_handed=True,
    weights=RewardWeights(approach=1.0, height=5.0, forward=0.0, drift=0.0),
)
