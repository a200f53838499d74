"""How often things come."""

from __future__ import annotations

from collections import deque


class Rates:
    """Rates over the last events of each kind."""

    def __init__(self, most: int = 50, forget_s: float = 2.0) -> None:
        """Keeps `most` events of a kind; what came longer than forget_s ago counts no more."""
        self._most, self._forget_s = most, forget_s
        self._events: dict[str, deque[float]] = {}

    def note(self, kind: str, now_s: float) -> None:
        """An event of this kind happened."""
        self._events.setdefault(kind, deque(maxlen=self._most)).append(now_s)

    def hz(self, now_s: float) -> dict[str, float]:
        """Events a second by kind; 0 for what has stopped."""
        found = {}
        for kind, events in self._events.items():
            recent = [at for at in list(events) if now_s - at <= self._forget_s]
            span = recent[-1] - recent[0] if len(recent) > 1 else 0.0
            found[kind] = (len(recent) - 1) / span if span > 0.0 else 0.0
        return found
