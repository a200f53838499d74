"""Which kinds of courses robots are on: more of those on which they fall."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from vm_training.rl.random_courses import TERRAINS

_LEAST, _MOST = 0.5, 2.5
_PRIOR_S = 60.0
_MEMORY = 0.5


class TerrainShare:
    """Seconds and falls of each kind, and the shares that follow; goes on from segment to segment.

    Attributes:
        seconds, falls: (K,) of the kinds of TERRAINS; what lies longer ago counts less.
    """

    def __init__(self, kinds: Sequence[str] = TERRAINS) -> None:
        """Takes the kinds that robots are on at all."""
        self._wanted = np.array([kind in kinds for kind in TERRAINS])
        self.seconds = torch.zeros(len(TERRAINS), dtype=torch.float64)
        self.falls = torch.zeros(len(TERRAINS), dtype=torch.float64)

    def note(self, kind_of: torch.Tensor, failed: torch.Tensor, period_s: float) -> None:
        """Takes note of a control period of robots of kinds (N,), of whom some fell (N,)."""
        count = len(TERRAINS)
        self.seconds += period_s * torch.bincount(kind_of, minlength=count)
        self.falls += torch.bincount(kind_of[failed], minlength=count)

    def fade(self) -> None:
        """What was counts half from now on."""
        self.seconds *= _MEMORY
        self.falls *= _MEMORY

    def shares(self) -> np.ndarray:
        """(K,) of all robots, by falls a second: from half to two and a half times an equal share."""
        mean = float(self.falls.sum() / self.seconds.sum()) if self.seconds.sum() > 0.0 else 0.0
        if mean <= 0.0:
            return self._wanted / self._wanted.sum()
        rate = (self.falls + _PRIOR_S * mean) / (self.seconds + _PRIOR_S)
        weight = (rate / mean).clamp(_LEAST, _MOST).numpy() * self._wanted
        return weight / weight.sum()

    def kinds(self, count: int) -> list[int]:
        """Kinds of `count` places, by their shares; every wanted kind has one while there are enough."""
        exact = self.shares() * count
        found = np.maximum(np.floor(exact), self._wanted if count >= self._wanted.sum() else 0).astype(int)
        order = [kind for kind in np.argsort(found - exact) if self._wanted[kind]]
        i = 0
        while found.sum() < count:
            found[order[i % len(order)]] += 1
            i += 1
        while found.sum() > count:
            found[np.argmax(found)] -= 1
        return [kind for kind, times in enumerate(found) for _ in range(times)]

    def state(self) -> dict[str, torch.Tensor]:
        """For a checkpoint."""
        return {"terrain_seconds": self.seconds.clone(), "terrain_falls": self.falls.clone()}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """From a checkpoint."""
        self.seconds, self.falls = state["terrain_seconds"].clone(), state["terrain_falls"].clone()
