"""Kick a light box once, as far as it goes."""

from __future__ import annotations

from dataclasses import replace

from vm_sim.objects import OBJECT_SCENES
from vm_training.visual.tasks.base import RewardWeights
from vm_training.visual.tasks.kick_box import KICK_BOX

LARGE_KICK = replace(
    KICK_BOX,
    name="large_kick",
    text="kick a box of 0.38 x 0.51 x 0.51 m and 0.5 kg along x, strongly",
    scene=OBJECT_SCENES["large_kick"],
    success_text="the box was once faster than 1 m/s along x, came 1 m or more further along it, and nobody has fallen",
    success=lambda f: (f["fastest"] >= 1.0) & (f["forward"] >= 1.0) & (f["alive"] >= 60.0),
    weights=RewardWeights(forward=10.0, speed=10.0),
)
