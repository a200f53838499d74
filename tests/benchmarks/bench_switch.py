"""From the walking policy with a height map to the blind one at moments of a walk: no bump, and it walks on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from lockstep import GRID, Lockstep, velocity_policy

import vm_policy_node
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.policy_switch import MAX_STEP_RAD
from vm_policy_node.safety import Needs, State

MOMENTS = 20
WALK_S, AFTERWARDS_S = 6.0, 3.0
WALKER = Path(vm_policy_node.__file__).parent / "policies" / "g1_walk.onnx"


def figures(seed: int) -> Iterator[dict]:
    """The largest step that a switch added to a joint's target, and how many walks went on."""
    walk = Lockstep(lambda now_s: (0.35, 0.0, 0.0), seed, first=OnnxPolicy.load(WALKER), second=velocity_policy())
    walk.controller.runner.needs = Needs(GRID)
    walk.start()
    walk.run(1.0)
    rng, began_s, largest_rad, went_on = np.random.default_rng(seed), walk.now_s, 0.0, 0
    for moment in range(MOMENTS):
        at_s = began_s + WALK_S * (moment + rng.random()) / MOMENTS
        walk.run(at_s - walk.now_s)
        twin = walk.branch(moment)
        answer = twin.controller.request("switch", twin.now_s)
        switch = twin.controller.policies.switch
        assert answer.accepted and switch is not None, answer.message
        twin.run(AFTERWARDS_S)
        largest_rad = max(largest_rad, switch.largest_step_rad)
        went_on += twin.state == State.RUNNING and switch.ended
        if twin.state != State.RUNNING:
            print(f"{at_s - began_s:.2f} s: {twin.controller.machine.cause}", file=sys.stderr)
    yield _figure("bump-less switch: joint target step", largest_rad, "rad", MAX_STEP_RAD, "lower")
    yield _figure(f"bump-less switch: walks on, of {MOMENTS} moments", went_on / MOMENTS, "1", 1.0, "higher")


def _figure(figure: str, value: float, unit: str, goal: float, better: str) -> dict:
    return {"figure": figure, "value": round(float(value), 4), "unit": unit, "goal": goal, "better": better}
