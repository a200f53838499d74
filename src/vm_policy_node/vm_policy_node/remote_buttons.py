"""What the remote's buttons ask for: each press once, but a stop for as long as its button is held."""

from __future__ import annotations

BUTTONS = {"start": "stand", "A": "run", "X": "release", "Y": "switch", "R1": "task", "L1": "pause"}
STOP_BUTTONS = frozenset({"B", "select"})
"""Unitree's own combination L2+B has B in it."""


class RemoteButtons:
    """Remembers which buttons were down. Those that are down when it begins to look were not pressed for it."""

    def __init__(self) -> None:
        self._held: frozenset[str] | None = None

    def update(self, held: frozenset[str], *, moving: bool) -> str | None:
        """The request of the buttons that are down now, or None.

        Args:
            held: names of the buttons that are down.
            moving: the robot stands or runs, so that a held stop button counts anew.
        """
        before = held if self._held is None else self._held
        pressed, self._held = held - before, held
        if held & STOP_BUTTONS:
            return "damp" if moving or pressed & STOP_BUTTONS else None
        return next((name for button, name in BUTTONS.items() if button in pressed), None)
