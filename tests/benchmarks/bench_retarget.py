"""Retargeting of real motion capture: a person climbs, kneels on, sits on and leaves boxes of up to 0.95 m."""

from __future__ import annotations

from collections.abc import Iterator

from shared_data import shared

from vm_reconstruction.datasets.climb_mocap import load_sequence
from vm_reconstruction.retarget import retarget

SEQUENCE = "climb/seq_0"
# (figure, key of the metrics, factor, unit, goal, better)
FIGURES = (
    ("retargeting, climb sequence 0: speed", "frames_per_s", 1.0, "1/s", 60.0, "higher"),
    ("retargeting, climb sequence 0: stance skate, mean", "stance_skate_mean_m_s", 100.0, "cm/s", 5.0, "lower"),
    ("retargeting, climb sequence 0: stance skate, 95 %", "stance_skate_p95_m_s", 100.0, "cm/s", 5.0, "lower"),
    ("retargeting, climb sequence 0: deepest penetration", "penetration_max_m", 100.0, "cm", 2.0, "lower"),
    ("retargeting, climb sequence 0: joint-limit violations", "joint_limit_violations", 1.0, "1", 0.0, "lower"),
)


def figures(seed: int) -> Iterator[dict]:
    """Nothing here is random; the seed is not used."""
    metrics = retarget(*load_sequence(shared(SEQUENCE))).metrics
    for figure, key, factor, unit, goal, better in FIGURES:
        value = round(factor * metrics[key], 4)
        yield {"figure": figure, "value": value, "unit": unit, "goal": goal, "better": better}
