"""Plays recordings through the mapper and compares its grids with the terrain, cell by cell."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from heightmap_recording import Recording
from heightmap_walks import RATE_HZ, STAND_S

from vm_core import unitree_cdr
from vm_core.atomic_files import atomic_path
from vm_core.height_grid import CellSource, HeightGridSpec, cell_points_world
from vm_heightmap.mapper import HeightMapper
from vm_heightmap.mapper_config import MapperConfig

EDGE_M = 0.05
EDGE_RISE_M = 0.03
SETTLED_S = STAND_S + 4.0
HONEST_M, HONEST_SIGMA = 0.03, 3.0


@dataclass
class Cells:
    """Columns over all cells of all grids compared, one grid a scan."""

    error_m: list[np.ndarray] = field(default_factory=list)
    std_m: list[np.ndarray] = field(default_factory=list)
    edge: list[np.ndarray] = field(default_factory=list)
    edge_distance_m: list[np.ndarray] = field(default_factory=list)
    source: list[np.ndarray] = field(default_factory=list)
    age_s: list[np.ndarray] = field(default_factory=list)

    def add(self, other: Cells) -> None:
        for name, columns in vars(self).items():
            columns.extend(getattr(other, name))

    def column(self, name: str) -> np.ndarray:
        return np.concatenate(getattr(self, name))


def compare(cells: Cells, sample, torso_height_estimated: float, torso_true: np.ndarray, scene) -> None:
    """Adds a grid's cells: the policy's value is torso height minus terrain height, so that is what is compared."""
    xy = cell_points_world(HeightGridSpec(), torso_true[:3], torso_true[3:])[:, :2]
    value = torso_height_estimated - sample.height
    truth = torso_true[2] - scene.height_at(xy)
    distance = _distance_to_edge(scene, xy)
    cells.error_m.append(truth - value)  # positive: the map is too high
    cells.std_m.append(np.sqrt(sample.variance))
    cells.edge_distance_m.append(distance)
    cells.edge.append(distance <= EDGE_M)
    cells.source.append(sample.source)
    cells.age_s.append(sample.age_s)


def _distance_to_edge(scene, xy: np.ndarray) -> np.ndarray:
    """Distance (N,) [m] to the nearest place where the terrain's height jumps, up to 0.2 m in steps of 1 cm."""
    here, found = scene.height_at(xy), np.full(len(xy), 0.2)
    turns = np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)
    ring = np.stack([np.cos(turns), np.sin(turns)], axis=-1)
    for radius in np.arange(0.2, 0.0, -0.01):
        around = np.stack([scene.height_at(xy + radius * d) for d in ring])
        found[np.any(np.abs(around - here) > EDGE_RISE_M, axis=0)] = radius
    return found


def low_state_bytes(joint_pos: np.ndarray, joint_vel: np.ndarray) -> bytes:
    record = unitree_cdr.new_low_state()
    unitree_cdr.set_motors(record, "q", joint_pos)
    unitree_cdr.set_motors(record, "dq", joint_vel)
    return record.tobytes()


def with_true_pose(recording: Recording, config: MapperConfig | None = None) -> tuple[Cells, HeightMapper]:
    """The map alone: poses are true, points are not."""
    mapper, cells = HeightMapper(config), Cells()
    for k in range(0, len(recording.true_pelvis), RATE_HZ // 100):
        time_s = k / RATE_HZ
        mapper.on_low_state(low_state_bytes(recording.joint_pos[k], recording.joint_vel[k]))
        pelvis = recording.true_pelvis[k]
        mapper.on_odometry(time_s, pelvis[:3], pelvis[3:], time_s)
        if k and k % (RATE_HZ // 10) == 0:
            mapper.on_scan(recording.scans[k // (RATE_HZ // 10) - 1], time_s)
            found = mapper.grid(time_s)
            if time_s >= SETTLED_S and found is not None:
                compare(cells, found[0], float(found[1].pose.pos[2]), recording.true_torso[k], recording.walk.scene)
    return cells, mapper


@dataclass
class Track:
    """The own odometry beside the truth, at each scan.

    Attributes:
        estimated, true: rows of time [s], torso position [m] and wxyz.
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


def with_own_odometry(recording: Recording, config: MapperConfig | None = None) -> tuple[Cells, HeightMapper, Track]:
    """All of it: inertial samples, joints and scans in; nothing of the truth until the grids are compared."""
    mapper, cells, track = HeightMapper(replace(config or MapperConfig(), own_odometry=True)), Cells(), Track()
    assert mapper.own is not None
    _time_calls(mapper, track)
    for m, time_s in enumerate(recording.imu_time_s):
        k = 2 * m
        mapper.on_low_state(low_state_bytes(recording.joint_pos[k], recording.joint_vel[k]))
        mapper.on_imu(time_s, recording.imu[m, :3], recording.imu[m, 3:], time_s)
        if not k or k % (RATE_HZ // 10):
            continue
        mapper.on_scan(recording.scans[k // (RATE_HZ // 10) - 1], time_s)
        found = mapper.grid(time_s)
        if found is None:
            continue
        pose = found[1].pose
        track.estimated.append(np.concatenate([[pose.time_s], pose.pos, pose.quat_wxyz]))
        track.true.append(recording.true_torso[k])
        if time_s >= SETTLED_S:
            compare(cells, found[0], float(pose.pos[2]), recording.true_torso[k], recording.walk.scene)
    return cells, mapper, track


def _time_calls(mapper: HeightMapper, track: Track) -> None:
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


def summary(cells: Cells) -> dict[str, float]:
    """Shares and mean absolute errors [cm]."""
    error, edge, source = cells.column("error_m"), cells.column("edge"), cells.column("source")
    known = source != CellSource.UNKNOWN
    std = cells.column("std_m")
    off = np.abs(error)
    honest = (off <= HONEST_M) | (off <= HONEST_SIGMA * std)
    plain = known & ~edge
    return {
        "known": float(known.mean()),
        "away_mae_cm": 100 * float(off[plain].mean()),
        "away_p95_cm": 100 * float(np.percentile(off[plain], 95)),
        "edge_mae_cm": 100 * float(off[known & edge].mean()) if np.any(known & edge) else float("nan"),
        "bias_cm": 100 * float(error[plain].mean()),
        "honest": float(honest[known].mean()),
        "std_away_cm": 100 * float(np.sqrt(np.mean(std[plain] ** 2))),
    }


def statistics(cells: Cells, z_drift_m: np.ndarray) -> dict:
    """What a noise model needs: errors by age and by distance to an edge, gross errors, unknown cells, drift."""
    error, known = cells.column("error_m"), cells.column("source") != CellSource.UNKNOWN
    distance, age = cells.column("edge_distance_m"), cells.column("age_s")
    away = known & (distance > EDGE_M)
    return {
        "cells": int(len(error)),
        "unknown_share": float(1.0 - known.mean()),
        "filled_share": float(np.mean(cells.column("source") == CellSource.FILLED)),
        "away_from_edges": _spread(error[away]),
        "by_age_s": _binned(error, age, away, (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)),
        "by_edge_distance_m": _binned(error, distance, known, (0.0, 0.015, 0.025, 0.035, 0.055, 0.105, 0.205)),
        "z_drift_2s_m": {"p50": float(np.percentile(z_drift_m, 50)), "p95": float(np.percentile(z_drift_m, 95))},
    }


def write_statistics(cells: dict[str, Cells], z_drift_m: np.ndarray, path: Path) -> None:
    """Writes the statistics of each kind of pose as JSON."""
    found = {pose: statistics(part, z_drift_m) for pose, part in cells.items()}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(found, indent=1) + "\n")


def _binned(error: np.ndarray, value: np.ndarray, use: np.ndarray, edges: tuple[float, ...]) -> list[dict]:
    rows = []
    for low, high in pairwise(edges):
        inside = use & (value >= low) & (value < high)
        if inside.sum() >= 50:
            rows.append({"from": low, "to": high, **_spread(error[inside])})
    return rows


def _spread(error: np.ndarray) -> dict[str, float]:
    off = np.abs(error)
    return {
        "cells": int(len(error)),
        "bias_m": round(float(error.mean()), 5),
        "std_m": round(float(error.std()), 5),
        "mae_m": round(float(off.mean()), 5),
        "p95_m": round(float(np.percentile(off, 95)), 5),
        "share_over_5cm": round(float(np.mean(off > 0.05)), 5),
    }
