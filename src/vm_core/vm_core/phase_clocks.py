"""Clocks that policies of other projects read: where in its step each foot should be, as they were trained."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

STILL_COMMAND = 0.01
"""Root commands below this [m/s, rad/s] mean standing (holosoma's threshold)."""


class PhaseClock(Protocol):
    """Advanced once a control period, before the network runs.

    Attributes:
        feeds: the field of `ObservationInputs` that takes the phase.
    """

    feeds: str

    def reset(self) -> None:
        """As before the first step."""

    def update(self, command: np.ndarray, period_s: float) -> np.ndarray:
        """The phase for this control period, for a root command (3,) [m/s, m/s, rad/s]."""
        ...


class FootPhases:
    """holosoma's: one angle a foot, half a cycle apart; both held at pi while there is no command.

    The formula is that of `holosoma_inference`'s locomotion policy: advance, then hold or restart.
    """

    feeds = "foot_phase"

    def __init__(self, cycle_s: float) -> None:
        self.cycle_s = cycle_s
        self.reset()

    def reset(self) -> None:
        """Left foot at 0, right foot at pi."""
        self._phase, self._standing = np.array([0.0, math.pi]), False

    def update(self, command: np.ndarray, period_s: float) -> np.ndarray:
        """Angles (2,) of the left and the right foot [rad], in -pi..pi."""
        self._phase = np.fmod(self._phase + 2.0 * math.pi * period_s / self.cycle_s + math.pi, 2.0 * math.pi) - math.pi
        if np.linalg.norm(command[:2]) < STILL_COMMAND and abs(command[2]) < STILL_COMMAND:
            self._phase, self._standing = np.full(2, math.pi), True
        elif self._standing:
            self.reset()
        return self._phase


class CyclePhase:
    """unitree_rl_lab's `gait_phase`: one cycle that runs on, command or not."""

    feeds = "cycle_phase"

    def __init__(self, cycle_s: float) -> None:
        self.cycle_s = cycle_s
        self.reset()

    def reset(self) -> None:
        """At the cycle's start."""
        self._phase = 0.0

    def update(self, command: np.ndarray, period_s: float) -> np.ndarray:
        """Share () of the cycle, 0 to 1."""
        self._phase = math.fmod(self._phase + period_s / self.cycle_s, 1.0)
        return np.array(self._phase)


CLOCKS: dict[str, type[FootPhases] | type[CyclePhase]] = {"feet": FootPhases, "cycle": CyclePhase}
"""Every clock by the name that a contract uses."""
