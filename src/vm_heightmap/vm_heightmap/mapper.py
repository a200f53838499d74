"""From messages' contents to the grid: deskews scans by the torso's poses, keeps the map, says what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vm_core import frames, g1, livox_cdr, unitree_cdr
from vm_core.errors import VmError
from vm_core.height_grid import HeightGridSpec
from vm_heightmap.elevation_map import ElevationMap, MapConfig
from vm_heightmap.grid_sampler import GridSample, sample_grid
from vm_heightmap.kinematics import soles_in_pelvis, torso_in_pelvis
from vm_heightmap.odometry import OdometryLimits, Pose, PoseBuffer, PoseVerdict
from vm_heightmap.point_filters import FilterConfig, FilterCounts, filter_and_place

KNOTS = 16
MAX_SCAN_S = 0.25
"""Offsets beyond this are damaged, not late."""


@dataclass(frozen=True)
class MapperConfig:
    """Everything that the mapper can be told.

    Attributes:
        grid, map, filters, odometry: configurations of the parts.
        lidar_pos_torso, lidar_quat_torso_wxyz: mount of the LiDAR in the torso link.
        few_points: a scan with fewer usable points is reported.
        odometry_stale_s, lidar_stale_s: older input is an error.
    """

    grid: HeightGridSpec = field(default_factory=HeightGridSpec)
    map: MapConfig = field(default_factory=MapConfig)
    filters: FilterConfig = field(default_factory=FilterConfig)
    odometry: OdometryLimits = field(default_factory=OdometryLimits)
    lidar_pos_torso: tuple[float, ...] = tuple(g1.LIDAR_POS_IN_TORSO.tolist())
    lidar_quat_torso_wxyz: tuple[float, ...] = tuple(g1.LIDAR_QUAT_IN_TORSO_WXYZ.tolist())
    few_points: int = 500
    odometry_stale_s: float = 0.1
    lidar_stale_s: float = 0.5


class HeightMapper:
    """The node without ROS. Times of data are the sender's; `now_s` is this process's monotonic clock."""

    def __init__(self, config: MapperConfig | None = None) -> None:
        self.config = config or MapperConfig()
        self.elevation = ElevationMap(self.config.map)
        self.poses = PoseBuffer(self.config.odometry)
        self.problems: dict[str, str] = {}
        self.counts: FilterCounts | None = None
        self.scans, self.bad_scans, self.dropped_scans = 0, 0, 0
        self._joint_pos: np.ndarray | None = None
        self._pending: livox_cdr.LivoxScan | None = None
        self._seeded = False
        self._odometry_at_s = self._lidar_at_s = -np.inf

    def on_low_state(self, data: bytes) -> None:
        """Takes the joints' angles from a raw LowState."""
        try:
            joint_pos = unitree_cdr.get_motors(unitree_cdr.parse_low_state(data), "q").astype(float)
        except VmError as error:
            self.problems["joints"] = str(error)
            return
        if not np.all(np.isfinite(joint_pos)):
            self.problems["joints"] = "LowState with joint angles that are not finite, dropped"
            return
        self.problems.pop("joints", None)
        self._joint_pos = joint_pos

    def on_odometry(
        self, time_s: float, pelvis_pos: np.ndarray, pelvis_quat_wxyz: np.ndarray, now_s: float
    ) -> PoseVerdict:
        """Takes a pose of the pelvis in the map's frame; a jump clears the map and seeds it again from the feet."""
        joints = np.zeros(g1.NUM_MOTORS) if self._joint_pos is None else self._joint_pos
        offset, turn = torso_in_pelvis(joints)
        torso_pos = pelvis_pos + frames.quat_rotate(pelvis_quat_wxyz, offset)
        verdict = self.poses.add(time_s, torso_pos, frames.quat_multiply(pelvis_quat_wxyz, turn))
        self._note("odometry", "" if verdict is PoseVerdict.ACCEPTED else f"pose {verdict.value}")
        if verdict in (PoseVerdict.NOT_FINITE, PoseVerdict.LATE):
            return verdict
        self._odometry_at_s = now_s
        if verdict is not PoseVerdict.ACCEPTED:
            self.elevation.clear()
            self._pending, self._seeded = None, False
        self.elevation.move_to(torso_pos[:2])
        if not self._seeded and self._joint_pos is not None:
            soles = pelvis_pos + frames.quat_rotate(pelvis_quat_wxyz, soles_in_pelvis(joints))
            self.elevation.seed(soles, time_s)
            self._seeded = True
        self._fuse_pending()
        return verdict

    def on_scan(self, data: bytes, now_s: float) -> None:
        """Takes a raw CustomMsg; bytes that are none are reported, never raised."""
        try:
            scan = livox_cdr.decode_custom_msg(data)
        except VmError as error:
            self.bad_scans += 1
            self._note("lidar", str(error))
            return
        self._lidar_at_s = now_s
        if self._pending is not None:
            self.dropped_scans += 1
        self._pending = scan
        self._fuse_pending()

    def grid(self, now_s: float) -> tuple[GridSample, Pose] | None:
        """The grid at the freshest pose, or None before the first one; ages count up to now_s."""
        pose = self.poses.newest
        if pose is None:
            return None
        now_in_data_s = pose.time_s + max(0.0, now_s - self._odometry_at_s)
        return sample_grid(self.elevation, self.config.grid, pose.pos, pose.quat_wxyz, now_in_data_s), pose

    def errors(self, now_s: float) -> dict[str, str]:
        """What is wrong now, by part: `odometry`, `lidar`, `joints`; empty if nothing is."""
        found = dict(self.problems)
        if self._joint_pos is None:
            found.setdefault("joints", "no LowState yet: waist taken as straight, no seed from the feet")
        for part, at_s, limit_s in (
            ("odometry", self._odometry_at_s, self.config.odometry_stale_s),
            ("lidar", self._lidar_at_s, self.config.lidar_stale_s),
        ):
            if now_s - at_s > limit_s:
                age = f"none for {now_s - at_s:.2f} s (limit {limit_s} s)" if np.isfinite(at_s) else "none yet"
                found[part] = f"{age}; {found[part]}" if part in found else age
        return found

    def _fuse_pending(self) -> None:
        """Fuses the scan that waits as soon as the poses reach its end."""
        scan = self._pending
        if scan is None:
            return
        offset_s = scan.points["offset_time"].astype(np.float64) * 1e-9
        usable = offset_s <= MAX_SCAN_S
        start_s = scan.stamp_ns * 1e-9
        end_s = start_s + (float(offset_s[usable].max()) if usable.any() else 0.0)
        newest, oldest = self.poses.newest, self.poses.oldest
        if newest is None or oldest is None or (newest.time_s < end_s < newest.time_s + 1.0):
            return
        self._pending = None
        if not self.poses.covers(start_s, end_s):
            self.dropped_scans += 1
            span = f"{oldest.time_s:.3f}–{newest.time_s:.3f} s"
            self._note("lidar", f"scan of {start_s:.3f}–{end_s:.3f} s has no poses: odometry covers {span}")
            return
        self._fuse(scan, offset_s, start_s, end_s)

    def _fuse(self, scan: livox_cdr.LivoxScan, offset_s: np.ndarray, start_s: float, end_s: float) -> None:
        times = np.linspace(start_s, max(end_s, start_s + 1e-3), KNOTS)
        knots = self._sensor_knots(times)
        step = float(times[1] - times[0])
        points, origins, self.counts = filter_and_place(scan.xyz, offset_s, knots, step, self.config.filters)
        self.elevation.add_points(points, origins, end_s)
        self.scans += 1
        self._note("lidar", self._scan_problem(self.counts))

    def _sensor_knots(self, times_s: np.ndarray) -> np.ndarray:
        pos, quat = self.poses.at(times_s)
        sensor_pos = pos + frames.quat_rotate(quat, np.array([self.config.lidar_pos_torso]))
        sensor_quat = frames.quat_multiply(quat, np.array([self.config.lidar_quat_torso_wxyz]))
        return np.concatenate([sensor_pos, frames.matrix_from_quat(sensor_quat).reshape(-1, 9), pos], axis=-1)

    def _scan_problem(self, counts: FilterCounts) -> str:
        if counts.total == 0:
            return "scan without points"
        if counts.no_return == counts.total:
            return f"all {counts.total} points are no-returns (0, 0, 0)"
        if counts.no_return + counts.not_finite > 0.5 * counts.total:
            return f"{counts.no_return} no-returns and {counts.not_finite} not finite of {counts.total} points"
        if counts.kept < self.config.few_points:
            return f"only {counts.kept} of {counts.total} points usable, expected {self.config.few_points}"
        return ""

    def _note(self, part: str, problem: str) -> None:
        if problem:
            self.problems[part] = problem
        else:
            self.problems.pop(part, None)


def compile_now(config: MapperConfig) -> None:
    """Compiles everything once, so that no message ever waits for the compiler."""
    mapper = HeightMapper(config)
    mapper.on_low_state(unitree_cdr.new_low_state().tobytes())
    points = np.zeros(64, dtype=livox_cdr.POINT)
    points["x"], points["z"] = 1.5, np.linspace(0.5, 1.5, 64)
    upright = np.array([1.0, 0.0, 0.0, 0.0])
    for i in range(4):
        mapper.on_odometry(0.01 * i, np.array([0.0, 0.0, g1.STAND_PELVIS_HEIGHT_M]), upright, 0.0)
    mapper.on_scan(livox_cdr.encode_custom_msg(livox_cdr.LivoxScan(0, "livox_frame", 0, points)), 0.0)
    mapper.grid(0.0)
