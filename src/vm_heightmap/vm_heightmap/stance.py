"""Which foot stands: one whose sole has stayed in place."""

from __future__ import annotations

import numpy as np


class StanceWatch:
    """Tells once a stance that a sole has stood still for a while."""

    def __init__(self, hold_s: float = 0.15, still_m: float = 0.012) -> None:
        """A sole stands when it stays within still_m of where it came to rest, for hold_s."""
        self._hold_s, self._still_m = hold_s, still_m
        self.clear()

    def clear(self) -> None:
        """Forgets the feet."""
        self._rest: list[tuple[float, np.ndarray, bool] | None] = [None, None]

    @property
    def both_stand(self) -> bool:
        """Whether both soles have been found standing and have not moved since."""
        return all(rest is not None and rest[2] for rest in self._rest)

    def update(self, time_s: float, soles_world: np.ndarray) -> list[int]:
        """Takes both soles (2, 3) [m]; returns the feet that have just been found standing."""
        found = []
        for foot, sole in enumerate(soles_world):
            rest = self._rest[foot]
            if rest is None or np.linalg.norm(sole - rest[1]) > self._still_m:
                self._rest[foot] = (time_s, sole.copy(), False)
            elif not rest[2] and time_s - rest[0] >= self._hold_s:
                self._rest[foot] = (rest[0], rest[1], True)
                found.append(foot)
        return found
