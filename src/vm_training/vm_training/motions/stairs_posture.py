"""When a walk is at stairs: from the step before the first rise or drop until both feet are over the last."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from vm_training.motions.footsteps import SIDES, Gait, Stance
from vm_training.motions.route import EDGE_M

SMOOTHING_S = 0.15


def at_stairs(stances: list[Stance], times_s: np.ndarray, gait: Gait) -> np.ndarray:
    """(T,) 0 on level ground, 1 at stairs, smooth: how far lean and height are those of stairs.

    It begins one step ahead, when the edge is in a walker's sight, and needs nothing that lies farther off.

    Args:
        stances: in order of touch-down, both first ones among them.
        times_s: (T,) rising.
        gait: how long a step takes.
    """
    before = {side: next(s for s in stances if s.side == side) for side in SIDES}
    share = np.zeros(len(times_s))
    for stance in stances[len(SIDES) :]:
        if abs(stance.level_m - before[stance.side].level_m) > EDGE_M:
            share[(times_s > stance.start_s - 2.0 * gait.step_s) & (times_s <= stance.start_s)] = 1.0
        before[stance.side] = stance
    return gaussian_filter1d(share, SMOOTHING_S / (times_s[1] - times_s[0]), mode="nearest")
