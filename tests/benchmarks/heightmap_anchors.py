"""Other people's odometry on the same recordings, as far as pip has installed them, under our map.

What is missing is named on stderr and left out. Each is laid onto the truth where the robot stands before it walks. Of
its settings, and of the moments that its poses may mean, those count with which its height drifts least. Only walks
between walls count: in the open a floor without end holds nothing along it, and what goes by LiDAR alone slides there
by metres, whatever its settings; how far off it ends after free-standing stairs is told apart.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from heightmap_anchor_odometry import (
    LEAST_RANGE_M,
    LIDAR_IN_TORSO,
    MAKERS,
    MOST_RANGE_M,
    SCAN_S,
    Maker,
    pose_matrix,
)
from heightmap_recording import SCAN_EVERY, Recording
from heightmap_runs import POSE_EVERY
from heightmap_scores import COLUMNS, Cells, summary
from heightmap_store import Arrays, Store
from heightmap_truth import SETTLED_S, GridTruth
from heightmap_walks import RATE_HZ, STAND_S
from scipy.spatial.transform import Rotation, Slerp
from tqdm import tqdm

from vm_core import livox_cdr
from vm_heightmap.mapper import HeightMapper
from vm_heightmap.mapper_config import MapperConfig

BETWEEN_WALLS, IN_THE_OPEN = ("room", "stairs down"), ("stairs up",)
MOMENTS_S = (0.0, 0.05, 0.1)  # of a scan that a pose may mean: kiss-icp deskews to its start, rko_lio to its end
MOST_SECONDS = float(os.environ.get("VM_BENCH_ANCHOR_S", "60"))  # a walk, of one setting
TRACKS = Store("anchor_tracks", ("heightmap_walks", "heightmap_recording", "heightmap_anchor_"))
MAPS = Store("anchor_maps", ("heightmap_walks", "heightmap_recording", "heightmap_anchor", "vm_heightmap"))


@dataclass
class _Score:
    """Of one anchor over the walks between walls; `slid_m` is how far off it ended in the open."""

    drift_m: list[np.ndarray] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    cells: Cells = field(default_factory=Cells)
    settings: list[str] = field(default_factory=list)
    slid_m: list[float] = field(default_factory=list)


class Anchors:
    """Plays walks through each anchor and keeps height drift, time a scan, and the errors of our map under it."""

    def __init__(self) -> None:
        self._scores: dict[str, _Score] = {}
        self._missing: set[str] = set()

    def play(self, label: str, walk: str, truth: Callable[[], GridTruth]) -> None:
        """Every anchor on one walk; `truth` makes its recording and is called only if something is not kept yet."""
        if walk not in (*BETWEEN_WALLS, *IN_THE_OPEN):
            return
        for name, settings in MAKERS.items():
            score, tracks = self._scores.setdefault(name, _Score()), {}
            for setting, maker in settings.items():
                track = self._track(f"{label} {name} {setting}", maker, truth)
                if track is not None:
                    tracks[setting] = track
            if not tracks:
                continue
            setting = min(tracks, key=lambda key: np.percentile(tracks[key]["drift"], 95))
            track = tracks[setting]
            if walk in IN_THE_OPEN:
                score.slid_m.append(float(min(t["slid_m"] for t in tracks.values())))
                continue
            score.drift_m.append(track["drift"])
            score.milliseconds += track["milliseconds"].tolist()
            score.settings.append(setting)
            name_of_map = f"{label} {name} {setting}"
            found = MAPS.get(name_of_map, lambda track=track: _map_under(truth(), track))
            score.cells.add(Cells(**{column: [found[column]] for column in COLUMNS}))

    def rows(self) -> list[tuple[str, float, str, float]]:
        """Figures: name, value, unit, our goal."""
        found = []
        for name, score in self._scores.items():
            if not score.drift_m:
                continue
            p95 = 100 * float(np.percentile(np.concatenate(score.drift_m), 95))
            words = f"{name} ({'; '.join(sorted(set(score.settings)))})"
            found.append((f"{words}, z drift over 2 s p95", p95, "cm", 0.4))
            away = summary(score.cells)["away_mae_cm"]
            found.append((f"{words}, grid error away from edges under our map: MAE", away, "cm", 0.8))
            found.append((f"{words}, a scan p50", float(np.percentile(score.milliseconds, 50)), "ms", 12.0))
            if score.slid_m:
                found.append((f"{name}, off at the end of stairs without walls", 100 * max(score.slid_m), "cm", 10.0))
        return found

    def _track(self, label: str, maker: Maker, truth: Callable[[], GridTruth]) -> Arrays | None:
        try:
            found = TRACKS.get(label, lambda: _play(maker, truth().recording))
        except ImportError as error:
            if str(error) not in self._missing:
                tqdm.write(f"anchor left out: {error}")
            self._missing.add(str(error))
            return None
        if not found["complete"]:
            tqdm.write(f"{label}: given up after {MOST_SECONDS:g} s")
            return None
        return found


def _play(maker: Maker, recording: Recording) -> Arrays:
    """Poses of the LiDAR in the true world with their times, whether all scans were played, drift and time a scan."""
    step, poses, starts, milliseconds = maker(recording), [], [], []
    for data in recording.scans:
        scan = livox_cdr.decode_custom_msg(data)
        start_s, offset_s = scan.stamp_ns * 1e-9, scan.points["offset_time"] * 1e-9
        if start_s < STAND_S - 1.0:
            continue
        points = scan.xyz.astype(np.float64)
        distance = np.linalg.norm(points, axis=1)
        use = (distance > LEAST_RANGE_M) & (distance < MOST_RANGE_M)
        begun = time.process_time()  # the machine may be shared
        poses.append(np.array(step(points[use], offset_s[use], start_s)))
        milliseconds.append(1e3 * (time.process_time() - begun))
        starts.append(start_s)
        if sum(milliseconds) > 1e3 * MOST_SECONDS:
            return {"complete": np.array(False)}
    tried = [_aligned(recording, np.array(poses), np.array(starts) + moment) for moment in MOMENTS_S]
    drifts = [_z_drift(recording, *track) for track in tried]
    best = int(np.argmin([np.percentile(drift, 95) for drift in drifts]))
    times, aligned = tried[best]
    off = np.linalg.norm(aligned[-1, :3, 3] - _true_lidar(recording, times[-1])[:3, 3])
    return {
        "complete": np.array(True),
        "times": times,
        "poses": aligned,
        "drift": drifts[best],
        "milliseconds": np.array(milliseconds),
        "slid_m": np.array(off),
    }


def _true_lidar(recording: Recording, time_s: float) -> np.ndarray:
    row = recording.true_torso[min(round(time_s * RATE_HZ), len(recording.true_torso) - 1)]
    return pose_matrix(row[:3], row[3:]) @ LIDAR_IN_TORSO


def _aligned(recording: Recording, poses: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times (N,) and the LiDAR's poses (N, 4, 4) in the true world, true where the robot begins to walk."""
    at = int(np.searchsorted(times, STAND_S - SCAN_S))
    return times, _true_lidar(recording, times[at]) @ np.linalg.inv(poses[at]) @ poses


def _z_drift(recording: Recording, times: np.ndarray, poses: np.ndarray) -> np.ndarray:
    walking = times >= STAND_S - SCAN_S
    true = np.array([_true_lidar(recording, t)[2, 3] for t in times[walking]])
    error = poses[walking, 2, 3] - true
    return np.abs(error[20:] - error[:-20])


def _map_under(truth: GridTruth, track: Arrays) -> Arrays:
    """Our map with the anchor's poses, interpolated between scans, and its grids against the terrain."""
    recording, times, poses, cells = truth.recording, track["times"], track["poses"], Cells()
    turns = Slerp(times, Rotation.from_matrix(poses[:, :3, :3]))
    mapper = HeightMapper(MapperConfig(odometry_body="lidar"))
    to_torso = np.linalg.inv(LIDAR_IN_TORSO)[:3, 3]
    for k in range(int(np.ceil(times[0] * RATE_HZ / 5)) * 5, int(times[-1] * RATE_HZ), POSE_EVERY):
        time_s = k / RATE_HZ
        pos = np.array([np.interp(time_s, times, poses[:, axis, 3]) for axis in range(3)])
        turn = turns(time_s)
        mapper.on_low_state(recording.low_state(k))
        mapper.on_odometry(time_s, pos, turn.as_quat()[[3, 0, 1, 2]], time_s)
        if k % SCAN_EVERY == 0:
            mapper.on_scan(recording.scans[k // SCAN_EVERY - 1], time_s)
            found = mapper.grid(time_s)
            if time_s >= SETTLED_S and found is not None:
                cells.compare(truth, k, found[0], float((pos + turn.as_matrix() @ to_torso)[2]))
    return {name: cells.column(name) for name in COLUMNS}
