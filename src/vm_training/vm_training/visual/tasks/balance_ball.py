"""Rest one foot on a football."""

from __future__ import annotations

from vm_sim.objects import OBJECT_SCENES
from vm_training.visual.tasks.base import ObjectTask, RewardWeights

RESTS_M, STAYS_M = 0.08, 0.15

BALANCE_BALL = ObjectTask(
    "balance_ball",
    "rest one foot on a football and stay so",
    OBJECT_SCENES["balance_ball"],
    None,
    "a sole is within 0.08 m of the ball's top at the end, the ball within 0.15 m of its start, nobody has fallen",
    lambda f: (f["foot_gap"] <= RESTS_M) & (f["distance"] <= STAYS_M) & (f["alive"] >= 60.0),
    weights=RewardWeights(foot=5.0, goal=1.0, forward=0.0, drift=0.0),
)
