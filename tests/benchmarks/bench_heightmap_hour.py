"""An hour at 10 Hz through the mapper, in lockstep and as fast as it goes, then minutes of the running node.

`VM_BENCH_HOUR_S` and `VM_BENCH_NODE_S` shorten them (3600, 120; 0 leaves the node out). The hour is a walk that is
played again and again from where it ended, so that the map rolls on over ground that it has not seen.
"""

from __future__ import annotations

import gc
import os
import resource
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from heightmap_live import STAMP_AT, play
from heightmap_recording import Recording, record
from heightmap_walks import RATE_HZ, STAND_S, hall_walk
from tqdm import tqdm

from vm_core import frames
from vm_heightmap.mapper import HeightMapper

HOUR_S = float(os.environ.get("VM_BENCH_HOUR_S", "3600"))
NODE_S = float(os.environ.get("VM_BENCH_NODE_S", "120"))
WALK_S, POSE_EVERY, SCAN_EVERY = 20.0, 5, RATE_HZ // 10
WARM_SHARE = 0.1  # of a run, before which memory may still grow


@dataclass
class Run:
    """An hour of the mapper.

    Attributes:
        memory: rows of seconds and resident MB.  grids, scans: that came out.  wanted_grids, wanted_scans: that should.
    """

    memory: list[tuple[float, float]] = field(default_factory=list)
    grids: int = 0
    wanted_grids: int = 0
    scans: int = 0
    wanted_scans: int = 0


def figures(seed: int) -> Iterator[dict]:
    """Growth of memory and what was missed."""
    run = play_hour(record(hall_walk(seed, WALK_S), seed), HOUR_S)
    hours = HOUR_S / 3600.0
    yield _figure(f"memory grown over {hours:g} h of mapping", _growth(run.memory), "MB", 2.0)
    yield _figure(f"grids missed in {hours:g} h of mapping", run.wanted_grids - run.grids, "1", 0.0)
    yield _figure(f"scans missed in {hours:g} h of mapping", run.wanted_scans - run.scans, "1", 0.0)
    if NODE_S == 0.0:
        return
    heard = play(record(hall_walk(seed, NODE_S), seed), "odometry_source:=own")
    span_s = heard.published_s[-1] - heard.published_s[0]
    missed = 1.0 - len(heard.published_s) / (50.0 * span_s)
    yield _figure(f"memory grown over {NODE_S:g} s of the running node", _growth(heard.memory), "MB", 2.0)
    yield _figure(f"grids missed in {NODE_S:g} s of the running node", max(missed, 0.0), "1", 0.001)


def play_hour(recording: Recording, seconds: float) -> Run:
    """Plays a walk again and again, each time from where the last one ended."""
    mapper, run, time_s = HeightMapper(), Run(), 0.0
    first, last = round((STAND_S + 1.0) * RATE_HZ), len(recording.true_pelvis) - RATE_HZ // 2
    last = first + (last - first) // SCAN_EVERY * SCAN_EVERY
    low_states = [recording.low_state(k) for k in range(len(recording.joint_pos))]
    pos, turn = np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])  # where this round's world lies in the map's
    bar = tqdm(total=round(seconds), unit="s", desc="mapping")
    while time_s < seconds:
        for k in range(first, last, POSE_EVERY):
            mapper.on_low_state(low_states[k])
            pelvis = recording.true_pelvis[k]
            quat = frames.quat_multiply(turn, pelvis[3:])
            mapper.on_odometry(time_s, pos + frames.quat_rotate(turn, pelvis[:3]), quat, time_s)
            if k % SCAN_EVERY == 0 and k > first:
                mapper.on_scan(_stamped(recording.scans[k // SCAN_EVERY - 1], time_s - 0.1), time_s)
                run.wanted_scans += 1
            if k % 10 == 0:
                run.grids += mapper.grid(time_s) is not None
                run.wanted_grids += 1
            time_s += POSE_EVERY / RATE_HZ
        pos, turn = _joined(pos, turn, recording.true_pelvis[last], recording.true_pelvis[first])
        bar.update(min(round(time_s), bar.total) - bar.n)
        gc.collect()
        run.memory.append((time_s, _resident_mb()))
    bar.close()
    run.scans = mapper.scans
    return run


def _joined(pos: np.ndarray, turn: np.ndarray, end: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The next round's world, in which the start lies at this round's end, turned about the vertical only."""
    yaw = frames.yaw_from_quat(frames.quat_multiply(turn, end[3:])) - frames.yaw_from_quat(start[3:])
    after = frames.quat_from_yaw(np.array(yaw))
    here = pos + frames.quat_rotate(turn, end[:3])
    moved = here - frames.quat_rotate(after, start[:3])
    return np.array([moved[0], moved[1], 0.0]), after


def _stamped(data: bytes, start_s: float) -> bytes:
    """A scan with another stamp and time base."""
    message, stamp = bytearray(data), round(start_s * 1e9)
    struct.pack_into("<iI", message, STAMP_AT, *divmod(stamp, 10**9))
    return bytes(message)


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def _growth(memory: list[tuple[float, float]]) -> float:
    """MB from the median of the run's first stretch after warming up to that of its last."""
    values = np.array([mb for _, mb in memory])
    warm, stretch = int(WARM_SHARE * len(values)), max(1, len(values) // 10)
    return float(np.median(values[-stretch:]) - np.median(values[warm : warm + stretch]))


def _figure(figure: str, value: float, unit: str, goal: float) -> dict:
    return {"figure": figure, "value": round(float(value), 4), "unit": unit, "goal": goal, "better": "lower"}
