"""Plays recordings through the mapper: with the true pose, and with its own odometry."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from heightmap_recording import IMU_EVERY, SCAN_EVERY
from heightmap_scores import Cells
from heightmap_truth import GridTruth
from heightmap_walks import RATE_HZ, STAND_S

from vm_heightmap.mapper import HeightMapper
from vm_heightmap.mapper_config import MapperConfig

POSE_EVERY = RATE_HZ // 100
OnTick = Callable[[int], None]


def with_true_pose(
    truth: GridTruth,
    config: MapperConfig | None = None,
    *,
    beside: Callable[[np.ndarray, float], None] | None = None,
    after_scan: OnTick | None = None,
) -> tuple[Cells, HeightMapper]:
    """The map alone: poses are true, points are not.

    Args:
        truth: of the recording that is played.
        config: of the mapper.
        beside: is given the points (N, 3) of each scan as our filters placed them, and its end [s].
        after_scan: is told the tick at which a scan was fused.
    """
    recording, mapper, cells = truth.recording, HeightMapper(config), Cells()
    if beside is not None:
        _tell_placed(mapper, beside)
    for k in range(0, len(recording.true_pelvis), POSE_EVERY):
        time_s, pelvis = k / RATE_HZ, recording.true_pelvis[k]
        mapper.on_low_state(recording.low_state(k))
        mapper.on_odometry(time_s, pelvis[:3], pelvis[3:], time_s)
        if not k or k % SCAN_EVERY:
            continue
        mapper.on_scan(recording.scans[k // SCAN_EVERY - 1], time_s)
        if after_scan is not None:
            after_scan(k)
        found = mapper.grid(time_s)
        if found is not None:
            cells.compare(truth, k, found[0], float(found[1].pose.pos[2]))
    return cells, mapper


def _tell_placed(mapper: HeightMapper, beside: Callable[[np.ndarray, float], None]) -> None:
    place = mapper.fusion.place

    def placed(scan, *rest):
        found = place(scan, *rest)
        beside(found[0], scan.end_s)
        return found

    mapper.fusion.place = placed  # type: ignore[method-assign]


@dataclass
class Track:
    """The own odometry beside the truth, at each scan.

    Attributes:
        estimated, true: rows of time [s], torso position [m] and wxyz; the true ones without time.
        milliseconds: what each scan took, fusion left out.
    """

    estimated: list[np.ndarray] = field(default_factory=list)
    true: list[np.ndarray] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)

    def z_drift_m(self, span_s: float = 2.0) -> np.ndarray:
        """Change of the height's error over any span [m], from when the robot walks."""
        rows = [(e[0], e[3] - t[2]) for e, t in zip(self.estimated, self.true, strict=True) if e[0] >= STAND_S]
        error = np.array([z for _, z in rows])
        steps = round(span_s * 10)
        return np.abs(error[steps:] - error[:-steps])


def with_own_odometry(truth: GridTruth, config: MapperConfig | None = None) -> tuple[Cells, HeightMapper, Track]:
    """All of it: inertial samples, joints and scans in; nothing of the truth until the grids are compared."""
    recording, cells, track = truth.recording, Cells(), Track()
    mapper = HeightMapper(replace(config or MapperConfig(), own_odometry=True))
    _time_scans(mapper, track)
    for m, time_s in enumerate(recording.imu_time_s):
        k = IMU_EVERY * m
        mapper.on_low_state(recording.low_state(k))
        mapper.on_imu(time_s, recording.imu[m, :3], recording.imu[m, 3:], time_s)
        if not k or k % SCAN_EVERY:
            continue
        mapper.on_scan(recording.scans[k // SCAN_EVERY - 1], time_s)
        found = mapper.grid(time_s)
        if found is None:
            continue
        pose = found[1].pose
        track.estimated.append(np.concatenate([[pose.time_s], pose.pos, pose.quat_wxyz]))
        track.true.append(recording.true_torso[k])
        cells.compare(truth, k, found[0], float(pose.pos[2]))
    return cells, mapper, track


def _time_scans(mapper: HeightMapper, track: Track) -> None:
    own = mapper.own
    assert own is not None
    inner = own.on_scan

    def timed(*arguments):
        start = time.perf_counter()
        result = inner(*arguments)
        if result[0].name == "MATCHED":
            track.milliseconds.append(1e3 * (time.perf_counter() - start))
        return result

    own.on_scan = timed  # type: ignore[method-assign]
