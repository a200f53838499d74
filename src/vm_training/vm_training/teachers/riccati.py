"""Time-varying linear-quadratic regulation of the local models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_training.mdp.clip_tracking import NUM_JOINTS
from vm_training.teachers.local_models import LocalModels


@dataclass(frozen=True)
class TrackingCost:
    """Weights on squared scaled errors (in units of ERROR_SCALE) and corrections (in units of CORRECTION_SCALE)."""

    position: float = 1.0
    height: float = 1.0
    rotation: float = 1.0
    joint: float = 0.5
    linear_velocity: float = 1.0
    vertical_velocity: float = 1.0
    angular_velocity: float = 0.5
    joint_velocity: float = 0.02
    correction: float = 0.5

    def state_weights(self) -> np.ndarray:
        """(58,) diagonal of Q."""
        positions = [(self.position, 2), (self.height, 1), (self.rotation, 3), (self.joint, NUM_JOINTS)]
        velocities = [(self.linear_velocity, 2), (self.vertical_velocity, 1), (self.angular_velocity, 3)]
        parts = [*positions, *velocities, (self.joint_velocity, NUM_JOINTS)]
        return np.concatenate([np.full(size, weight) for weight, size in parts])


def regulator_gains(models: LocalModels, group: np.ndarray, cost: TrackingCost, hold_steps: int = 200) -> np.ndarray:
    """Gains (F, m, n + q + 1): u = -K[t] [x; f; 1], scaled, by the Riccati recursion backwards from a long hold.

    Known forces f are taken to last: what regulates them away is a lean, not a push back.

    Args:
        models: one a group of frames.
        group: (F,) model index of each frame.
        cost: weights.
        hold_steps: steps for which the last frame is held after the clip.
    """
    n, m = models.b.shape[1:]
    given = models.e.shape[2] + 1
    weights = np.zeros((n + given, n + given))
    weights[:n, :n] = np.diag(cost.state_weights())
    effort = cost.correction * np.eye(m)
    value, gains = weights.copy(), np.zeros((len(group), m, n + given))
    for step in range(len(group) + hold_steps - 1, -1, -1):
        t = min(step, len(group) - 1)
        k = group[t]
        a = np.zeros((n + given, n + given))
        a[:n, :n], a[:n, n:-1], a[:n, -1], a[n:, n:] = models.a[k], models.e[k], models.d[k], np.eye(given)
        b = np.vstack([models.b[k], np.zeros((given, m))])
        gain = np.linalg.solve(effort + b.T @ value @ b, b.T @ value @ a)
        closed = a - b @ gain
        value = weights + gain.T @ effort @ gain + closed.T @ value @ closed
        value = 0.5 * (value + value.T)
        value[n:, n:] = 0.0  # what is given changes no gain but would grow without end
        gains[t] = gain
    return gains
