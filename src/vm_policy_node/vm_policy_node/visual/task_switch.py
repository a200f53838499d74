"""The run bit: whether a visual policy does its task or stands still. It begins at 0, and only a person sets it."""

from __future__ import annotations

from dataclasses import dataclass

IN_VIEW = 0.003
"""Share of the picture that must stand on the floor for something to be in view."""


@dataclass
class TaskSwitch:
    """Feed it what is in view once a period.

    Attributes:
        on: the bit.
        lost_s: with nothing in view for so long the bit goes back to 0.
        reason: why it went back by itself; empty: a person did it, or nobody.
    """

    lost_s: float = 5.0
    on: bool = False
    reason: str = ""
    _seen_s: float = 0.0

    def set(self, on: bool, now_s: float) -> None:
        """A person's wish."""
        self.on, self.reason, self._seen_s = on, "", now_s

    def update(self, standing: float | None, now_s: float) -> None:
        """What share of the newest picture stands on the floor; None: no new picture."""
        if standing is not None and standing >= IN_VIEW:
            self._seen_s = now_s
        if self.on and now_s - self._seen_s >= self.lost_s:
            self.on, self.reason = False, f"nothing in view for {self.lost_s:.1f} s: standing still"
