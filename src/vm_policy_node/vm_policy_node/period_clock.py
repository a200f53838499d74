"""When the control loop sleeps, rehearses and steps: periods that follow the robot's states, without drift."""

from __future__ import annotations

import time
from collections.abc import Callable

EARLY_S, FRESH_S, POLL_S = 0.001, 0.0005, 0.0001
"""A state that came this little before a period was due is its own and begins it at once; for one that has not come, a
period waits this long after it was due and looks this often."""
LEAD_S, FOLLOW = 0.0002, 0.1
"""Periods move by this share towards being due so long after a state has come, which begins them."""
PREPARE_S = 0.004
"""Everything but states is read this long before a period begins."""
SPARE_S, FIRST_GUESS_S, MOST_REHEARSAL_S = 0.0003, 0.001, 0.003
"""A rehearsal aims at ending so long before a period begins; how long it takes is learnt, up to a limit."""
RISE, FALL = 0.2, 0.02
"""Shares by which a rehearsal that took longer or shorter than expected changes what is expected."""


class PeriodClock:
    """The schedule of one control loop; everything waits in the caller's thread.

    Attributes:
        due_s: when the period begins, on the monotonic clock.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._rehearsal_s = FIRST_GUESS_S
        self.due_s = 0.0
        self.start()

    def start(self) -> None:
        """The first period begins now."""
        self.due_s = time.monotonic()

    def sleep_until_preparation(self) -> None:
        """Until inputs are to be read."""
        _sleep_until(self.due_s - PREPARE_S)

    def rehearse(self, work: Callable[[float], None]) -> None:
        """Does `work(now_s)` right before the period: what it leaves in the caches fades with every sleep."""
        _sleep_until(self.due_s - SPARE_S - self._rehearsal_s)
        began_s = time.monotonic()
        if began_s > self.due_s:  # late already
            return
        work(began_s)
        more_s = min(time.monotonic() - began_s, MOST_REHEARSAL_S) - self._rehearsal_s
        self._rehearsal_s += (RISE if more_s > 0.0 else FALL) * more_s

    def await_state(self, newest_s: Callable[[], float]) -> None:
        """Until a state has come with the period, which begins it, but never for longer than a part of a millisecond.

        Args:
            newest_s: looks for states and says when the newest came.
        """
        _sleep_until(self.due_s - 2.0 * SPARE_S)  # where there was nothing to rehearse
        came_s = newest_s()
        while came_s < self.due_s - EARLY_S and (now_s := time.monotonic()) < self.due_s + FRESH_S:
            if now_s > self.due_s:  # before, a sleep would take longer than what is left, and leave the caches cold
                time.sleep(POLL_S)  # who sends the state may need this very processor
            came_s = newest_s()
        offset_s = came_s - self.due_s
        if abs(offset_s) < EARLY_S:
            self.due_s += FOLLOW * (offset_s + LEAD_S)

    def advance(self, now_s: float) -> None:
        """The next period begins where this one should have: lateness does not add up, unless a period is lost."""
        lost = now_s - self.due_s >= self._period_s
        self.due_s = (now_s if lost else self.due_s) + self._period_s


def _sleep_until(moment_s: float) -> None:
    time.sleep(max(moment_s - time.monotonic(), 0.0))
