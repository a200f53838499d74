"""Rewards of object tasks while the run bit is 1: every term of `RewardWeights` but those of the body itself."""

from __future__ import annotations

import numpy as np

from vm_training.visual.tasks.base import DECIMETRE, ObjectTask, ObjectView, goal_distance


class TaskRewards:
    """Terms of N worlds; remembers how far each object has come, for only new ground pays."""

    def __init__(self, task: ObjectTask, count: int) -> None:
        self._task = task
        self._best_x, self._most_y = np.zeros(count), np.zeros(count)

    def reset(self, envs: np.ndarray) -> None:
        """Worlds (E,) start anew."""
        self._best_x[envs], self._most_y[envs] = 0.0, 0.0

    def working(self, view: ObjectView) -> np.ndarray:
        """(N,) a second, of this moment."""
        weights, task = self._task.weights, self._task
        gain_x, gain_y = self._new_ground(view)
        total = weights.approach * approach(task, view) - weights.look_at * 0.5 * np.abs(view.bearing)
        total += weights.forward * np.tanh(10.0 * gain_x) - weights.drift * np.tanh(10.0 * gain_y)
        total += weights.speed * np.tanh(np.maximum(view.thing_vel[:, 0], 0.0))
        total += weights.foot * nearness(view.foot_gap)
        total += weights.height * nearness(view.thing[:, 2] - task.height_m)
        return total + weights.goal * nearness(goal_distance(task, view))

    def _new_ground(self, view: ObjectView) -> tuple[np.ndarray, np.ndarray]:
        moved = np.nan_to_num(view.thing - view.start)
        gain_x = np.maximum(moved[:, 0] - self._best_x, 0.0)
        gain_y = np.maximum(np.abs(moved[:, 1]) - self._most_y, 0.0)
        self._best_x, self._most_y = self._best_x + gain_x, self._most_y + gain_y
        return gain_x, gain_y


def nearness(distance_m: np.ndarray) -> np.ndarray:
    """exp(-0.5 d), d in decimetres: 1 where it should be, 0.6 a hand's breadth away."""
    return np.exp(-0.5 * np.abs(distance_m) / DECIMETRE)


def approach(task: ObjectTask, view: ObjectView) -> np.ndarray:
    """exp(-0.1 d) of the contact points' distance d to the object [dm]; of two hands the harmonic mean."""
    if not task.two_handed:
        return np.exp(-0.1 * np.linalg.norm((view.thing - view.root)[:, :2], axis=1) / DECIMETRE)
    c, s = np.cos(view.thing_yaw)[:, None], np.sin(view.thing_yaw)[:, None]
    offset = view.hands - view.thing[:, None]
    local = np.stack(
        [c * offset[..., 0] + s * offset[..., 1], -s * offset[..., 0] + c * offset[..., 1], offset[..., 2]], axis=-1
    )
    outside = np.maximum(np.abs(local) - view.half_size[:, None], 0.0)
    near = np.exp(-0.1 * np.linalg.norm(outside, axis=-1) / DECIMETRE)
    return 2.0 / (1.0 / near).sum(axis=1)
