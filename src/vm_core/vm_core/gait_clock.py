"""When a policy that steps in time steps: on while there is a command, with two steps to rest after it ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vm_core.arrays import stack_last

RAMP_S = 0.5
"""Time in which the weight goes over one foot before the first step, and back between both after the last [s]."""
STEPS_TO_REST = 2
"""Steps that begin after a command has ended: one to lose speed, one to close the feet."""
QUICK_STOP = 0.6
"""`steps_to_rest` of those who stop at once: as few as do not throw the robot over (0.3: an eighth falls)."""
LEAST_COMMAND = 0.05
"""Smaller commands [m/s, rad/s] mean standing still."""


def gait_phase(
    since_first_step_s: np.ndarray, walk_s: np.ndarray | float, step_s: float, fade_steps: float = 0.0
) -> np.ndarray:
    """What the policy reads, (..., 2): cosine and sine of the phase, fading in before the first step and out after the
    last, zero at rest.

    Args:
        since_first_step_s: time since the first foot lifted [s], negative before.
        walk_s: time from the first lift-off to the last touch-down [s]; infinite while no end is known.
        step_s: from one touch-down to the next; a cycle is two.
        fade_steps: so many steps before the last touch-down it begins to fade out, which tells one that has no memory
            whether this is a step like any other, one that loses speed, or the last.
    """
    since = np.asarray(since_first_step_s, dtype=float)
    fade_in = _share(1.0 + since / RAMP_S)
    fade_out = _share((walk_s + RAMP_S - since) / (RAMP_S + fade_steps * step_s))
    angle = math.pi * since / step_s
    return (fade_in * fade_out)[..., None] * stack_last([np.cos(angle), np.sin(angle)])


def _share(value: np.ndarray) -> np.ndarray:
    """Within 0..1; `np.clip` takes six times as long for a single number."""
    return np.minimum(np.maximum(value, 0.0), 1.0)


def steps_of_walk(since_first_step_s: np.ndarray, step_s: float, steps_to_rest: float = STEPS_TO_REST) -> np.ndarray:
    """How many steps a walk has, (...), whose command ends now.

    Args:
        since_first_step_s: time since the first foot lifted [s], negative before.
        step_s: from one touch-down to the next.
        steps_to_rest: at least so many, whole or in part, still follow; from a step that has only begun, 0.6 lets that
            very step close the feet, from a later one the next. A walk that has not begun has two steps in place.
    """
    done = np.asarray(since_first_step_s, dtype=float) / step_s
    return np.where(done < 0.0, 2.0, np.floor(done + steps_to_rest) + 1.0)


@dataclass
class GaitClock:
    """Runs while a root command asks for motion.

    Attributes:
        step_s: from one touch-down to the next [s].
        fade_steps: of `gait_phase`.  steps_to_rest: of `steps_of_walk`.
        since_s: since the first lift-off [s], negative before it; None at rest.
        walk_s: from the first lift-off to the last touch-down [s]; infinite while the command lasts.
    """

    step_s: float
    fade_steps: float = 0.0
    steps_to_rest: float = STEPS_TO_REST
    since_s: float | None = None
    walk_s: float = math.inf

    def reset(self) -> None:
        """At rest."""
        self.since_s, self.walk_s = None, math.inf

    def update(self, command: np.ndarray, period_s: float) -> np.ndarray:
        """The phase (2,) for this control period; then time goes on.

        By default the step that is under way when the command ends is followed by a short one and one that closes the
        feet.

        Args:
            command: (3,) vx, vy [m/s], yaw rate [rad/s].
            period_s: control period.
        """
        wanted = float(np.abs(command).max()) > LEAST_COMMAND
        if self.since_s is None:
            if not wanted:
                return np.zeros(2)
            self.since_s, self.walk_s = -RAMP_S, math.inf
        if wanted and self.since_s < self.walk_s:
            self.walk_s = math.inf
        elif not wanted and math.isinf(self.walk_s):
            self.walk_s = float(steps_of_walk(np.array(self.since_s), self.step_s, self.steps_to_rest)) * self.step_s
        phase = gait_phase(np.array(self.since_s), self.walk_s, self.step_s, self.fade_steps)
        self.since_s += period_s
        if self.since_s >= self.walk_s + RAMP_S:
            self.reset()
        return phase
