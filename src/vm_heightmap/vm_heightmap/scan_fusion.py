"""One scan into the map: placed point by point, the robot's own body left out, drift taken out, fused."""

from __future__ import annotations

import numpy as np

from vm_core import frames
from vm_heightmap.drift import DriftEstimator
from vm_heightmap.elevation_map import ElevationMap
from vm_heightmap.joint_track import JointTrack
from vm_heightmap.kinematics import soles_in_torso
from vm_heightmap.mapper_config import MapperConfig
from vm_heightmap.mount_check import MountCheck
from vm_heightmap.point_filters import FilterCounts, filter_and_place
from vm_heightmap.pose_buffer import PoseBuffer
from vm_heightmap.scan_input import Scan

KNOTS = 16
DRIFT_POINTS = 3000  # so many of a scan's, or up to twice as many, are asked how far the map has drifted
MOUNT_POINTS = 3000  # a scan of fewer says nothing about the mount


class ScanFusion:
    """Fuses scans whose poses are known.

    Attributes:
        mount: the check at the start.
        counts: of the newest scan.
        scans: how many were fused.
        end_s: when the newest of them ended, in the data's clock; -inf before.
    """

    def __init__(self, config: MapperConfig) -> None:
        self.config, self.mount = config, MountCheck(config.mount)
        self._lidar_pos = np.array(config.lidar_pos_torso)
        self._lidar_turn = frames.matrix_from_quat(np.array(config.lidar_quat_torso_wxyz))
        self.counts: FilterCounts | None = None
        self.scans, self.end_s = 0, -np.inf

    def place(self, scan: Scan, poses: PoseBuffer, joints: JointTrack) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points (N, 3) and their origins (N, 3) in the world, and the torso's pose (7,) at the scan's end."""
        every = max(1, len(scan.xyz) // self.config.most_points)
        times = np.linspace(scan.start_s, max(scan.end_s, scan.start_s + 1e-3), KNOTS)
        pos, quat = poses.at(times)
        body, ground_z = joints.body(times, pos, quat)
        knots, step_s = self._sensor_knots(pos, quat), float(times[1] - times[0])
        points, origins, self.counts = filter_and_place(
            scan.xyz[::every], scan.offset_s[::every], knots, step_s, self.config.filters, body, ground_z
        )
        self.scans += 1
        return points, origins, np.concatenate([pos[-1], quat[-1]])

    def fuse(
        self, points: np.ndarray, origins: np.ndarray, end_s: float, elevation: ElevationMap, drift: DriftEstimator
    ) -> None:
        """Shifts the map by what the points say of its drift, then adds them."""
        if drift.ground_offset_m:
            points[:, 2] -= drift.ground_offset_m
        asked = points[:: max(1, len(points) // DRIFT_POINTS)]
        elevation.shift(drift.overlap(elevation.residuals(asked, end_s, self.config.drift.rest_s)))
        elevation.add_points(points, origins, end_s)
        self.end_s = end_s

    def check_mount(self, points: np.ndarray, torso: np.ndarray, joint_pos: np.ndarray) -> bool:
        """Compares floor and soles of a robot that stands; whether the mount has just been found wrong.

        Args:
            points: (N, 3) in the world.
            torso: (7,) its pose there.
            joint_pos: (29,) [rad].
        """
        told = self.counts is not None and self.counts.kept + self.counts.out_of_bounds >= MOUNT_POINTS
        if self.mount.passed or not told:
            return False
        was, back = self.mount.problem, frames.quat_conjugate(torso[3:])[None]
        self.mount.add(frames.quat_rotate(back, points - torso[:3]), *soles_in_torso(joint_pos))
        return bool(self.mount.problem) and not was

    def problem(self) -> str:
        """What is wrong with the newest scan, empty if nothing is."""
        counts = self.counts
        if counts is None or counts.total == 0:
            return "scan without points"
        if counts.no_return == counts.total:
            return f"all {counts.total} points are no-returns (0, 0, 0)"
        if counts.no_return + counts.not_finite > 0.5 * counts.total:
            return f"{counts.no_return} no-returns and {counts.not_finite} not finite of {counts.total} points"
        if counts.kept < self.config.few_points:
            return f"only {counts.kept} of {counts.total} points usable, expected {self.config.few_points}"
        return ""

    def _sensor_knots(self, pos: np.ndarray, quat: np.ndarray) -> np.ndarray:
        turn = frames.matrix_from_quat(quat)
        sensor = pos + turn @ self._lidar_pos
        return np.concatenate([sensor, (turn @ self._lidar_turn).reshape(-1, 9), pos], axis=-1)
