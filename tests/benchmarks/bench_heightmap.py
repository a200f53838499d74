"""The height map on walks whose truth is known: errors, honesty, coverage.

`VM_BENCH_SEEDS` says how many seeds of the nine walks are played (5). `--only heightmap` also names each walk's figures
on stderr. Truth is used to score and, where a figure says so, as the pose; never inside an estimate.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import heightmap_anchors
import heightmap_anybotics
import heightmap_scores
import numpy as np
from heightmap_recording import record
from heightmap_walks import all_walks

SEEDS = int(os.environ.get("VM_BENCH_SEEDS", "5"))
ANCHOR_WALKS = ("room", "stairs up low")  # both between walls, which odometry by LiDAR alone needs
STATISTICS = Path(os.environ.get("VM_BENCH_STATISTICS", "out/bench/height_grid_errors.json"))


def figures(seed: int) -> Iterator[dict]:
    """Each walk with the true pose and with the own odometry; anchors, if installed, on the first seed."""
    cells = {"true pose": heightmap_scores.Cells(), "own odometry": heightmap_scores.Cells()}
    drift, milliseconds, anchors, plain = [], [], heightmap_anchors.Anchors(), heightmap_scores.Cells()
    for own_seed in range(seed, seed + SEEDS):
        for name, make in all_walks(own_seed):
            recording = record(make(), own_seed)
            found, _ = heightmap_scores.with_true_pose(recording)
            cells["true pose"].add(found)
            _tell(own_seed, name, "true pose", heightmap_scores.summary(found))
            found, _, track = heightmap_scores.with_own_odometry(recording)
            cells["own odometry"].add(found)
            drift.append(track.z_drift_m())
            milliseconds += track.milliseconds
            shown = heightmap_scores.summary(found) | {"z_2s_p95_cm": 100 * float(np.percentile(drift[-1], 95))}
            _tell(own_seed, name, "own odometry", shown)
            if own_seed == seed and name in ANCHOR_WALKS:
                anchors.play(recording)
            if own_seed == seed:
                plain.add(heightmap_anybotics.with_true_pose(recording))
    heightmap_scores.write_statistics(cells, np.concatenate(drift), STATISTICS)
    yield from _rows(heightmap_scores.summary(cells["true pose"]), "true pose", 0.4, 2.5)
    yield from _rows(heightmap_scores.summary(cells["own odometry"]), "own odometry", 0.8, 4.0)
    z_cm = 100 * float(np.percentile(np.concatenate(drift), 95))
    yield _figure("z drift over any 2 s, own odometry: p95", z_cm, "cm", 0.4)
    yield _figure("odometry, a scan p50", np.percentile(milliseconds, 50), "ms", 12.0)
    yield _figure("odometry, a scan p99", np.percentile(milliseconds, 99), "ms", 40.0)
    for anchor, value, unit, goal in anchors.rows():
        yield _figure(f"anchor, seed {seed}: {anchor}", value, unit, goal)
    for row in _rows(heightmap_scores.summary(plain), "true pose", 0.4, 2.5):
        yield row | {"figure": f"anchor, seed {seed}: ANYbotics' fusion rule, {row['figure']}"}


def _rows(found: dict[str, float], pose: str, away_goal: float, edge_goal: float) -> Iterator[dict]:
    yield _figure(f"grid error away from edges, {pose}: MAE", found["away_mae_cm"], "cm", away_goal)
    yield _figure(f"grid error away from edges, {pose}: p95", found["away_p95_cm"], "cm", 1.5)
    yield _figure(f"grid error within 5 cm of a riser, {pose}: MAE", found["edge_mae_cm"], "cm", edge_goal)
    yield _figure(f"cells known from 4 s after the start, {pose}", found["known"], "1", 0.95, "higher")
    yield _figure(f"known cells within 3 cm or 3 sigma, {pose}", found["honest"], "1", 0.99, "higher")


def _figure(figure: str, value: float, unit: str, goal: float, better: str = "lower") -> dict:
    return {"figure": figure, "value": round(float(value), 4), "unit": unit, "goal": goal, "better": better}


def _tell(seed: int, walk: str, pose: str, found: dict[str, float]) -> None:
    words = " ".join(f"{name} {value:.3f}" for name, value in found.items())
    print(f"seed {seed} {walk:16} {pose}: {words}", file=sys.stderr, flush=True)
