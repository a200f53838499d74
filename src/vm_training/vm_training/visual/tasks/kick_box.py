"""Kick a light box along the x axis, step by step."""

from __future__ import annotations

from dataclasses import replace

from vm_sim.objects import OBJECT_SCENES
from vm_training.visual.tasks.kick_ball import KICK_BALL, go_through

KICK_BOX = replace(
    KICK_BALL,
    name="kick_box",
    text="kick a box of 0.38 x 0.51 x 0.51 m and 0.5 kg along x, step by step",
    scene=OBJECT_SCENES["kick_box"],
    script=go_through,
    success_text="the box is at least 3 m further along x, its drift at most a quarter of that, and nobody has fallen",
    success=lambda f: (f["forward"] >= 3.0) & (f["drift"] <= 0.25 * f["forward"]) & (f["alive"] >= 60.0),
)
