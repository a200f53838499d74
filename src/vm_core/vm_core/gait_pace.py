"""Two paces of one walker: quick steps on open ground, which hold pushes, and slow ones where the ground asks for them.

What a push does to a walker grows exponentially until the next foot stands, so steps of half the time hold pushes of
about twice the speed (capture point; Pratt et al., 2006); over an edge a foot needs the time of a slow step. Steps of
either pace begin and end at rest: where the ground says that the other pace is due, the command is held back until the
feet have come together, and then goes on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vm_core.gait_clock import LEAST_COMMAND, GaitClock

EDGE_M, OPEN_M = 0.025, 0.06
"""Open ground has no edge as high as the one within two cells of the height grid, and rises or falls by less than the
other within all of it."""
LEAST_KNOWN = 0.6
"""Share of the cells that must be known; what nobody has seen may be an edge."""
CLOSE_S, OPEN_S = 0.03, 3.0
"""Ground that is not open for so long ends quick steps; ground that is open for so long allows them again. At rest
too: who stops before an edge sways, and the edge goes out of view."""
HOLD_S = 0.02
"""Time constant with which the command is held back, and let go again."""


def open_ground(heights: np.ndarray, shape: tuple[int, int], unknown_m: float) -> bool:
    """Whether a height grid shows level ground without an edge.

    Medians of rows and of columns count: single cells are the map's errors.

    Args:
        heights: (rows * columns,) torso above the ground [m].
        shape: rows, ahead, and columns, aside.
        unknown_m: what a cell says that nobody has seen.
    """
    known = np.abs(heights - unknown_m) > 1e-3
    if np.count_nonzero(known) < LEAST_KNOWN * known.size:
        return False
    filled = np.where(known, heights, _middle(heights[known])).reshape(shape)
    return _is_level(_middle(filled)) and _is_level(_middle(filled.T))


def _middle(values: np.ndarray) -> np.ndarray:
    """Medians over the last axis, the upper one of two; `np.median` takes five times as long."""
    return np.sort(values, axis=-1)[..., values.shape[-1] // 2]


def _is_level(profile: np.ndarray) -> bool:
    if profile.max() - profile.min() >= OPEN_M:
        return False
    return all(np.abs(profile[cells:] - profile[:-cells]).max() < EDGE_M for cells in (1, 2))


@dataclass
class Pace:
    """What a walker of two paces is shown in one control period.

    Attributes:
        command: (3,) vx, vy [m/s], yaw rate [rad/s], as far as it is not held back.
        phase: (2,) of the clock that runs.
        quick: 1 while quick steps are under way, else 0.
    """

    command: np.ndarray
    phase: np.ndarray
    quick: float


class PacedGait:
    """Two gait clocks, of which one runs.

    Attributes:
        slow, quick: the clocks.
    """

    def __init__(self, slow: GaitClock, quick: GaitClock, shape: tuple[int, int], unknown_m: float) -> None:
        """Args: the clocks; rows and columns of the height grid, and what an unknown cell of it says [m]."""
        self.slow, self.quick = slow, quick
        self._shape, self._unknown_m = shape, unknown_m
        self.reset()

    def reset(self) -> None:
        """At rest."""
        for clock in (self.slow, self.quick):
            clock.reset()
        self._is_quick, self._held, self._share = False, False, 1.0
        self._closed_s, self._open_s = 0.0, OPEN_S

    @property
    def rests(self) -> bool:
        """Whether no step is under way."""
        return self.slow.since_s is None and self.quick.since_s is None

    def update(self, command: np.ndarray, heights: np.ndarray | None, period_s: float) -> Pace:
        """This control period's; then time goes on.

        Args:
            command: (3,) what is asked for.
            heights: (rows * columns,) [m] as the policy sees them; None: nothing is known.
            period_s: control period.
        """
        fits, closed = self._look(command, heights, period_s)
        if self.rests:
            self._is_quick, self._held = fits and self._open_s >= OPEN_S, False
        else:
            self._held |= closed if self._is_quick else self._open_s > OPEN_S
        self._share += (1.0 - math.exp(-period_s / HOLD_S)) * (float(not self._held) - self._share)
        shown = self._share * command
        clock = self.quick if self._is_quick else self.slow
        phase = clock.update(shown, period_s)
        return Pace(shown, phase, float(self._is_quick and not self.rests))

    def _look(self, command: np.ndarray, heights: np.ndarray | None, period_s: float) -> tuple[bool, bool]:
        """Whether quick steps would fit now, and whether they have not for longer than a glimpse."""
        ahead = bool(command[0] > -LEAST_COMMAND)
        fits = ahead and heights is not None and open_ground(heights, self._shape, self._unknown_m)
        self._closed_s = 0.0 if fits else self._closed_s + period_s
        closed = self._closed_s > CLOSE_S
        self._open_s = 0.0 if closed else min(self._open_s + period_s, 2.0 * OPEN_S)
        return fits, closed
