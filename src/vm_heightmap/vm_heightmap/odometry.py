"""The robot's own odometry: inertial prediction, standing feet, and every scan matched with a map of planes.

Times are the sensors'. The world frame begins under the robot: z up along gravity, x along the torso's heading, z = 0
at the lower sole.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from vm_core import frames
from vm_heightmap.building_level import BuildingLevel
from vm_heightmap.compiled_turns import exp_so3
from vm_heightmap.inertial_filter import InertialFilter
from vm_heightmap.odometry_config import OdometryConfig, ScanVerdict
from vm_heightmap.odometry_start import Sample, Soles, level_start
from vm_heightmap.plane_map import PlaneMap
from vm_heightmap.point_filters import FilterConfig, filter_and_place
from vm_heightmap.pose_buffer import Pose
from vm_heightmap.registration import Registration, register
from vm_heightmap.trajectory import LeveledWorld, Trajectory

IMU_POS_IN_LIDAR = np.array([0.011, 0.02329, -0.04412])  # Livox gives the LiDAR in the IMU's frame with the other sign

FEET = np.arange(2)


class LidarInertialOdometry:
    """Feed it inertial samples, joints and scans as they come.

    Attributes:
        epoch: rises with each fresh start.
        registration: of the newest scan that was matched.
        world: levelled by gravity; maps must follow the turn that each scan brings to it.
        planes: the map of planes.  level: what its floors and walls say of level.
    """

    def __init__(self, config: OdometryConfig | None = None) -> None:
        self.config = config or OdometryConfig()
        turn = np.array(self.config.lidar_quat_torso_wxyz)
        self._lidar_turn = frames.matrix_from_quat(turn)
        self._lidar_pos = np.array(self.config.lidar_pos_torso)
        self._imu_pos = self._lidar_pos + self._lidar_turn @ IMU_POS_IN_LIDAR
        self.planes, self.level = PlaneMap(self.config.planes), BuildingLevel(self.config.level)
        self.epoch = 0
        self._reset()

    def _reset(self) -> None:
        self._filter: InertialFilter | None = None
        self._ahead: InertialFilter | None = None
        self._ahead_s = -np.inf
        self._pose: Pose | None = None  # of `_ahead`, once somebody has asked for it
        self._time_s = self._matched_s = -np.inf
        self._samples: deque[Sample] = deque(maxlen=2000)
        self._soles: deque[Soles] = deque(maxlen=100)
        self._last_leg: Soles | None = None
        self._trajectory = Trajectory()
        self._accel_scale = 1.0
        self.world = LeveledWorld(self._imu_pos)
        self.registration: Registration | None = None
        self.scans = 0
        self._unlearnt: np.ndarray | None = None
        self.planes.clear()
        self.level.clear()

    @property
    def started(self) -> bool:
        return self._filter is not None

    @property
    def newest_time_s(self) -> float | None:
        """Time of the newest inertial sample."""
        return self._samples[-1][0] if self._samples else None

    @property
    def accel_in_g(self) -> bool:
        """Whether the sensor was found to give accelerations in g."""
        return self._accel_scale != 1.0

    @property
    def covariance(self) -> np.ndarray:
        """(6, 6) of the pose at the newest scan: turn [rad], position [m], both in the world."""
        return np.eye(6) if self._filter is None else self._filter.covariance[:6, :6]

    @property
    def newest_pose(self) -> Pose | None:
        """The torso's pose carried ahead to the newest inertial sample, or to the end of a newer scan."""
        if self._ahead is None:
            return None
        if self._pose is None:
            self._pose = self.world.torso(self._ahead_s, self._ahead.turn, self._ahead.position)
        return self._pose

    @property
    def newest_rate(self) -> np.ndarray:
        """(3,) turning rate of the torso in the world [rad/s]."""
        if self._ahead is None or not self._samples:
            return np.zeros(3)
        return self.world.turn @ self._ahead.turn @ (self._samples[-1][1] - self._ahead.gyro_bias)

    @property
    def newest_velocity(self) -> np.ndarray:
        """(3,) of the torso's origin in the world [m/s]."""
        state = self._ahead
        if state is None:
            return np.zeros(3)
        return self.world.turn @ state.velocity - np.cross(
            self.newest_rate, self.world.turn @ state.turn @ self._imu_pos
        )

    def on_imu(self, time_s: float, gyro: np.ndarray, accel: np.ndarray) -> bool:
        """Takes a sample in the LiDAR's frame, accelerations in g or m/s²; False if it was dropped."""
        if not (np.isfinite(time_s) and np.all(np.isfinite(gyro)) and np.all(np.isfinite(accel))):
            return False
        if self._samples:
            gap = time_s - self._samples[-1][0]
            if gap > self.config.max_gap_s or gap < -0.1:
                self.restart()
            elif gap <= 0.0:
                return False
        sample = (time_s, self._lidar_turn @ gyro, self._lidar_turn @ accel)
        self._samples.append(sample)
        self._pose = None
        if self._filter is None:
            self._try_start()
        else:
            self._predict_ahead(sample)
        return True

    def on_soles(self, ends_torso: np.ndarray) -> None:
        """Takes the soles' heels and toes (2, 2, 3) in the torso frame [m], as old as the newest inertial sample."""
        if not self._samples or not np.all(np.isfinite(ends_torso)):
            return
        time_s = self._samples[-1][0]
        if not self._soles or time_s >= self._soles[-1][0] + self.config.leg_period_s - 1e-6:
            self._soles.append((time_s, ends_torso))

    def on_scan(self, xyz: np.ndarray, offset_s: np.ndarray, start_s: float) -> tuple[ScanVerdict, list[Pose]]:
        """Takes a scan: points (N, 3) in the sensor's frame [m], offsets (N,) after start_s.

        Returns:
            What became of it, and the torso's poses over the scan, in order of time.
        """
        if self._filter is None:
            return ScanVerdict.NOT_STARTED, []
        end_s = start_s + (float(offset_s.max()) if len(offset_s) else 0.0)
        if end_s <= self._time_s or start_s < self._trajectory.start_s:
            if end_s < self._time_s - 1.0:
                self.restart()
                return ScanVerdict.TIME_JUMP, []
            return ScanVerdict.OLD, []
        newest_s = self._samples[-1][0] if self._samples else -np.inf
        if newest_s < end_s - self.config.held_s:
            if end_s > newest_s + 1.0:
                return ScanVerdict.TIME_JUMP, []
            return ScanVerdict.WAITS, []
        self._propagate(end_s)
        self._pose = None
        verdict = self._match(xyz, offset_s, start_s, end_s)
        self._carry_ahead()
        if verdict in (ScanVerdict.MATCHED, ScanVerdict.FIRST):
            self._matched_s = end_s
        elif end_s > self._matched_s + self.config.lost_s:
            self.restart()
            return ScanVerdict.LOST, []
        self.world.update(self.level.up(self._filter.gravity, self._filter.level_std_rad), self._filter.position)
        self._pose = None  # the world may have been turned
        return verdict, self.world.torsos(self._trajectory.between(start_s - 0.011, end_s))

    def learn(self) -> None:
        """Takes the newest matched scan into the map of planes; the next scan does, if nobody had time before."""
        points, self._unlearnt = self._unlearnt, None
        if points is not None:
            self.planes.insert(points)
            self.level.observe(self.planes, points)

    def restart(self) -> None:
        """Forgets all and begins anew."""
        self._reset()
        self.epoch += 1

    # -- start ---------------------------------------------------------------------------------------------------------

    def _try_start(self) -> None:
        newest_s = self._samples[-1][0]
        if newest_s - self._samples[0][0] < self.config.start_s:
            return
        window = [s for s in self._samples if s[0] > newest_s - self.config.start_s]
        middles = [(time_s, ends.mean(axis=1)) for time_s, ends in self._soles]
        state, self._accel_scale = level_start(window, middles, self._imu_pos, self.config)
        self._filter, self._ahead = state, state.copy()
        self._time_s = self._matched_s = self._ahead_s = newest_s
        self._trajectory.add(newest_s, state)

    # -- one scan ------------------------------------------------------------------------------------------------------

    def _propagate(self, end_s: float) -> None:
        """Carries the state to end_s through the samples, and takes the legs' velocities on the way."""
        state = self._filter
        assert state is not None
        while self._time_s < end_s - 1e-9:
            while len(self._samples) > 1 and self._samples[0][0] <= self._time_s + 1e-9:
                self._samples.popleft()
            time_s, gyro, accel = self._samples[0]
            until_s = min(time_s, end_s) if time_s > self._time_s + 1e-9 else end_s  # the newest is held to the end
            state.predict(gyro, self._accel_scale * accel, until_s - self._time_s)
            self._time_s = until_s
            self._take_legs(gyro)
            self._trajectory.add(until_s, state)

    def _take_legs(self, gyro: np.ndarray) -> None:
        state = self._filter
        assert state is not None
        while self._soles and self._soles[0][0] <= self._time_s + 1e-9:
            time_s, ends = self._soles.popleft()
            arms = (ends - self._imu_pos) @ state.turn.T
            if self._last_leg is not None and 0.0 < time_s - self._last_leg[0] < 3.0 * self.config.leg_period_s:
                lower = arms[:, :, 2].argmin(axis=1)  # of heel and toe, the one that a rolling foot stands on
                velocity = (self._last_leg[1] - arms)[FEET, lower] / (time_s - self._last_leg[0])
                off = np.linalg.norm(velocity - state.velocity, axis=1)
                stands = off < self.config.leg_gate_m_s
                if stands.any():
                    std = self.config.inertial.leg_velocity
                    state.update_velocity(velocity[stands].mean(axis=0), std)
            self._last_leg = (time_s, arms)

    def _match(self, xyz: np.ndarray, offset_s: np.ndarray, start_s: float, end_s: float) -> ScanVerdict:
        config, state = self.config, self._filter
        assert state is not None
        self.learn()
        every = max(1, len(xyz) // config.points)
        limits = FilterConfig(config.min_range_m, config.max_range_m, 0.0, np.inf, np.inf)
        knots, step_s = self._knots(start_s, end_s)
        points, _, _ = filter_and_place(xyz[::every], offset_s[::every], knots, step_s, limits)
        if len(points) < config.least_points:
            return ScanVerdict.FEW_POINTS
        self.scans += 1
        if self.scans == 1:
            self.planes.insert(points)
            return ScanVerdict.FIRST
        center = state.position.copy()
        prior = np.linalg.inv(state.covariance[:6, :6])
        found = register(self.planes, points, center, prior, config.registration)
        if found.matched < config.least_points or found.inliers < config.least_inlier_share * found.matched:
            if self.scans < 10:
                self.planes.insert(points)
            return ScanVerdict.FEW_INLIERS
        if np.linalg.norm(found.move) > config.max_step_m or np.linalg.norm(found.turn) > config.max_step_rad:
            return ScanVerdict.TOO_FAR
        self.registration = found
        state.update_pose(np.concatenate([found.turn, found.move]), found.information)
        turn = exp_so3(found.turn)
        self._trajectory.move(turn, center, found.move, start_s)
        self._unlearnt = (points - center) @ turn.T + center + found.move
        return ScanVerdict.MATCHED

    def _knots(self, start_s: float, end_s: float) -> tuple[np.ndarray, float]:
        """Sensor poses at equal steps over a scan, as `filter_and_place` takes them."""
        turn, position, step_s = self._trajectory.at_knots(start_s, end_s)
        lidar = position + turn @ (self._lidar_pos - self._imu_pos)
        torso = position - turn @ self._imu_pos
        return np.concatenate([lidar, (turn @ self._lidar_turn).reshape(-1, 9), torso], axis=1), step_s

    def _carry_ahead(self) -> None:
        assert self._filter is not None
        self._ahead, self._ahead_s = self._filter.copy(), self._time_s
        for sample in self._samples:
            self._predict_ahead(sample)

    def _predict_ahead(self, sample: Sample) -> None:
        time_s, gyro, accel = sample
        if self._ahead is not None and time_s > self._ahead_s:
            self._ahead.predict(gyro, self._accel_scale * accel, time_s - self._ahead_s, covariance=False)
            self._ahead_s = time_s
