"""What is measured of rollouts of object tasks: where the object and the robot end, and what happened on the way."""

from __future__ import annotations

import numpy as np

from vm_training.visual.tasks.base import ObjectTask, ObjectView, goal_distance

LIFTED_M, DROPPED_M = 0.3, 0.1
"""An object that was so far above its start, and is lower than this above it again, was dropped."""


class Measures:
    """Of N rollouts, each until its robot falls.

    Attributes:
        values: (N,) by name. The object from its start: `distance` straight, `forward` along x, `drift` as |y|; `gap`
            from the pelvis to it; `height` of its centre; `goal` from it to the task's; `foot_gap` from its top to the
            nearer sole, all [m] and the newest; `fastest`: its most speed along x [m/s]; `dropped`: 1 if it was.
    """

    def __init__(self, task: ObjectTask, count: int) -> None:
        self._task = task
        names = ("distance", "forward", "drift", "gap", "height", "goal", "foot_gap", "fastest", "dropped")
        self.values = {name: np.zeros(count) for name in names}
        self._highest = np.zeros(count)

    def update(self, view: ObjectView, up: np.ndarray) -> None:
        """Takes this moment of the robots (N,) that have not fallen."""
        moved, values = view.thing - view.start, self.values
        self._highest = np.where(up, np.maximum(self._highest, moved[:, 2]), self._highest)
        now = {
            "distance": np.linalg.norm(moved[:, :2], axis=1),
            "forward": moved[:, 0],
            "drift": np.abs(moved[:, 1]),
            "gap": view.gap,
            "height": view.thing[:, 2],
            "goal": goal_distance(self._task, view),
            "foot_gap": view.foot_gap,
            "fastest": np.maximum(values["fastest"], view.thing_vel[:, 0]),
            "dropped": np.maximum(values["dropped"], (self._highest > LIFTED_M) & (moved[:, 2] < DROPPED_M)),
        }
        for name, value in now.items():
            values[name] = np.where(up, value, values[name])
