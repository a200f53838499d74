"""Other people's odometry on the same recordings, as far as pip has installed them, under our map.

`pip install --no-deps -r requirements/benchmark_heightmap.txt` brings them; what is missing is named on stderr and left
out. Each is told the truth of its first pose, and of two moments that it may mean (middle and end of a scan) the one
that suits it better counts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from heightmap_recording import IMU_EVERY, Recording
from heightmap_scores import SETTLED_S, Cells, compare, low_state_bytes, summary
from heightmap_walks import RATE_HZ, STAND_S
from scipy.spatial.transform import Rotation, Slerp

from vm_core import g1, livox_cdr
from vm_core.frames import matrix_from_quat
from vm_heightmap.mapper import HeightMapper
from vm_heightmap.mapper_config import MapperConfig
from vm_heightmap.odometry import IMU_POS_IN_LIDAR

LEAST_RANGE_M, MOST_RANGE_M = 1.0, 30.0
SCAN_S = 0.1
Step = Callable[[np.ndarray, np.ndarray, float], np.ndarray]  # points (N, 3), offsets (N,), start -> pose (4, 4)
Maker = Callable[[Recording], Step]


def _pose(pos: np.ndarray, quat_wxyz: np.ndarray) -> np.ndarray:
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = matrix_from_quat(quat_wxyz), pos
    return out


_LIDAR = _pose(g1.LIDAR_POS_IN_TORSO, g1.LIDAR_QUAT_IN_TORSO_WXYZ)


def _kiss_icp(_: Recording) -> Step:
    from kiss_icp.config import KISSConfig
    from kiss_icp.kiss_icp import KissICP

    config = KISSConfig()
    config.data.min_range, config.data.max_range, config.mapping.voxel_size = LEAST_RANGE_M, MOST_RANGE_M, 1.0
    odometry = KissICP(config)

    def step(points: np.ndarray, offset_s: np.ndarray, _: float) -> np.ndarray:
        odometry.register_frame(points, offset_s / max(float(offset_s.max()), 1e-6))
        return odometry.last_pose

    return step


def _genz_icp(_: Recording) -> Step:
    from genz_icp.config import GenZConfig
    from genz_icp.genz_icp import GenZICP

    config = GenZConfig()
    config.data.min_range, config.data.max_range, config.mapping.voxel_size = LEAST_RANGE_M, MOST_RANGE_M, 0.5
    odometry = GenZICP(config)

    def step(points: np.ndarray, offset_s: np.ndarray, _: float) -> np.ndarray:
        odometry.register_frame(points, offset_s / max(float(offset_s.max()), 1e-6))
        return odometry.last_pose

    return step


def _rko_lio(recording: Recording) -> Step:
    from rko_lio.config import LIOConfig
    from rko_lio.lio import LIO

    odometry = LIO(LIOConfig(voxel_size=0.5, min_range=LEAST_RANGE_M, max_range=MOST_RANGE_M))
    imu = _LIDAR.copy()
    imu[:3, 3] += _LIDAR[:3, :3] @ IMU_POS_IN_LIDAR
    sent = 0

    def step(points: np.ndarray, offset_s: np.ndarray, start_s: float) -> np.ndarray:
        nonlocal sent
        end_s = start_s + SCAN_S + IMU_EVERY / RATE_HZ
        while sent < len(recording.imu_time_s) and recording.imu_time_s[sent] <= end_s:
            row = recording.imu[sent]
            odometry.add_imu_measurement(row[3:], row[:3], _ns(recording.imu_time_s[sent]), imu)
            sent += 1
        odometry.register_scan(points, np.round((start_s + offset_s) * 1e9).astype(np.int64), _LIDAR)
        return odometry.pose() @ _LIDAR

    return step


def _ns(time_s: float) -> int:
    return round(float(time_s) * 1e9) + 1


def _small_gicp(_: Recording) -> Step:
    import small_gicp

    voxels, state = small_gicp.GaussianVoxelMap(0.4), {"pose": np.eye(4), "first": True}
    voxels.set_lru(horizon=1000, clear_cycle=50)

    def step(points: np.ndarray, _: np.ndarray, __: float) -> np.ndarray:
        cloud, _tree = small_gicp.preprocess_points(points, downsampling_resolution=0.25, num_threads=1)
        if not state["first"]:
            found = small_gicp.align(voxels, cloud, init_T_target_source=state["pose"], num_threads=1)
            state["pose"] = found.T_target_source
        state["first"] = False
        voxels.insert(cloud, state["pose"])
        return state["pose"]

    return step


MAKERS: dict[str, Maker] = {
    "kiss-icp 1 m": _kiss_icp,
    "genz-icp 0.5 m": _genz_icp,
    "rko_lio 0.5 m": _rko_lio,
    "small_gicp VGICP 0.4 m, no deskew": _small_gicp,
}


@dataclass
class _Score:
    drift_m: list[np.ndarray] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    cells: Cells = field(default_factory=Cells)


class Anchors:
    """Plays recordings through each anchor and keeps height drift, time a scan, and the errors of our map under it."""

    def __init__(self) -> None:
        self._scores: dict[str, _Score] = {}
        self._missing: set[str] = set()

    def play(self, recording: Recording) -> None:
        """Every anchor on one recording."""
        for name, make in MAKERS.items():
            try:
                step = make(recording)
            except ImportError as error:
                if name not in self._missing:
                    print(f"anchor {name} left out: {error}", file=sys.stderr)
                self._missing.add(name)
                continue
            _play(self._scores.setdefault(name, _Score()), step, recording)

    def rows(self) -> list[tuple[str, float, str, float]]:
        """Figures: name, value, unit, our goal."""
        found = []
        for name, score in self._scores.items():
            p95 = 100 * float(np.percentile(np.concatenate(score.drift_m), 95))
            cells = summary(score.cells)
            found.append((f"{name}, z drift over 2 s p95", p95, "cm", 0.4))
            found.append((f"{name}, grid error away from edges under our map: MAE", cells["away_mae_cm"], "cm", 0.8))
            found.append((f"{name}, a scan p50", float(np.percentile(score.milliseconds, 50)), "ms", 12.0))
        return found


def _play(score: _Score, step: Step, recording: Recording) -> None:
    poses, starts = [], []
    for data in recording.scans:
        scan = livox_cdr.decode_custom_msg(data)
        start_s, offset_s = scan.stamp_ns * 1e-9, scan.points["offset_time"] * 1e-9
        if start_s < STAND_S - 1.0:
            continue
        points = scan.xyz.astype(np.float64)
        distance = np.linalg.norm(points, axis=1)
        use = (distance > LEAST_RANGE_M) & (distance < MOST_RANGE_M)
        begun = time.perf_counter()
        poses.append(np.asarray(step(points[use], offset_s[use], start_s)))
        score.milliseconds.append(1e3 * (time.perf_counter() - begun))
        starts.append(start_s)
    tried = [_aligned(recording, np.array(poses), np.array(starts) + moment) for moment in (0.5 * SCAN_S, SCAN_S)]
    drifts = [_z_drift(recording, *track) for track in tried]
    best = int(np.argmin([np.percentile(drift, 95) for drift in drifts]))
    score.drift_m.append(drifts[best])
    _map_under(score.cells, recording, *tried[best])


def _true_lidar(recording: Recording, time_s: float) -> np.ndarray:
    row = recording.true_torso[min(round(time_s * RATE_HZ), len(recording.true_torso) - 1)]
    return _pose(row[:3], row[3:]) @ _LIDAR


def _aligned(recording: Recording, poses: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times (N,) and the LiDAR's poses (N, 4, 4) in the true world, the first one true."""
    return times, _true_lidar(recording, times[0]) @ np.linalg.inv(poses[0]) @ poses


def _z_drift(recording: Recording, times: np.ndarray, poses: np.ndarray) -> np.ndarray:
    error = np.array([p[2, 3] - _true_lidar(recording, t)[2, 3] for t, p in zip(times, poses, strict=True)])
    return np.abs(error[20:] - error[:-20])


def _map_under(cells: Cells, recording: Recording, times: np.ndarray, poses: np.ndarray) -> None:
    """Our map with the anchor's poses, interpolated between scans, and its grids against the terrain."""
    turns = Slerp(times, Rotation.from_matrix(poses[:, :3, :3]))
    mapper = HeightMapper(MapperConfig(odometry_body="lidar"))
    to_torso = np.linalg.inv(_LIDAR)
    for k in range(int(np.ceil(times[0] * RATE_HZ / 5)) * 5, int(times[-1] * RATE_HZ), 5):
        time_s = k / RATE_HZ
        pos = np.array([np.interp(time_s, times, poses[:, axis, 3]) for axis in range(3)])
        turn = turns(time_s)
        mapper.on_low_state(low_state_bytes(recording.joint_pos[k], recording.joint_vel[k]))
        mapper.on_odometry(time_s, pos, turn.as_quat()[[3, 0, 1, 2]], time_s)
        if k % (RATE_HZ // 10) == 0:
            mapper.on_scan(recording.scans[k // (RATE_HZ // 10) - 1], time_s)
            found = mapper.grid(time_s)
            if time_s >= SETTLED_S and found is not None:
                torso_z = float((pos + turn.as_matrix() @ to_torso[:3, 3])[2])
                compare(cells, found[0], torso_z, recording.true_torso[k], recording.walk.scene)
