"""Other people's odometry behind one signature, on one thread, each with the settings that may suit it.

`pip install --no-deps -r requirements/benchmark_heightmap.txt` brings them. By their own defaults kiss-icp deskews by
constant velocity, which a body that bobs twice a second does not have, and rko_lio takes the start as level; both are
played the other way, too. All are given points between 1 and 30 m, so none sees the robot.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from heightmap_recording import IMU_EVERY, Recording
from heightmap_walks import RATE_HZ

from vm_core import g1
from vm_core.frames import matrix_from_quat
from vm_heightmap.odometry import IMU_POS_IN_LIDAR

LEAST_RANGE_M, MOST_RANGE_M = 1.0, 30.0
SCAN_S = 0.1
Step = Callable[[np.ndarray, np.ndarray, float], np.ndarray]  # points (N, 3), offsets (N,), start -> pose (4, 4)
Maker = Callable[[Recording], Step]


def pose_matrix(pos: np.ndarray, quat_wxyz: np.ndarray) -> np.ndarray:
    """(4, 4) of a position (3,) and quaternion (4,)."""
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = matrix_from_quat(quat_wxyz), pos
    return out


LIDAR_IN_TORSO = pose_matrix(g1.LIDAR_POS_IN_TORSO, g1.LIDAR_QUAT_IN_TORSO_WXYZ)


def _kiss_icp(voxel_m: float, *, deskew: bool) -> Maker:
    def make(_: Recording) -> Step:
        from kiss_icp.config import KISSConfig
        from kiss_icp.kiss_icp import KissICP

        config = KISSConfig()
        config.data.min_range, config.data.max_range, config.data.deskew = LEAST_RANGE_M, MOST_RANGE_M, deskew
        config.mapping.voxel_size, config.registration.max_num_threads = voxel_m, 1
        odometry = KissICP(config)

        def step(points: np.ndarray, offset_s: np.ndarray, _: float) -> np.ndarray:
            odometry.register_frame(points, offset_s / max(float(offset_s.max()), 1e-6))
            return odometry.last_pose

        return step

    return make


def _genz_icp(voxel_m: float) -> Maker:
    def make(_: Recording) -> Step:
        from genz_icp.config import GenZConfig
        from genz_icp.genz_icp import GenZICP
        from genz_icp.pybind import genz_icp_pybind

        config = GenZConfig()
        config.data.min_range, config.data.max_range = LEAST_RANGE_M, MOST_RANGE_M
        config.mapping.voxel_size, config.registration.max_num_threads = voxel_m, 1
        core = GenZICP(config)._odometry  # its wrapper spends more on points for a viewer than on the pose

        def step(points: np.ndarray, offset_s: np.ndarray, _: float) -> np.ndarray:
            core._register_frame(genz_icp_pybind._Vector3dVector(points), offset_s / max(float(offset_s.max()), 1e-6))
            return np.asarray(core._last_pose())

        return step

    return make


def _rko_lio(voxel_m: float, *, levels: bool) -> Maker:
    def make(recording: Recording) -> Step:
        from rko_lio.config import LIOConfig
        from rko_lio.lio import LIO

        odometry = LIO(
            LIOConfig(
                voxel_size=voxel_m,
                min_range=LEAST_RANGE_M,
                max_range=MOST_RANGE_M,
                initialization_phase=levels,
                max_num_threads=1,
            )
        )
        imu = LIDAR_IN_TORSO.copy()
        imu[:3, 3] += LIDAR_IN_TORSO[:3, :3] @ IMU_POS_IN_LIDAR
        sent = 0

        def step(points: np.ndarray, offset_s: np.ndarray, start_s: float) -> np.ndarray:
            nonlocal sent
            end_s = start_s + SCAN_S + IMU_EVERY / RATE_HZ
            while sent < len(recording.imu_time_s) and recording.imu_time_s[sent] <= end_s:
                row, time_s = recording.imu[sent], float(recording.imu_time_s[sent])
                if time_s > start_s - 2 * SCAN_S:
                    odometry.add_imu_measurement(row[3:], row[:3], round(time_s * 1e9) + 1, imu)
                sent += 1
            odometry.register_scan(points, np.round((start_s + offset_s) * 1e9).astype(np.int64), LIDAR_IN_TORSO)
            return odometry.pose() @ LIDAR_IN_TORSO

        return step

    return make


def _small_gicp(voxel_m: float) -> Maker:
    def make(_: Recording) -> Step:
        import small_gicp

        voxels, pose = small_gicp.GaussianVoxelMap(voxel_m), None
        voxels.set_lru(horizon=1000, clear_cycle=50)

        def step(points: np.ndarray, _: np.ndarray, __: float) -> np.ndarray:
            nonlocal pose
            cloud, _tree = small_gicp.preprocess_points(points, downsampling_resolution=0.6 * voxel_m, num_threads=1)
            if pose is None:
                pose = np.eye(4)
            else:
                pose = small_gicp.align(voxels, cloud, init_T_target_source=pose, num_threads=1).T_target_source
            voxels.insert(cloud, pose)
            return pose

        return step

    return make


MAKERS: dict[str, dict[str, Maker]] = {
    "kiss-icp": {
        f"{voxel_m:g} m{', no deskew' * (not deskew)}": _kiss_icp(voxel_m, deskew=deskew)
        for voxel_m, deskew in ((1.0, True), (1.0, False), (0.5, False))
    },
    "genz-icp": {"0.5 m": _genz_icp(0.5), "0.3 m": _genz_icp(0.3)},
    "rko_lio": {
        "0.5 m": _rko_lio(0.5, levels=False),
        "0.5 m, levelled": _rko_lio(0.5, levels=True),
        "1 m, levelled": _rko_lio(1.0, levels=True),
    },
    "small_gicp VGICP, no deskew": {"0.4 m": _small_gicp(0.4), "0.2 m": _small_gicp(0.2)},
}
"""By name and setting."""
