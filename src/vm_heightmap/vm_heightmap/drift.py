"""How far the map has moved away from the world in height: by new points over old ones, and by standing feet on it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class DriftConfig:
    """When there is evidence, and how fast it is followed.

    Attributes:
        least_points: fewer points over rested cells are no evidence.
        rest_s: cells seen later have moved along already.
        deadband_m: less is noise; a map without drift must not move.
        gain: share of an offset that one scan takes out.
        most_m: largest sum of what is taken out by one run of drift, and of the offset of the feet.
        feet: standing phases of which the median is taken.
        feet_deadband_m, feet_gain: as above, for an offset between the map and the feet that stays.
    """

    least_points: int = 100
    rest_s: float = 0.5
    deadband_m: float = 0.002
    gain: float = 0.4
    most_m: float = 0.10
    feet: int = 8
    feet_deadband_m: float = 0.004
    feet_gain: float = 0.3


@dataclass
class DriftEstimator:
    """Keeps what it has taken out.

    Attributes:
        taken_out_m: sum of all shifts by overlap.
        ground_offset_m: how far points seem to lie above what the feet stand on (grass, a mount that is off).
    """

    config: DriftConfig = field(default_factory=DriftConfig)

    def __post_init__(self) -> None:
        self.taken_out_m, self.ground_offset_m = 0.0, 0.0
        self._steps: deque[float] = deque(maxlen=self.config.feet)

    def overlap(self, residuals: np.ndarray) -> float:
        """Shift of the whole map [m] for how far a scan's points lie above rested surfaces (M,) [m]; 0: no evidence."""
        c = self.config
        if len(residuals) < c.least_points:
            return 0.0
        offset = float(residuals.mean())
        spread = float(residuals.std()) / np.sqrt(len(residuals))
        if abs(offset) < max(c.deadband_m, 4.0 * spread):
            return 0.0
        shift = float(np.clip(c.gain * offset, -0.02, 0.02))
        self.taken_out_m += shift
        return shift

    def foot(self, above_map_m: float) -> float:
        """Shift of the map [m] after a standing phase in which the sole was so far above the map under it."""
        c = self.config
        if abs(above_map_m) > c.most_m:
            return 0.0
        self._steps.append(above_map_m)
        if len(self._steps) < c.feet // 2:
            return 0.0
        offset = float(np.median(self._steps))
        if abs(offset) < c.feet_deadband_m:
            return 0.0
        shift = c.feet_gain * offset
        if abs(self.ground_offset_m - shift) > c.most_m:
            return 0.0
        self.ground_offset_m -= shift
        for _ in range(len(self._steps)):  # what is remembered was measured before the shift
            self._steps.append(self._steps.popleft() - shift)
        return shift
