"""Walking commands of a long day: segments of a few seconds, with rests, the same for the same seed."""

from __future__ import annotations

import numpy as np

from vm_core.errors import VmError

SEGMENT_S = 5.0
_STATES = ("stand", "walk", "turn", "sideways", "back")
_CHANCES = (0.25, 0.4, 0.15, 0.1, 0.1)


class WalkingScript:
    """Velocity (vx, vy [m/s], yaw rate [rad/s]) at a time."""

    def __init__(self, seed: int) -> None:
        if seed < 0:
            raise VmError(f"seed {seed}; expected 0 or more")
        self._seed = seed

    def __call__(self, now_s: float) -> tuple[float, float, float]:
        """The wish at a time [s]."""
        rng = np.random.default_rng([self._seed, int(now_s / SEGMENT_S)])
        kind, share = str(rng.choice(_STATES, p=_CHANCES)), 0.4 + 0.5 * float(rng.random())
        side = 1.0 if rng.random() < 0.5 else -1.0
        return {
            "stand": (0.0, 0.0, 0.0),
            "walk": (0.6 * share, 0.0, 0.0),
            "turn": (0.2, 0.0, 0.2 * side * share),
            "sideways": (0.0, 0.2 * side * share, 0.0),
            "back": (-0.3 * share, 0.0, 0.0),
        }[kind]

    def rests(self, now_s: float) -> bool:
        """Whether a segment of rest has gone on for two seconds."""
        return self(now_s) == (0.0, 0.0, 0.0) and now_s % SEGMENT_S > 4.0
