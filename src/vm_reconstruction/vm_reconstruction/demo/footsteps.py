"""Where and when the demo's person sets each foot: a few strides on the floor, then one foot on each step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core.scene_asset import SceneBox

RISE_M, RUN_M, STEP_WIDTH_M, TOP_RUN_M = 0.15, 0.36, 1.2, 0.90
FIRST_EDGE_X_M = 1.42
FOOT_CENTER_FROM_ANKLE_M = 0.06
HALF_STANCE_WIDTH_M = 0.095


@dataclass(frozen=True)
class Footstep:
    """One swing of one foot.

    Attributes:
        side: 0 left, 1 right.
        lift_s, land_s: when the foot leaves the ground and stands again [s].
        start, end: (3,) points on the ground under the ankle [m, world].
        heel_off: foot pitch at lift-off [rad], heel up.
        toe_up: foot pitch at landing [rad], toe up.
        clearance: height of the swing above the higher of both ends [m].
    """

    side: int
    lift_s: float
    land_s: float
    start: np.ndarray
    end: np.ndarray
    heel_off: float
    toe_up: float
    clearance: float


def step_boxes() -> list[SceneBox]:
    """The three steps as boxes that stand on the floor; the last one is a landing."""
    boxes = []
    for k in range(3):
        run = TOP_RUN_M if k == 2 else RUN_M
        height = RISE_M * (k + 1)
        center = (FIRST_EDGE_X_M + RUN_M * k + run / 2, 0.0, height / 2)
        boxes.append(SceneBox(center, (run / 2, STEP_WIDTH_M / 2, height / 2), 0.0, f"step {k + 1}", 0.0))
    return boxes


def plan_footsteps() -> list[Footstep]:
    """The demo's seven steps: three on the floor, one on each tread, one to close on the landing."""
    tread = [FIRST_EDGE_X_M + RUN_M * k + RUN_M / 2 - FOOT_CENTER_FROM_ANKLE_M for k in range(3)]
    tread[2] += 0.06  # on the landing there is room: keep the toes of the closing foot clear of the edge
    places = [
        (0, 0.34, 0),
        (1, 0.74, 0),
        (0, 1.08, 0),
        (1, tread[0], 1),
        (0, tread[1], 2),
        (1, tread[2], 3),
        (0, tread[2], 3),
    ]
    feet = [np.array([0.0, HALF_STANCE_WIDTH_M * sign, 0.0]) for sign in (1, -1)]
    steps, time_s = [], 0.8
    for side, x, level in places:
        climbs = level > 0
        swing_s = 0.72 if climbs else 0.46
        end = np.array([x, feet[side][1], RISE_M * level])
        steps.append(
            Footstep(
                side, time_s, time_s + swing_s, feet[side], end,
                heel_off=0.34 if climbs else 0.42, toe_up=0.0 if climbs else 0.14, clearance=0.07 if climbs else 0.035,
            )
        )  # fmt: skip
        feet[side] = end
        time_s += swing_s + (0.24 if climbs else 0.12)
    return steps
