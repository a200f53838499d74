"""What a scan and a grid cost the height map, in processor time, so that others on the machine count less.

How fast the machine is at the moment is told by a plain pass over as many points, measured between the scans.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numba
import numpy as np

from vm_core import g1, livox_cdr, unitree_cdr
from vm_core.height_grid import CellSource, HeightGridSpec
from vm_heightmap.cell_sampling import sample_cells
from vm_heightmap.elevation_map import ElevationMap
from vm_heightmap.mapper import HeightMapper
from vm_heightmap.mapper_config import MapperConfig
from vm_heightmap.warm_up import compile_now
from vm_sim.lidar import Mid360Pattern

POINTS = 20_000
SCANS = 100
SENSOR_HEIGHT_M = 1.22
UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])


def figures(seed: int) -> Iterator[dict]:
    """Times of a scan, of a grid, of the query inside it, and of compiling."""
    start = time.perf_counter()
    compile_now(MapperConfig())
    compile_s = time.perf_counter() - start
    scan_ms, fuse_ms, grid_ms, plain_ms = _timings(seed)
    yield _figure("scan fused and cleared p50", np.percentile(fuse_ms, 50), "ms", 2.5)
    yield _figure("scan decoded, placed, fused, cleared p50", np.percentile(scan_ms, 50), "ms", 2.5)
    yield _figure("the same as multiple of a plain pass", np.median(scan_ms) / np.median(plain_ms), "1", 50.0)
    yield _figure("scan decoded, placed, fused, cleared p99", np.percentile(scan_ms, 99), "ms", 20.0)
    yield _figure("grid sampled p50", np.percentile(grid_ms, 50), "ms", 1.0)
    yield _figure("11x11 query alone p50", _query_us(seed), "us", 10.0)
    yield _figure("compile at start", compile_s, "s", 30.0)


def _figure(figure: str, value: float, unit: str, goal: float) -> dict:
    return {"figure": figure, "value": round(float(value), 4), "unit": unit, "goal": goal, "better": "lower"}


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


def _query_us(seed: int) -> float:
    """Microseconds of reading 121 cells, and where they lie, out of a full map with steps of 15 cm in it."""
    rng = np.random.default_rng(seed)
    elevation = ElevationMap()
    xy = rng.uniform(-1.0, 1.0, (100_000, 2))
    steps = 0.15 * np.floor((xy[:, 0] + 1.0) / 0.3)
    points = np.column_stack([xy, steps + rng.normal(0.0, 0.01, len(xy))])
    elevation.move_to(np.zeros(2))
    elevation.add_points(points, points + [0.0, 0.0, 1.0], 0.0)
    offsets, axes = HeightGridSpec().cell_offsets_xy, np.ascontiguousarray(np.eye(3)[:, :2])
    out, source, places = np.zeros((121, 3)), np.zeros(121, dtype=np.uint8), np.zeros((121, 3))
    arrays, taken = elevation.view.arrays, []
    for _ in range(2000):
        start = time.thread_time()
        sample_cells(offsets, np.zeros(3), axes, arrays, 1.0, out, source, places)
        taken.append(1e6 * (time.thread_time() - start))
    assert np.all(source == CellSource.SEEN)
    return float(np.percentile(taken, 50))


def _timings(seed: int) -> tuple[list[float], list[float], list[float], list[float]]:
    """Milliseconds of each scan (decode, deskew, filter, fuse, clear), of fusing alone, of each grid, and plain."""
    rng = np.random.default_rng(seed)
    mapper = HeightMapper()
    mapper.on_low_state(unitree_cdr.new_low_state().tobytes())
    scan_ms, grid_ms, plain_ms, means = [], [], [], np.zeros((200, 200), dtype=np.float32)
    fuse_ms: list[float] = []
    mapper.fusion.fuse = _timed(mapper.fusion.fuse, fuse_ms)  # type: ignore[method-assign]
    for index in range(SCANS):
        for tick in range(11):
            time_s = 0.1 * index + 0.01 * tick
            mapper.on_odometry(time_s, np.array([0.45 * time_s, 0.0, g1.STAND_PELVIS_HEIGHT_M]), UPRIGHT, time_s)
        data = _scan(index, rng)
        _timed(mapper.on_scan, scan_ms)(data, time_s)
        _timed(mapper.grid, grid_ms)(time_s)
        _timed(_plain_pass, plain_ms)(livox_cdr.decode_custom_msg(data).xyz, np.eye(3), means)
    assert mapper.scans == SCANS
    return scan_ms, fuse_ms, grid_ms, plain_ms


def _timed(call: Callable, milliseconds: list[float]) -> Callable:
    def timed(*arguments):
        start = time.thread_time()
        result = call(*arguments)
        milliseconds.append(1e3 * (time.thread_time() - start))
        return result

    return timed


@numba.njit(cache=True)
def _plain_pass(points, turn, means):
    """The least that a map could do: turn each point, and move one cell's mean."""
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        u = turn[0, 0] * x + turn[0, 1] * y + turn[0, 2] * z
        v = turn[1, 0] * x + turn[1, 1] * y + turn[1, 2] * z
        w = turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * z
        ix, iy = int(np.floor(50.0 * u)) + 100, int(np.floor(50.0 * v)) + 100
        if ix >= 0 and iy >= 0 and ix < 200 and iy < 200:
            means[ix, iy] += np.float32(0.1) * (np.float32(w) - means[ix, iy])
