"""Keys to velocities: a key moves while it is held. Pure: time comes in with every call."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

MOVES: dict[str, tuple[int, float]] = {
    "w": (0, 1.0),
    "s": (0, -1.0),
    "q": (1, 1.0),
    "e": (1, -1.0),
    "a": (2, 1.0),
    "d": (2, -1.0),
}
"""Axis of the velocity (forward, left, turn left) and direction of each key."""
REQUESTS = {"1": "stand", "2": "run", "x": "damp", "\x1b": "damp", "0": "release"}
"""Service under /policy that a key calls; Escape damps, too."""
STOP, FASTER, SLOWER = " ", "+", "-"
HELP = """\
w/s forward, back   a/d turn left, right   q/e step left, right   space stop   +/- faster, slower
1 stand   2 run   x or Escape damp   0 release   Ctrl-C ends (and stops)"""


@dataclass
class KeyboardTeleop:
    """The velocity that held keys ask for.

    A terminal tells of keys that go down, again and again while they are held, and never of their release: a key
    counts as held for `hold_s` after it was last told of. The first repeat comes late, so the first press counts for
    longer.

    Attributes:
        speed: of each axis at full factor: (3,) [m/s, m/s, rad/s].
        hold_s: longest pause between two repeats of a held key.
        first_hold_s: longest pause before the first repeat.
        factor: share of the speed, changed by + and -.
    """

    speed: tuple[float, float, float] = (0.5, 0.2, 0.4)
    hold_s: float = 0.15
    first_hold_s: float = 0.6
    factor: float = 1.0
    _until_s: dict[str, float] = field(default_factory=dict)

    def on_key(self, key: str, now_s: float) -> str:
        """Takes one key; returns the request that it stands for, or nothing."""
        if key in MOVES:
            held = now_s <= self._until_s.get(key, -math.inf)
            axis, direction = MOVES[key]
            opposite = next(k for k, move in MOVES.items() if move == (axis, -direction))
            self._until_s.pop(opposite, None)
            self._until_s[key] = now_s + (self.hold_s if held else self.first_hold_s)
        elif key in (FASTER, SLOWER):
            self.factor = float(np.clip(self.factor + (0.1 if key == FASTER else -0.1), 0.1, 2.0))
        elif key == STOP or REQUESTS.get(key) == "damp":
            self._until_s.clear()
        return REQUESTS.get(key, "")

    def velocity(self, now_s: float) -> np.ndarray:
        """(3,) [m/s, m/s, rad/s]; zero once every key is up."""
        self._until_s = {key: until for key, until in self._until_s.items() if now_s <= until}
        wish = np.zeros(3)
        for key in self._until_s:
            axis, direction = MOVES[key]
            wish[axis] = direction * self.speed[axis] * self.factor
        return wish
