"""The running node on real topics: how steadily grids come, and how old the newest scan in them is.

35 s of physical walking with each source of poses: LiDAR 10 Hz (20,000 points), inertial unit 250 Hz, LowState
500 Hz. Moments are those at which the DDS writer sent. Needs an idle machine; on a loaded one it measures the load.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from heightmap_live import Heard, ages_ms, intervals_ms, play
from heightmap_recording import record
from heightmap_walks import STAND_S, hall_walk

WALK_S = 35.0  # twice, with recording and starts: under two minutes
SETTLED_S = STAND_S + 3.0  # the grid's schedule has found the scans' by then
PERIOD_MS = 20.0


def figures(seed: int) -> Iterator[dict]:
    """Jitter and age with poses from a topic, and with the own odometry."""
    recording = record(hall_walk(seed, WALK_S), seed)
    for source in ("topic", "own"):
        yield from rows(play(recording, f"odometry_source:={source}"), f"{source} odometry")


def rows(heard: Heard, words: str) -> Iterator[dict]:
    """Figures of a run, its start left out."""
    settled = np.array(heard.published_s) > heard.published_s[0] + SETTLED_S
    late = np.abs(intervals_ms(heard) - PERIOD_MS)[settled[1:]]
    ages = ages_ms(heard)[-int(settled.sum()) :]
    span_s = heard.published_s[-1] - heard.published_s[0]
    (wall_0, used_0), (wall_1, used_1) = heard.processor[round(SETTLED_S)], heard.processor[-1]
    yield _figure(f"processor time a second, {words}", (used_1 - used_0) / (wall_1 - wall_0), "1", 0.5)
    yield _figure(f"grids a second, {words}", (len(heard.published_s) - 1) / span_s, "Hz", 50.0, "higher")
    yield _figure(f"50 Hz jitter p50, {words}", np.percentile(late, 50), "ms", 1.0)
    yield _figure(f"50 Hz jitter p99, {words}", np.percentile(late, 99), "ms", 3.0)
    yield _figure(f"age of the newest scan in a grid p50, {words}", np.percentile(ages, 50), "ms", 60.0)
    yield _figure(f"age of the newest scan in a grid p99, {words}", np.percentile(ages, 99), "ms", 100.0)


def _figure(figure: str, value: float, unit: str, goal: float, better: str = "lower") -> dict:
    return {"figure": figure, "value": round(float(value), 3), "unit": unit, "goal": goal, "better": better}
