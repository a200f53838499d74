"""The robot's own odometry: inertial prediction, standing feet, and every scan matched with a map of planes.

Times are the sensors'. The world frame begins under the robot: z up along gravity, x along the torso's heading, z = 0
at the lower sole.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from vm_core import frames, g1
from vm_heightmap.inertial_filter import GRAVITY, InertialFilter, InertialNoise, exp_so3
from vm_heightmap.plane_map import PlaneMap, PlaneMapConfig
from vm_heightmap.point_filters import FilterConfig, filter_and_place
from vm_heightmap.pose_buffer import Pose
from vm_heightmap.registration import Registration, RegistrationConfig, register

KNOTS = 21
IMU_POS_IN_LIDAR = np.array([0.011, 0.02329, -0.04412])  # Livox gives the LiDAR in the IMU's frame with the other sign
NOMINAL_TORSO_HEIGHT_M = g1.STAND_PELVIS_HEIGHT_M + float(g1.WAIST_ROLL_IN_WAIST_YAW[2])


class ScanVerdict(Enum):
    """What became of a scan."""

    MATCHED = "matched"
    FIRST = "first scan, laid into the empty map"
    WAITS = "waits for inertial data up to its end"
    NOT_STARTED = "no start yet: waiting for a second of inertial data"
    OLD = "older than the state, dropped"
    FEW_POINTS = "too few points to match; predicted only"
    FEW_INLIERS = "too few points on known planes; predicted only"
    TOO_FAR = "match too far from the prediction, refused"
    TIME_JUMP = "time jumped, started afresh"
    LOST = "not matched for too long, started afresh"


@dataclass(frozen=True)
class OdometryConfig:
    """How the pose is found.

    Attributes:
        lidar_pos_torso, lidar_quat_torso_wxyz: mount of the LiDAR in the torso link.
        points: so many of a scan's are matched.
        min_range_m, max_range_m: of matched points; nearer ones are the robot itself.
        least_points, least_inlier_share: fewer are no match.
        max_step_m, max_step_rad: a match farther from the prediction is refused.
        start_s: inertial data that the start averages; standing still is best.
        still_rad_s: turning no faster than this, it stands still, and the gyroscope's mean is its bias.
        max_gap_s: longer pauses in the inertial data are jumps in time.
        lost_s: without a match for longer, dead reckoning is worth nothing and all begins anew.
        leg_period_s: between velocities from the legs.
        leg_gate_m_s: a foot whose velocity differs by more does not stand.
    """

    registration: RegistrationConfig = field(default_factory=RegistrationConfig)
    planes: PlaneMapConfig = field(default_factory=PlaneMapConfig)
    inertial: InertialNoise = field(default_factory=InertialNoise)
    lidar_pos_torso: tuple[float, ...] = tuple(g1.LIDAR_POS_IN_TORSO.tolist())
    lidar_quat_torso_wxyz: tuple[float, ...] = tuple(g1.LIDAR_QUAT_IN_TORSO_WXYZ.tolist())
    points: int = 5000
    min_range_m: float = 1.0
    max_range_m: float = 30.0
    least_points: int = 400
    least_inlier_share: float = 0.4
    max_step_m: float = 0.15
    max_step_rad: float = 0.17
    start_s: float = 1.0
    still_rad_s: float = 0.1
    max_gap_s: float = 0.5
    lost_s: float = 1.5
    leg_period_s: float = 0.02
    leg_gate_m_s: float = 0.25


class LidarInertialOdometry:
    """Feed it inertial samples, joints and scans as they come.

    Attributes:
        epoch: rises with each fresh start.
        registration: of the newest scan that was matched.
        releveled: (3,) small turn of the world about `pivot` (3,) that the newest scan brought; maps must follow it.
        planes: the map of planes.
    """

    def __init__(self, config: OdometryConfig | None = None) -> None:
        self.config = config or OdometryConfig()
        turn = np.array(self.config.lidar_quat_torso_wxyz)
        self._lidar_turn = frames.matrix_from_quat(turn)
        self._lidar_pos = np.array(self.config.lidar_pos_torso)
        self._imu_pos = self._lidar_pos + self._lidar_turn @ IMU_POS_IN_LIDAR
        self.planes = PlaneMap(self.config.planes)
        self.epoch = 0
        self._reset()

    def _reset(self) -> None:
        self._filter: InertialFilter | None = None
        self._ahead: InertialFilter | None = None
        self._time_s = self._matched_s = -np.inf
        self._samples: deque[tuple[float, np.ndarray, np.ndarray]] = deque(maxlen=2000)
        self._soles: deque[tuple[float, np.ndarray]] = deque(maxlen=100)
        self._last_leg: tuple[float, np.ndarray] | None = None
        self._trajectory: deque[tuple[float, np.ndarray, np.ndarray]] = deque(maxlen=400)
        self._accel_scale = 1.0
        self.level, self._level_move = np.eye(3), np.zeros(3)
        self.releveled, self.pivot = np.zeros(3), np.zeros(3)
        self.registration: Registration | None = None
        self.scans = 0
        self.planes.clear()

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
        """The torso's pose carried ahead to the newest inertial sample."""
        if self._ahead is None:
            return None
        return self._torso_pose(self._samples[-1][0] if self._samples else self._time_s, self._ahead)

    @property
    def newest_rate(self) -> np.ndarray:
        """(3,) turning rate of the torso in the world [rad/s]."""
        if self._ahead is None or not self._samples:
            return np.zeros(3)
        return self.level @ self._ahead.turn @ (self._samples[-1][1] - self._ahead.gyro_bias)

    @property
    def newest_velocity(self) -> np.ndarray:
        """(3,) of the torso's origin in the world [m/s]."""
        state = self._ahead
        if state is None:
            return np.zeros(3)
        return self.level @ state.velocity - np.cross(self.newest_rate, self.level @ state.turn @ self._imu_pos)

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
        if self._filter is None:
            self._try_start()
        elif self._ahead is not None and len(self._samples) > 1:
            step_s = time_s - self._samples[-2][0]
            self._ahead.predict(sample[1], self._accel_scale * sample[2], step_s, covariance=False)
        return True

    def on_soles(self, soles_torso: np.ndarray) -> None:
        """Takes the soles' middles (2, 3) in the torso frame [m], as old as the newest inertial sample."""
        if not self._samples or not np.all(np.isfinite(soles_torso)):
            return
        time_s = self._samples[-1][0]
        if not self._soles or time_s >= self._soles[-1][0] + self.config.leg_period_s - 1e-6:
            self._soles.append((time_s, soles_torso))

    def on_scan(self, xyz: np.ndarray, offset_s: np.ndarray, start_s: float) -> tuple[ScanVerdict, list[Pose]]:
        """Takes a scan: points (N, 3) in the sensor's frame [m], offsets (N,) after start_s.

        Returns:
            What became of it, and the torso's poses over the scan, in order of time.
        """
        if self._filter is None:
            return ScanVerdict.NOT_STARTED, []
        end_s = start_s + (float(offset_s.max()) if len(offset_s) else 0.0)
        if end_s <= self._time_s or start_s < self._trajectory[0][0]:
            if end_s < self._time_s - 1.0:
                self.restart()
                return ScanVerdict.TIME_JUMP, []
            return ScanVerdict.OLD, []
        newest_s = self._samples[-1][0] if self._samples else -np.inf
        if newest_s < end_s:
            if end_s > newest_s + 1.0:
                return ScanVerdict.TIME_JUMP, []
            return ScanVerdict.WAITS, []
        self._propagate(end_s)
        verdict = self._match(xyz, offset_s, start_s, end_s)
        self._carry_ahead()
        if verdict in (ScanVerdict.MATCHED, ScanVerdict.FIRST):
            self._matched_s = end_s
        elif end_s > self._matched_s + self.config.lost_s:
            self.restart()
            return ScanVerdict.LOST, []
        self._level_world()
        poses = [self._pose_of(*entry) for entry in self._trajectory if start_s - 0.011 <= entry[0] <= end_s]
        return verdict, poses

    def restart(self) -> None:
        """Forgets all and begins anew."""
        self._reset()
        self.epoch += 1

    # -- start ---------------------------------------------------------------------------------------------------------

    def _try_start(self) -> None:
        """Levels the world by the mean specific force over the window, less what the legs say the robot sped up."""
        newest_s = self._samples[-1][0]
        if newest_s - self._samples[0][0] < self.config.start_s:
            return
        window = [s for s in self._samples if s[0] > newest_s - self.config.start_s]
        gyro, accel = (np.array([s[i] for s in window]) for i in (1, 2))
        still = np.linalg.norm(gyro, axis=1).max() < self.config.still_rad_s
        times = np.array([s[0] for s in window])
        turns = _integrated(times, gyro - (gyro.mean(axis=0) if still else 0.0))
        force = np.einsum("nij,nj->ni", turns, accel).mean(axis=0)
        self._accel_scale = GRAVITY if np.linalg.norm(force) < 3.0 else 1.0
        velocities = self._leg_velocities(times, turns)
        sped_up = np.zeros(3) if velocities is None else (velocities[1] - velocities[0]) / (times[-1] - times[0])
        up = turns[-1].T @ (self._accel_scale * force - sped_up)
        state = InertialFilter(self.config.inertial)
        state.turn = _level(up / np.linalg.norm(up))
        if still:
            state.gyro_bias = gyro.mean(axis=0)
        if velocities is not None:
            state.velocity = state.turn @ turns[-1].T @ velocities[1]
        height = NOMINAL_TORSO_HEIGHT_M
        if self._soles:
            height = -float((self._soles[-1][1] @ state.turn.T)[:, 2].min())
        state.position = np.array([0.0, 0.0, height]) + state.turn @ self._imu_pos
        self._filter, self._ahead, self._time_s = state, state.copy(), newest_s
        self._matched_s = newest_s
        self._trajectory.append((newest_s, state.turn.copy(), state.position.copy()))

    def _leg_velocities(self, times: np.ndarray, turns: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """The body's velocity (3,) at both ends of the window, by the slower foot, in the axes of its start."""
        inside = [(t, soles) for t, soles in self._soles if t >= times[0]]
        if len(inside) < 12:
            return None
        at = np.searchsorted(times, [t for t, _ in inside]).clip(0, len(times) - 1)
        arms = np.stack([(soles - self._imu_pos) @ turns[i].T for i, (_, soles) in zip(at, inside, strict=True)])
        stamps, span = np.array([t for t, _ in inside]), 5
        ends = []
        for first in (0, len(inside) - 1 - span):
            moved = -(arms[first + span] - arms[first]) / (stamps[first + span] - stamps[first])
            ends.append(moved[np.argmin(np.linalg.norm(moved, axis=1))])
        return ends[0], ends[1]

    # -- one scan ------------------------------------------------------------------------------------------------------

    def _propagate(self, end_s: float) -> None:
        """Carries the state to end_s through the samples, and takes the legs' velocities on the way."""
        state = self._filter
        assert state is not None
        while self._time_s < end_s - 1e-9:
            while self._samples and self._samples[0][0] <= self._time_s + 1e-9:
                self._samples.popleft()
            time_s, gyro, accel = self._samples[0]
            until_s = min(time_s, end_s)
            state.predict(gyro, self._accel_scale * accel, until_s - self._time_s)
            self._time_s = until_s
            self._take_legs(gyro)
            self._trajectory.append((until_s, state.turn.copy(), state.position.copy()))

    def _take_legs(self, gyro: np.ndarray) -> None:
        state = self._filter
        assert state is not None
        while self._soles and self._soles[0][0] <= self._time_s + 1e-9:
            time_s, soles = self._soles.popleft()
            arms = (soles - self._imu_pos) @ state.turn.T
            if self._last_leg is not None and 0.0 < time_s - self._last_leg[0] < 3.0 * self.config.leg_period_s:
                velocity = -(arms - self._last_leg[1]) / (time_s - self._last_leg[0])
                off = np.linalg.norm(velocity - state.velocity, axis=1)
                stands = off < self.config.leg_gate_m_s
                if stands.any():
                    std = self.config.inertial.leg_velocity
                    state.update_velocity(velocity[stands].mean(axis=0), std)
            self._last_leg = (time_s, arms)

    def _match(self, xyz: np.ndarray, offset_s: np.ndarray, start_s: float, end_s: float) -> ScanVerdict:
        config, state = self.config, self._filter
        assert state is not None
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
        self._move_trajectory(turn, center, found.move, start_s)
        self.planes.insert((points - center) @ turn.T + center + found.move)
        return ScanVerdict.MATCHED

    def _knots(self, start_s: float, end_s: float) -> tuple[np.ndarray, float]:
        """Sensor poses at equal steps over a scan, as `filter_and_place` takes them."""
        times = np.linspace(start_s, max(end_s, start_s + 1e-3), KNOTS)
        recent = [entry for entry in self._trajectory if entry[0] >= start_s - 0.02]
        stamps = np.array([entry[0] for entry in recent])
        positions, turns = np.array([entry[2] for entry in recent]), np.array([entry[1] for entry in recent])
        after = np.clip(np.searchsorted(stamps, times), 1, len(stamps) - 1)
        share = np.clip((times - stamps[after - 1]) / (stamps[after] - stamps[after - 1]), 0.0, 1.0)[:, None]
        position = positions[after - 1] + share * (positions[after] - positions[after - 1])
        # samples are 5 ms apart: the mean of two rotation matrices is a rotation to within 1e-5
        turn = turns[after - 1] + share[..., None] * (turns[after] - turns[after - 1])
        lidar = position + turn @ (self._lidar_pos - self._imu_pos)
        torso = position - turn @ self._imu_pos
        return np.concatenate([lidar, (turn @ self._lidar_turn).reshape(-1, 9), torso], axis=1), times[1] - times[0]

    def _move_trajectory(self, turn: np.ndarray, center: np.ndarray, move: np.ndarray, start_s: float) -> None:
        moved = [
            (t, turn @ r, turn @ (p - center) + center + move) if t >= start_s else (t, r, p)
            for t, r, p in self._trajectory
        ]
        self._trajectory = deque(moved, maxlen=self._trajectory.maxlen)

    def _carry_ahead(self) -> None:
        assert self._filter is not None
        self._ahead, last_s = self._filter.copy(), self._time_s
        for time_s, gyro, accel in self._samples:
            if time_s > last_s:
                self._ahead.predict(gyro, self._accel_scale * accel, time_s - last_s, covariance=False)
                last_s = time_s

    def _level_world(self) -> None:
        """Turns the published world about the robot until the gravity that the filter knows by now points down."""
        state = self._filter
        assert state is not None
        here = self.level @ state.position + self._level_move
        down = self.level @ state.gravity / GRAVITY
        self.releveled = np.array([-down[1], down[0], 0.0])  # small turn that brings `down` to -z
        self.level = exp_so3(self.releveled) @ self.level
        self._level_move = here - self.level @ state.position
        self.pivot = here

    def _torso_pose(self, time_s: float, state: InertialFilter) -> Pose:
        return self._pose_of(time_s, state.turn, state.position)

    def _pose_of(self, time_s: float, turn: np.ndarray, position: np.ndarray) -> Pose:
        """The torso's pose in the levelled world, from the body's in the plane map's."""
        pos = self.level @ (position - turn @ self._imu_pos) + self._level_move
        return Pose(time_s, pos, frames.quat_from_matrix(self.level @ turn))


def _level(up_body: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) of the body in a world whose z is `up_body` (3,) seen from the body; heading zero."""
    forward = np.array([1.0, 0.0, 0.0]) - up_body[0] * up_body
    forward /= np.linalg.norm(forward)
    return np.stack([forward, np.cross(up_body, forward), up_body])


def _integrated(times: np.ndarray, gyro: np.ndarray) -> np.ndarray:
    """Rotations (N, 3, 3) from the body at each time to the body at the first, by rates (N, 3)."""
    turns = [np.eye(3)]
    for step_s, rate in zip(np.diff(times), 0.5 * (gyro[1:] + gyro[:-1]), strict=True):
        turns.append(turns[-1] @ exp_so3(step_s * rate))
    return np.array(turns)
