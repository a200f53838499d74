"""From messages' contents to the grid: the node without ROS. Keeps poses and map, says what is wrong."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from vm_core.errors import VmError
from vm_heightmap.body_poses import pelvis_motion, torso_pose
from vm_heightmap.drift import DriftEstimator
from vm_heightmap.elevation_map import ElevationMap
from vm_heightmap.footing import Footing
from vm_heightmap.grid_sampler import GridSample, GridSampler
from vm_heightmap.health import Health
from vm_heightmap.joint_track import JointTrack
from vm_heightmap.kinematics import sole_ends_in_torso
from vm_heightmap.map_view import MapCopies, MapView
from vm_heightmap.mapper_config import MapperConfig
from vm_heightmap.odometry import LidarInertialOdometry
from vm_heightmap.odometry_config import ScanVerdict
from vm_heightmap.pose_buffer import Pose, PoseBuffer, PoseVerdict
from vm_heightmap.rates import Rates
from vm_heightmap.scan_fusion import ScanFusion
from vm_heightmap.scan_input import Scan, scan_from_custom_msg

MOST_AHEAD_S = 1.0
CLOCK_ROUNDING_S = 1e-6
PENDING_SCANS = 5


@dataclass(frozen=True)
class Shown:
    """What a grid is made of, at one moment; it never changes.

    Attributes:
        pose: the torso's.  at_s: when it came, by the process's clock.
        view: of the map.  scan_end_s: of the newest scan in it, by the data's clock.  epoch: of the map.
    """

    pose: Pose
    at_s: float
    view: MapView
    scan_end_s: float
    epoch: int


class HeightMapper:
    """The node without ROS. Times of data are the sender's; `now_s` is this process's clock.

    One thread feeds it; another one may call `grid` at any time.

    Attributes:
        elevation: the map.  poses: the torso's over time.  drift: what was taken out.
        fusion: of scans, with the mount's check.
        own: the odometry, if poses are not given.
        health: what is wrong.  rates: of what comes in.  shown: what `grid` reads, None before the first pose.
    """

    def __init__(self, config: MapperConfig | None = None) -> None:
        self.config = config or MapperConfig()
        self.elevation = ElevationMap(self.config.map)
        self.poses = PoseBuffer(self.config.odometry)
        self.drift, self.fusion = DriftEstimator(self.config.drift), ScanFusion(self.config)
        mount = {name: getattr(self.config, name) for name in ("lidar_pos_torso", "lidar_quat_torso_wxyz")}
        inertial = replace(self.config.lidar_inertial, **mount)
        self.own = LidarInertialOdometry(inertial) if self.config.own_odometry else None
        self.health, self.rates = Health(self.config), Rates()
        self.bad_scans, self.dropped_scans, self.epoch = 0, 0, 0
        self.shown: Shown | None = None
        self._joints, self._footing = JointTrack(), Footing()
        self._pending: deque[Scan] = deque(maxlen=PENDING_SCANS)
        self._sampler = GridSampler(self.config.grid)
        self._copies, self._copied = MapCopies(self.elevation.view), -1

    # -- inputs --------------------------------------------------------------------------------------------------------

    def on_low_state(self, data: bytes) -> None:
        """Takes the joints' angles from a raw LowState; what comes faster than needed is not read."""
        time_s = self._data_time_s()
        if not self._joints.wants(time_s):
            return
        try:
            joint_pos = self._joints.add(data, time_s)
        except VmError as error:
            self.health.note("joints", str(error))
            return
        self.health.note("joints", "")
        if time_s is not None and self.own is not None:
            self.own.on_soles(sole_ends_in_torso(joint_pos))

    def on_imu(self, time_s: float, gyro: np.ndarray, accel: np.ndarray, now_s: float) -> None:
        """Takes a sample of the LiDAR's inertial unit, for the own odometry: rates [rad/s], force in g or m/s²."""
        if self.own is None:
            return
        self.rates.note("imu", now_s)
        taken = self.own.on_imu(time_s, gyro, accel)
        self.health.note("imu", "" if taken else "inertial sample late or not finite, dropped")
        self._follow_own_epoch()
        newest = self.own.newest_pose
        if taken and newest is not None:
            self.health.odometry_at_s = now_s
            self._on_pose(newest.time_s, newest.pos, newest.quat_wxyz)
        self._fuse_pending()
        self._show()

    def on_odometry(self, time_s: float, pos: np.ndarray, quat_wxyz: np.ndarray, now_s: float) -> PoseVerdict:
        """Takes a pose of the pelvis, or whose the configuration says, in the map's frame.

        A jump clears the map and seeds it again from the feet.
        """
        self.rates.note("odometry", now_s)
        torso_pos, torso_quat = torso_pose(self.config, self._joints.newest, pos, quat_wxyz)
        verdict = self.poses.add(time_s, torso_pos, torso_quat)
        self.health.note("odometry", "" if verdict is PoseVerdict.ACCEPTED else f"pose {verdict.value}")
        if verdict in (PoseVerdict.NOT_FINITE, PoseVerdict.LATE):
            return verdict
        self.health.odometry_at_s = now_s
        if verdict is not PoseVerdict.ACCEPTED:
            self._start_afresh()
        self._on_pose(time_s, torso_pos, torso_quat)
        self._fuse_pending()
        self._show()
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
        self.health.note("lidar", problem)

    def on_points(self, scan: Scan, now_s: float) -> None:
        """Takes a scan that was decoded."""
        self.health.lidar_at_s = now_s
        self.rates.note("lidar", now_s)
        if len(self._pending) == PENDING_SCANS:
            self.dropped_scans += 1
        self._pending.append(scan)
        self._fuse_pending()
        self._show()

    def learn(self) -> None:
        """What the next scan needs and the present grid does not; best called when nobody waits."""
        if self.own is not None:
            self.own.learn()

    # -- outputs -------------------------------------------------------------------------------------------------------

    @property
    def scans(self) -> int:
        """How many scans were fused."""
        return self.fusion.scans

    @property
    def newest_pose(self) -> Pose | None:
        """The freshest pose of the torso."""
        return self.poses.newest if self.own is None else self.own.newest_pose

    def grid(self, now_s: float) -> tuple[GridSample, Shown] | None:
        """The grid at the freshest pose and what it was made of, or None before the first; ages count up to now_s."""
        shown = self.shown
        if shown is None:
            return None
        now_in_data_s = shown.pose.time_s + max(0.0, now_s - shown.at_s)
        return self._sampler.sample(shown.view, shown.pose.pos, shown.pose.quat_wxyz, now_in_data_s), shown

    def is_lost(self, part: str, now_s: float) -> bool:
        """Whether what `errors` says of a part makes the grid unfit to walk on, beyond a warning."""
        return self.health.is_lost(part, now_s)

    def errors(self, now_s: float) -> dict[str, str]:
        """What is wrong now, by part: `odometry`, `lidar`, `joints`, `imu`, `mount`; empty if nothing is."""
        return self.health.errors(now_s, self.fusion.mount.problem, joints_known=self._joints.newest is not None)

    def pelvis_motion(self) -> tuple[Pose, np.ndarray] | None:
        """The own odometry's pose of the pelvis and its velocity (3,) in that frame [m/s], once it has started."""
        return None if self.own is None else pelvis_motion(self.own, self._joints.newest)

    # -- poses ---------------------------------------------------------------------------------------------------------

    def _data_time_s(self) -> float | None:
        if self.own is not None:
            return self.own.newest_time_s
        newest = self.poses.newest
        return None if newest is None else newest.time_s

    def _start_afresh(self) -> None:
        self.epoch += 1
        self.elevation.clear()
        self._footing.clear()
        self.drift = DriftEstimator(self.config.drift)
        self._pending.clear()
        self.fusion.end_s = -np.inf

    def _follow_own_epoch(self) -> None:
        if self.own is not None and self.own.epoch != self.epoch:
            self._start_afresh()
            self.epoch = self.own.epoch
            self.poses = PoseBuffer(self.config.odometry)
            self.shown = None
            self.health.note("odometry", "started afresh")

    def _on_pose(self, time_s: float, torso_pos: np.ndarray, torso_quat: np.ndarray) -> None:
        self.elevation.move_to(torso_pos[:2])
        if self._joints.newest is not None:
            pose = (time_s, torso_pos, torso_quat)
            self._footing.update(self.elevation, self.drift, pose, self._joints.newest)

    def _show(self) -> None:
        """Lets `grid` see the newest pose, and the map if it has changed."""
        pose = self.newest_pose
        if pose is None:
            return
        if self.elevation.changes != self._copied:
            self._copies.copy(self.elevation.view)
            self._copied = self.elevation.changes
        self.shown = Shown(pose, self.health.odometry_at_s, self._copies.newest, self.fusion.end_s, self.epoch)

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
            self._fuse(scan)
            return True
        self.dropped_scans += 1
        span = f"{oldest.time_s:.3f}–{newest.time_s:.3f} s"
        self.health.note("lidar", f"scan of {start_s:.3f}–{end_s:.3f} s has no poses: odometry covers {span}")
        return True

    def _match_own(self, own: LidarInertialOdometry, scan: Scan) -> ScanVerdict:
        """Lets the own odometry take the scan, and follows what it made of it."""
        usable = slice(None) if scan.usable.all() else scan.usable  # a view costs nothing
        verdict, poses = own.on_scan(scan.xyz[usable], scan.offset_s[usable], scan.start_s)
        self._follow_own_epoch()
        if verdict in (ScanVerdict.MATCHED, ScanVerdict.FIRST):
            self.elevation.tilt(own.world.releveled, own.world.pivot)
            for pose in poses:
                self.poses.add(pose.time_s, pose.pos, pose.quat_wxyz)
            self.health.note("odometry", "")
        elif verdict not in (ScanVerdict.WAITS, ScanVerdict.NOT_STARTED):
            self.health.note("odometry", f"scan {verdict.value}")
        return verdict

    def _fuse(self, scan: Scan) -> None:
        points, origins, torso = self.fusion.place(scan, self.poses, self._joints)
        self.health.note("lidar", self.fusion.problem())
        joints = self._joints.newest
        stands = self._footing.stance.both_stand
        if joints is not None and stands and self.fusion.check_mount(points, torso, joints):
            self.elevation.clear()  # it was begun with the wrong mount
            self._footing.forget_seed()
        if not self.fusion.mount.problem:
            self.fusion.fuse(points, origins, scan.end_s, self.elevation, self.drift)
