"""How long a scan, a grid and a start take in the height map: `python tests/benchmarks/bench_heightmap.py`."""

from __future__ import annotations

import json
import platform
import time

import numpy as np

from vm_core import g1, livox_cdr, unitree_cdr
from vm_heightmap.mapper import HeightMapper, MapperConfig, compile_now
from vm_sim.lidar import Mid360Pattern

SEED = 0
POINTS = 20_000
SCANS = 100
SENSOR_HEIGHT_M = 1.22
UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])


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


def figures(seed: int = SEED) -> list[dict]:
    """The benchmark's figures, one record each."""
    start = time.perf_counter()
    compile_now(MapperConfig())
    start_s = time.perf_counter() - start
    scan_ms, grid_ms = _timings(seed)
    rows = [
        ("scan_fused_p50", float(np.percentile(scan_ms, 50)), "ms", 5.0),
        ("scan_fused_p99", float(np.percentile(scan_ms, 99)), "ms", 20.0),
        ("grid_sampled_p50", float(np.percentile(grid_ms, 50)), "ms", 1.0),
        ("compile_at_start", start_s, "s", 30.0),
    ]
    machine = f"{platform.machine()} {platform.system()}, Python {platform.python_version()}"
    shared = {"better": "lower", "seed": seed, "machine": machine}
    return [
        {"bench": "heightmap", "figure": name, "value": round(value, 4), "unit": unit, "goal": goal, **shared}
        for name, value, unit, goal in rows
    ]


if __name__ == "__main__":
    for row in figures():
        print(json.dumps(row))
