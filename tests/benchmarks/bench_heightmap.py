"""The height map on walks whose truth is known: errors, honesty, coverage, and what a scan and a grid cost.

`VM_BENCH_SEEDS` says how many seeds of the nine walks are played (5). `--only heightmap` also names each walk's figures
on stderr. Truth is used to score and, where a figure says so, as the pose; never inside an estimate.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

import heightmap_scores
import numpy as np
from heightmap_recording import record
from heightmap_walks import all_walks

from vm_core import g1, livox_cdr, unitree_cdr
from vm_heightmap.mapper import HeightMapper, MapperConfig
from vm_heightmap.warm_up import compile_now
from vm_sim.lidar import Mid360Pattern

SEEDS = int(os.environ.get("VM_BENCH_SEEDS", "5"))
POINTS = 20_000
SCANS = 100
SENSOR_HEIGHT_M = 1.22
UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])


def figures(seed: int) -> Iterator[dict]:
    """Times first, then errors over all walks and seeds."""
    start = time.perf_counter()
    compile_now(MapperConfig())
    compile_s = time.perf_counter() - start
    scan_ms, grid_ms = _timings(seed)
    yield _figure("scan decoded, placed, fused, cleared p50", np.percentile(scan_ms, 50), "ms", 2.5)
    yield _figure("scan decoded, placed, fused, cleared p99", np.percentile(scan_ms, 99), "ms", 20.0)
    yield _figure("grid sampled p50", np.percentile(grid_ms, 50), "ms", 1.0)
    yield _figure("compile at start", compile_s, "s", 30.0)
    yield from _errors(seed)


def _errors(seed: int) -> Iterator[dict]:
    all_cells = heightmap_scores.Cells()
    for own_seed in range(seed, seed + SEEDS):
        for name, make in all_walks(own_seed):
            recording = record(make(), own_seed)
            cells, _ = heightmap_scores.with_true_pose(recording)
            _tell(own_seed, name, "true pose", heightmap_scores.summary(cells))
            all_cells.add(cells)
    yield from _rows(heightmap_scores.summary(all_cells), "true pose", 0.4, 2.5)


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


def _scan(index: int, rng: np.random.Generator) -> bytes:
    """A scan of a room of 6 m with a floor, by the real pattern, from the sensor that hangs upside down."""
    directions = Mid360Pattern().directions(np.arange(index * POINTS, (index + 1) * POINTS))
    with np.errstate(divide="ignore"):
        floor = np.where(directions[:, 2] > 0, SENSOR_HEIGHT_M / directions[:, 2], np.inf)
        walls = 3.0 / np.abs(directions[:, :2]).max(axis=1)
    ranges = np.minimum(floor, walls) + rng.normal(0.0, 0.015, POINTS)
    points = np.zeros(POINTS, dtype=livox_cdr.POINT)
    for axis, values in zip("xyz", (directions * ranges[:, None]).T, strict=True):
        points[axis] = values
    points["offset_time"] = np.arange(POINTS) * 5_000
    return livox_cdr.encode_custom_msg(livox_cdr.LivoxScan(index * 10**8, "livox_frame", 0, points))


def _timings(seed: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each scan (decode, deskew, filter, fuse, clear) and of each grid."""
    rng = np.random.default_rng(seed)
    mapper = HeightMapper()
    mapper.on_low_state(unitree_cdr.new_low_state().tobytes())
    scan_ms, grid_ms = [], []
    for index in range(SCANS):
        for tick in range(11):
            time_s = 0.1 * index + 0.01 * tick
            mapper.on_odometry(time_s, np.array([0.45 * time_s, 0.0, g1.STAND_PELVIS_HEIGHT_M]), UPRIGHT, time_s)
        data = _scan(index, rng)
        start = time.perf_counter()
        mapper.on_scan(data, time_s)
        scan_ms.append(1e3 * (time.perf_counter() - start))
        start = time.perf_counter()
        mapper.grid(time_s)
        grid_ms.append(1e3 * (time.perf_counter() - start))
    assert mapper.scans == SCANS
    return scan_ms, grid_ms
