"""Other people's odometry and fusion on the same recordings, as far as pip has installed them.

`pip install -r requirements/benchmark_heightmap.txt` brings them; what is missing is named on stderr and left out.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from heightmap_recording import Recording
from heightmap_walks import STAND_S

from vm_core import g1, livox_cdr
from vm_core.frames import matrix_from_quat

LEAST_RANGE_M = 1.0
Step = Callable[[np.ndarray, np.ndarray, float], np.ndarray]  # points (N, 3), offsets (N,), start -> pose (4, 4)
_LIDAR = np.eye(4)
_LIDAR[:3, :3], _LIDAR[:3, 3] = matrix_from_quat(g1.LIDAR_QUAT_IN_TORSO_WXYZ), g1.LIDAR_POS_IN_TORSO


def _kiss_icp() -> Step:
    from kiss_icp.config import KISSConfig
    from kiss_icp.kiss_icp import KissICP

    config = KISSConfig()
    config.data.min_range, config.data.max_range, config.mapping.voxel_size = LEAST_RANGE_M, 30.0, 1.0
    odometry = KissICP(config)

    def step(points: np.ndarray, offset_s: np.ndarray, _: float) -> np.ndarray:
        odometry.register_frame(points, offset_s / max(float(offset_s.max()), 1e-6))
        return odometry.last_pose

    return step


def _small_gicp() -> Step:
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


MAKERS = {"kiss-icp 1 m": _kiss_icp, "small_gicp VGICP 0.4 m, no deskew": _small_gicp}


class Anchors:
    """Plays recordings through each anchor and keeps the height drift of its sensor and its time a scan."""

    def __init__(self) -> None:
        self._drift: dict[str, list[np.ndarray]] = {}
        self._milliseconds: dict[str, list[float]] = {}

    def play(self, recording: Recording) -> None:
        """Every anchor on one recording."""
        for name, make in MAKERS.items():
            try:
                step = make()
            except ImportError as error:
                print(f"anchor {name} left out: {error}", file=sys.stderr)
                continue
            self._play(name, step, recording)

    def rows(self) -> list[tuple[str, float, str, float]]:
        """Figures: name, value, unit, our goal."""
        found = []
        for name, drift in self._drift.items():
            p95 = 100 * float(np.percentile(np.concatenate(drift), 95))
            found.append((f"{name}, z drift over 2 s p95", p95, "cm", 0.4))
            found.append((f"{name}, a scan p50", float(np.percentile(self._milliseconds[name], 50)), "ms", 12.0))
        return found

    def _play(self, name: str, step: Step, recording: Recording) -> None:
        rows = []
        first_true = None
        for data in recording.scans:
            scan = livox_cdr.decode_custom_msg(data)
            start_s, offset_s = scan.stamp_ns * 1e-9, scan.points["offset_time"] * 1e-9
            if start_s < STAND_S - 1.0:
                continue
            points = scan.xyz.astype(np.float64)
            distance = np.linalg.norm(points, axis=1)
            use = (distance > LEAST_RANGE_M) & (distance < 30.0)
            begun = time.perf_counter()
            pose = step(points[use], offset_s[use], start_s)
            self._milliseconds.setdefault(name, []).append(1e3 * (time.perf_counter() - begun))
            # a scan's pose is compared with the truth in its middle; which moment an anchor means is its own affair
            true = recording.true_torso[min(round((start_s + 0.05) * 500), len(recording.true_torso) - 1)]
            true_lidar = _matrix(true) @ _LIDAR
            first_true = true_lidar if first_true is None else first_true
            estimated = first_true @ np.asarray(pose)
            rows.append(estimated[2, 3] - true_lidar[2, 3])
        error = np.array(rows)
        self._drift.setdefault(name, []).append(np.abs(error[20:] - error[:-20]))


def _matrix(row: np.ndarray) -> np.ndarray:
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = matrix_from_quat(row[3:]), row[:3]
    return out
