"""From messages' contents to the grid: the node without ROS. Keeps poses and map, says what is wrong."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from vm_core import frames, g1, unitree_cdr
from vm_core.errors import VmError
from vm_core.height_grid import CellSource, HeightGridSpec
from vm_heightmap.drift import DriftConfig, DriftEstimator
from vm_heightmap.elevation_map import ElevationMap, MapConfig
from vm_heightmap.grid_sampler import GridSample, sample_at, sample_grid
from vm_heightmap.kinematics import capsules_in_torso, soles_in_torso, torso_in_pelvis
from vm_heightmap.mount_check import MountCheck, MountLimits
from vm_heightmap.odometry import LidarInertialOdometry, OdometryConfig, ScanVerdict
from vm_heightmap.point_filters import FilterConfig, FilterCounts, filter_and_place
from vm_heightmap.pose_buffer import OdometryLimits, Pose, PoseBuffer, PoseVerdict
from vm_heightmap.scan_input import Scan, scan_from_custom_msg
from vm_heightmap.stance import StanceWatch

KNOTS = 16
BODY_SNAPSHOTS = 4
JOINT_PERIOD_S = 0.01
FOOT_MAX_STD_M = 0.012
MOST_AHEAD_S = 1.0
SEED_AGAIN_M = 0.15
CLOCK_ROUNDING_S = 1e-6
SOLES_PERIOD_S = 0.02
PENDING_SCANS = 5
LIMB_SPEED = 1.5  # m/s that a limb may have moved since its joints were heard of
MOUNT_POINTS = 3000  # a scan of fewer says nothing about the mount


@dataclass(frozen=True)
class MapperConfig:
    """Everything that the mapper can be told.

    Attributes:
        grid, map, filters, odometry, drift, mount: configurations of the parts.
        own_odometry: estimate poses from the LiDAR, its inertial unit and the legs; else they are given.
        lidar_inertial: configuration of that; its mount is overridden by the next two.
        lidar_pos_torso, lidar_quat_torso_wxyz: mount of the LiDAR in the torso link.
        few_points: a scan with fewer usable points is reported.
        odometry_stale_s, lidar_stale_s: older input is reported.
        lidar_lost_s: a newest scan older than this is an error, before that a warning.
    """

    grid: HeightGridSpec = field(default_factory=HeightGridSpec)
    map: MapConfig = field(default_factory=MapConfig)
    filters: FilterConfig = field(default_factory=FilterConfig)
    odometry: OdometryLimits = field(default_factory=OdometryLimits)
    drift: DriftConfig = field(default_factory=DriftConfig)
    mount: MountLimits = field(default_factory=MountLimits)
    own_odometry: bool = False
    lidar_inertial: OdometryConfig = field(default_factory=OdometryConfig)
    lidar_pos_torso: tuple[float, ...] = tuple(g1.LIDAR_POS_IN_TORSO.tolist())
    lidar_quat_torso_wxyz: tuple[float, ...] = tuple(g1.LIDAR_QUAT_IN_TORSO_WXYZ.tolist())
    few_points: int = 500
    odometry_stale_s: float = 0.1
    lidar_stale_s: float = 0.3
    lidar_lost_s: float = 1.0


class HeightMapper:
    """The node without ROS. Times of data are the sender's; `now_s` is this process's monotonic clock.

    Attributes:
        elevation: the map.  poses: the torso's over time.  drift: what was taken out.  mount: the check at the start.
        own: the odometry, if poses are not given.
        problems: by part.  counts: of the newest scan.
    """

    def __init__(self, config: MapperConfig | None = None) -> None:
        self.config = config or MapperConfig()
        self.elevation = ElevationMap(self.config.map)
        self.poses = PoseBuffer(self.config.odometry)
        self.drift, self.mount = DriftEstimator(self.config.drift), MountCheck(self.config.mount)
        mount = {name: getattr(self.config, name) for name in ("lidar_pos_torso", "lidar_quat_torso_wxyz")}
        inertial = replace(self.config.lidar_inertial, **mount)
        self.own = LidarInertialOdometry(inertial) if self.config.own_odometry else None
        self.problems: dict[str, str] = {}
        self.counts: FilterCounts | None = None
        self.scans, self.bad_scans, self.dropped_scans, self.epoch = 0, 0, 0, 0
        self._joints: deque[tuple[float, np.ndarray]] = deque(maxlen=64)
        self._joint_pos: np.ndarray | None = None
        self._pending: deque[Scan] = deque(maxlen=PENDING_SCANS)
        self._stance = StanceWatch()
        self._seeded_at: np.ndarray | None = None
        self._soles_s = -np.inf
        self._odometry_at_s = self._lidar_at_s = -np.inf

    # -- inputs --------------------------------------------------------------------------------------------------------

    def on_low_state(self, data: bytes) -> None:
        """Takes the joints' angles from a raw LowState; what comes faster than needed is not read."""
        time_s = self._data_time_s()
        if time_s is not None and self._joints and abs(time_s - self._joints[-1][0]) < JOINT_PERIOD_S - 1e-6:
            return
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
        if time_s is not None:
            self._joints.append((time_s, joint_pos))
            if self.own is not None:
                self.own.on_soles(soles_in_torso(joint_pos)[0])

    def on_imu(self, time_s: float, gyro: np.ndarray, accel: np.ndarray, now_s: float) -> None:
        """Takes a sample of the LiDAR's inertial unit, for the own odometry: rates [rad/s], force in g or m/s²."""
        if self.own is None:
            return
        taken = self.own.on_imu(time_s, gyro, accel)
        self._note("imu", "" if taken else "inertial sample late or not finite, dropped")
        self._follow_own_epoch()
        newest = self.own.newest_pose
        if taken and newest is not None:
            self._odometry_at_s = now_s
            self._on_pose(newest.time_s, newest.pos, newest.quat_wxyz)
        self._fuse_pending()

    def on_odometry(
        self, time_s: float, pelvis_pos: np.ndarray, pelvis_quat_wxyz: np.ndarray, now_s: float
    ) -> PoseVerdict:
        """Takes a pose of the pelvis in the map's frame; a jump clears the map and seeds it again from the feet."""
        offset, turn = torso_in_pelvis(np.zeros(g1.NUM_MOTORS) if self._joint_pos is None else self._joint_pos)
        torso_pos = pelvis_pos + frames.quat_rotate(pelvis_quat_wxyz, offset)
        torso_quat = frames.quat_multiply(pelvis_quat_wxyz, turn)
        verdict = self.poses.add(time_s, torso_pos, torso_quat)
        self._note("odometry", "" if verdict is PoseVerdict.ACCEPTED else f"pose {verdict.value}")
        if verdict in (PoseVerdict.NOT_FINITE, PoseVerdict.LATE):
            return verdict
        self._odometry_at_s = now_s
        if verdict is not PoseVerdict.ACCEPTED:
            self._start_afresh()
        self._on_pose(time_s, torso_pos, torso_quat)
        self._fuse_pending()
        return verdict

    def on_scan(self, data: bytes, now_s: float) -> None:
        """Takes a raw CustomMsg; bytes that are none are reported, never raised."""
        try:
            scan = scan_from_custom_msg(data)
        except VmError as error:
            self.refuse_scan(str(error))
            return
        self.on_points(scan, now_s)

    def refuse_scan(self, problem: str) -> None:
        """Counts a message that is no scan."""
        self.bad_scans += 1
        self._note("lidar", problem)

    def on_points(self, scan: Scan, now_s: float) -> None:
        """Takes a scan that was decoded."""
        self._lidar_at_s = now_s
        if len(self._pending) == PENDING_SCANS:
            self.dropped_scans += 1
        self._pending.append(scan)
        self._fuse_pending()

    # -- outputs -------------------------------------------------------------------------------------------------------

    @property
    def newest_pose(self) -> Pose | None:
        """The freshest pose of the torso."""
        return self.poses.newest if self.own is None else self.own.newest_pose

    def grid(self, now_s: float) -> tuple[GridSample, Pose] | None:
        """The grid at the freshest pose, or None before the first one; ages count up to now_s."""
        pose = self.newest_pose
        if pose is None:
            return None
        now_in_data_s = pose.time_s + max(0.0, now_s - self._odometry_at_s)
        return sample_grid(self.elevation, self.config.grid, pose.pos, pose.quat_wxyz, now_in_data_s), pose

    def is_lost(self, part: str, now_s: float) -> bool:
        """Whether what `errors` says of a part makes the grid unfit to walk on, beyond a warning."""
        if part == "lidar" and "lidar" not in self.problems:
            return now_s - self._lidar_at_s > self.config.lidar_lost_s
        return part != "joints"

    def errors(self, now_s: float) -> dict[str, str]:
        """What is wrong now, by part: `odometry`, `lidar`, `joints`, `imu`, `mount`; empty if nothing is."""
        found = dict(self.problems)
        if self.mount.problem:
            found["mount"] = self.mount.problem
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

    def pelvis_motion(self) -> tuple[Pose, np.ndarray] | None:
        """The own odometry's pose of the pelvis and its velocity (3,) in that frame [m/s], once it has started."""
        pose = None if self.own is None else self.own.newest_pose
        if self.own is None or pose is None:
            return None
        joints = np.zeros(g1.NUM_MOTORS) if self._joint_pos is None else self._joint_pos
        offset, turn = torso_in_pelvis(joints)
        quat = frames.quat_multiply(pose.quat_wxyz, frames.quat_conjugate(turn))
        arm = frames.quat_rotate(quat, offset)
        velocity = self.own.newest_velocity - np.cross(self.own.newest_rate, arm)
        return Pose(pose.time_s, pose.pos - arm, quat), frames.quat_rotate_inverse(quat, velocity)

    # -- poses ---------------------------------------------------------------------------------------------------------

    def _data_time_s(self) -> float | None:
        newest = self.newest_pose
        if newest is not None:
            return newest.time_s
        return None if self.own is None else self.own.newest_time_s

    def _start_afresh(self) -> None:
        self.epoch += 1
        self.elevation.clear()
        self._stance.clear()
        self.drift = DriftEstimator(self.config.drift)
        self._pending.clear()
        self._seeded_at, self._soles_s = None, -np.inf

    def _follow_own_epoch(self) -> None:
        if self.own is not None and self.own.epoch != self.epoch:
            self._start_afresh()
            self.epoch = self.own.epoch
            self.poses = PoseBuffer(self.config.odometry)
            self._note("odometry", "started afresh")

    def _on_pose(self, time_s: float, torso_pos: np.ndarray, torso_quat: np.ndarray) -> None:
        self.elevation.move_to(torso_pos[:2])
        if self._joint_pos is None or abs(time_s - self._soles_s) < SOLES_PERIOD_S - 1e-6:
            return
        self._soles_s = time_s
        soles, normals = (frames.quat_rotate(torso_quat[None], part) for part in soles_in_torso(self._joint_pos))
        soles = soles + torso_pos
        standing = self._stance.update(time_s, soles)
        # the seed is taken anew while the robot still settles where it stood at the start
        settled = bool(standing) and self._stance.both_stand
        if self._seeded_at is None or (settled and np.linalg.norm(torso_pos[:2] - self._seeded_at) < SEED_AGAIN_M):
            self.elevation.seed(soles, time_s, _slope(normals))
            self._seeded_at = torso_pos[:2] if self._seeded_at is None else self._seeded_at
        for foot in standing:
            self._compare_foot(soles[foot], time_s)

    def _compare_foot(self, sole: np.ndarray, time_s: float) -> None:
        height, variance, source = sample_at(self.elevation, sole, time_s)
        if source == CellSource.SEEN and variance < FOOT_MAX_STD_M**2:
            self._shift(self.drift.foot(float(sole[2] - height)))

    def _shift(self, up_m: float) -> None:
        if up_m != 0.0:
            self.elevation.shift(up_m)

    # -- scans ---------------------------------------------------------------------------------------------------------

    def _fuse_pending(self) -> None:
        """Fuses the scans that wait, as far as the poses reach."""
        while self._pending and self._fuse_next(self._pending[0]):
            if self._pending:  # a fresh start on the way has emptied it
                self._pending.popleft()

    def _fuse_next(self, scan: Scan) -> bool:
        """Fuses or drops a scan; False if it has to wait for poses."""
        if self.own is not None:
            verdict = self._match_own(self.own, scan)
            if verdict not in (ScanVerdict.MATCHED, ScanVerdict.FIRST):
                self.dropped_scans += verdict is not ScanVerdict.WAITS
                return verdict is not ScanVerdict.WAITS
        start_s, end_s = scan.start_s + CLOCK_ROUNDING_S, scan.end_s - CLOCK_ROUNDING_S
        newest, oldest = self.poses.newest, self.poses.oldest
        if newest is None or oldest is None or (newest.time_s < end_s < newest.time_s + MOST_AHEAD_S):
            return False
        if self.poses.covers(start_s, end_s):
            self._fuse(scan, scan.start_s, scan.end_s)
            return True
        self.dropped_scans += 1
        span = f"{oldest.time_s:.3f}–{newest.time_s:.3f} s"
        self._note("lidar", f"scan of {start_s:.3f}–{end_s:.3f} s has no poses: odometry covers {span}")
        return True

    def _match_own(self, own: LidarInertialOdometry, scan: Scan) -> ScanVerdict:
        """Lets the own odometry take the scan, and follows what it made of it."""
        usable = scan.usable
        verdict, poses = own.on_scan(scan.xyz[usable], scan.offset_s[usable], scan.start_s)
        self._follow_own_epoch()
        if verdict in (ScanVerdict.MATCHED, ScanVerdict.FIRST):
            self.elevation.tilt(own.releveled, own.pivot)
            for pose in poses:
                self.poses.add(pose.time_s, pose.pos, pose.quat_wxyz)
            self._note("odometry", "")
        elif verdict not in (ScanVerdict.WAITS, ScanVerdict.NOT_STARTED):
            self._note("odometry", f"scan {verdict.value}")
        return verdict

    def _fuse(self, scan: Scan, start_s: float, end_s: float) -> None:
        times = np.linspace(start_s, max(end_s, start_s + 1e-3), KNOTS)
        pos, quat = self.poses.at(times)
        sensor = self._sensor_knots(pos, quat)
        step = float(times[1] - times[0])
        body, ground_z = self._body(times, pos, quat)
        points, origins, self.counts = filter_and_place(
            scan.xyz, scan.offset_s, sensor, step, self.config.filters, body, ground_z
        )
        self.scans += 1
        self._note("lidar", self._scan_problem(self.counts))
        if self._mount_is_refused(points, pos[-1], quat[-1]):
            return
        points[:, 2] -= self.drift.ground_offset_m
        self._shift(self.drift.overlap(self.elevation.residuals(points[::2], end_s, self.config.drift.rest_s)))
        self.elevation.add_points(points, origins, end_s)

    def _mount_is_refused(self, points: np.ndarray, torso_pos: np.ndarray, torso_quat: np.ndarray) -> bool:
        """Checks the mount while both feet stand; a map that was begun with a wrong one is cleared."""
        told = self.counts is not None and self.counts.kept + self.counts.out_of_bounds >= MOUNT_POINTS
        if told and not self.mount.passed and self._joint_pos is not None and self._stance.both_stand:
            back = frames.quat_conjugate(torso_quat)[None]
            was = self.mount.problem
            self.mount.add(frames.quat_rotate(back, points - torso_pos), *soles_in_torso(self._joint_pos))
            if self.mount.problem and not was:
                self.elevation.clear()
                self._seeded_at, self._soles_s = None, -np.inf
        return bool(self.mount.problem)

    def _sensor_knots(self, pos: np.ndarray, quat: np.ndarray) -> np.ndarray:
        sensor_pos = pos + frames.quat_rotate(quat, np.array([self.config.lidar_pos_torso]))
        sensor_quat = frames.quat_multiply(quat, np.array([self.config.lidar_quat_torso_wxyz]))
        return np.concatenate([sensor_pos, frames.matrix_from_quat(sensor_quat).reshape(-1, 9), pos], axis=-1)

    def _body(self, times: np.ndarray, pos: np.ndarray, quat: np.ndarray) -> tuple[np.ndarray | None, float]:
        """Capsules in the world over the scan (S, C, 7), and the height of the lower sole."""
        if not self._joints:
            return None, -np.inf
        stamps = np.array([stamp for stamp, _ in self._joints])
        picks = np.linspace(0, len(times) - 1, BODY_SNAPSHOTS).round().astype(int)
        found, lowest = [], np.inf
        for k in picks:
            nearest = int(np.abs(stamps - times[k]).argmin())
            joints = self._joints[nearest][1]
            turn = frames.matrix_from_quat(quat[k])
            capsules = capsules_in_torso(joints)
            capsules[:, :3] = capsules[:, :3] @ turn.T + pos[k]
            capsules[:, 3:6] = capsules[:, 3:6] @ turn.T + pos[k]
            capsules[:, 6] += LIMB_SPEED * min(abs(float(stamps[nearest] - times[k])), 0.1)
            found.append(capsules)
            if k in (picks[0], picks[-1]):
                lowest = min(lowest, float((soles_in_torso(joints)[0] @ turn[2] + pos[k, 2]).min()))
        return np.stack(found), lowest

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


def _slope(normals_world: np.ndarray) -> np.ndarray | None:
    """Rise along x and y (2,) of the ground under flat soles, None if they disagree or are not flat."""
    steep = normals_world[:, 2].min() < 0.95
    if steep or np.linalg.norm(normals_world[0] - normals_world[1]) > 0.06:
        return None
    normal = normals_world.mean(axis=0)
    return -normal[:2] / normal[2]
