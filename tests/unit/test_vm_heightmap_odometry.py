"""The own odometry in a room whose truth is known, and what it does when scans or time fail."""

import numpy as np
import pytest

from vm_core import g1
from vm_core.frames import matrix_from_quat, quat_from_matrix, quat_from_rotvec, quat_slerp
from vm_heightmap.compiled_turns import exp_so3, quat_of, slerp
from vm_heightmap.odometry import IMU_POS_IN_LIDAR, LidarInertialOdometry
from vm_heightmap.odometry_config import ScanVerdict
from vm_sim.lidar import Mid360Pattern

LIDAR_TURN = matrix_from_quat(g1.LIDAR_QUAT_IN_TORSO_WXYZ)
START = np.array([0.0, 0.0, 0.80])
GRAVITY = np.array([0.0, 0.0, 9.80665])
LOW, HIGH = np.array([-2.5, -3.0, 0.0]), np.array([4.0, 2.0, 2.6])
SCAN_POINTS = 20_000


class Room:
    """A torso that stands, then speeds up to 0.4 m/s along x and bobs; it never turns."""

    def __init__(self, accel_unit: float = 1.0) -> None:
        self.rng, self.unit, self.time_s, self.scans = np.random.default_rng(0), accel_unit, 0.0, 0

    def position(self, time_s: np.ndarray) -> np.ndarray:
        t = np.maximum(np.asarray(time_s, dtype=float) - 1.5, 0.0)
        x = np.where(t < 1.0, 0.2 * t**2, 0.2 + 0.4 * (t - 1.0))
        bob = 0.02 * np.sin(4.0 * np.pi * t) * np.minimum(t, 1.0)
        return START + np.stack([x, np.zeros_like(t), bob], axis=-1)

    def imu(self, time_s: float) -> tuple[np.ndarray, np.ndarray]:
        h = 0.004
        before, now, after = self.position(np.array([time_s - h, time_s, time_s + h]))
        force = LIDAR_TURN.T @ ((after - 2.0 * now + before) / h**2 + GRAVITY)
        return self.rng.normal(0.0, 0.002, 3), (force + self.rng.normal(0.0, 0.02, 3)) / self.unit

    def scan(self, start_s: float) -> tuple[np.ndarray, np.ndarray]:
        offset_s = np.arange(SCAN_POINTS) * 5e-6
        directions = Mid360Pattern().directions(np.arange(SCAN_POINTS) + self.scans * SCAN_POINTS)
        self.scans += 1
        origin = self.position(start_s + offset_s) + g1.LIDAR_POS_IN_TORSO
        world = directions @ LIDAR_TURN.T
        with np.errstate(divide="ignore"):
            ranges = np.where(world > 0, (HIGH - origin) / world, (LOW - origin) / world).min(axis=1)
        ranges += self.rng.normal(0.0, 0.015, SCAN_POINTS)
        return (directions * ranges[:, None]).astype(np.float32), offset_s

    def play(self, odometry: LidarInertialOdometry, seconds: float, alter=lambda xyz: xyz) -> list[ScanVerdict]:
        verdicts = []
        for _ in range(round(seconds * 200)):
            self.time_s += 0.005
            odometry.on_imu(self.time_s, *self.imu(self.time_s))
            if round(self.time_s * 200) % 20 == 0:
                start_s = self.time_s - 0.1
                xyz, offset_s = self.scan(start_s)
                xyz = alter(xyz)
                verdicts.append(odometry.on_scan(xyz, offset_s[: len(xyz)], start_s)[0])
        return verdicts


def error_m(room: Room, odometry: LidarInertialOdometry) -> float:
    pose = odometry.newest_pose
    # without legs, the start is at a nominal height
    moved = room.position(np.array(pose.time_s)) - START
    start = np.array([0.0, 0.0, pose.pos[2] - moved[2]])
    return float(np.linalg.norm(pose.pos - start - moved))


@pytest.mark.parametrize("unit", [1.0, 9.80665])
def test_a_walk_through_a_room(unit: float) -> None:
    room, odometry = Room(unit), LidarInertialOdometry()
    verdicts = room.play(odometry, 5.0)
    assert verdicts[-1] is ScanVerdict.MATCHED
    assert odometry.accel_in_g == (unit > 1.0)
    assert error_m(room, odometry) < 0.01
    np.testing.assert_allclose(odometry.newest_pose.quat_wxyz, [1, 0, 0, 0], atol=0.005)
    assert abs(odometry.newest_velocity[0] - 0.4) < 0.05
    # the height did not drift
    assert abs(odometry.newest_pose.pos[2] - room.position(np.array(room.time_s))[2] - 0.004) < 0.02


def test_compiled_quaternions_are_those_of_frames() -> None:
    rotvecs = np.random.default_rng(0).uniform(-np.pi, np.pi, (200, 3))
    for rotvec in (*rotvecs, *np.eye(3) * np.pi, np.zeros(3)):
        turn = exp_so3(rotvec)
        np.testing.assert_allclose(matrix_from_quat(quat_of(turn)), turn, atol=1e-9)
        np.testing.assert_allclose(abs(quat_of(turn) @ quat_from_matrix(turn)), 1.0, atol=1e-9)
    ends, share = quat_from_rotvec(rotvecs).reshape(2, 100, 4), np.linspace(0.0, 1.0, 100)
    between = slerp(ends[0], ends[1], share)
    np.testing.assert_allclose(np.abs(np.sum(between * quat_slerp(*ends, share), axis=1)), 1.0, atol=1e-9)


def test_the_imu_sits_beside_the_lidar() -> None:
    odometry = LidarInertialOdometry()
    expected = g1.LIDAR_POS_IN_TORSO + LIDAR_TURN @ IMU_POS_IN_LIDAR
    np.testing.assert_allclose(odometry._imu_pos, expected)


def test_a_scan_does_not_wait_for_the_sample_at_its_end() -> None:
    room, odometry = Room(), LidarInertialOdometry()
    room.play(odometry, 3.0)
    for _ in range(10):
        for _ in range(19):
            room.time_s += 0.005
            odometry.on_imu(room.time_s, *room.imu(room.time_s))
        xyz, offset_s = room.scan(room.time_s - 0.095)
        assert odometry.on_scan(xyz, offset_s, room.time_s - 0.095)[0] is ScanVerdict.MATCHED
        assert odometry.newest_pose.time_s == pytest.approx(room.time_s + 0.005, abs=1e-4)
        room.time_s += 0.005
        odometry.on_imu(room.time_s, *room.imu(room.time_s))
    assert error_m(room, odometry) < 0.01


def test_tiny_scans_are_predicted_over_and_then_matched_again() -> None:
    room, odometry = Room(), LidarInertialOdometry()
    room.play(odometry, 3.0)
    verdicts = room.play(odometry, 0.5, alter=lambda xyz: xyz[:3])
    assert set(verdicts) == {ScanVerdict.FEW_POINTS}
    assert error_m(room, odometry) < 0.05
    assert room.play(odometry, 1.0)[-1] is ScanVerdict.MATCHED
    assert odometry.epoch == 0
    assert error_m(room, odometry) < 0.015


def test_without_matches_it_begins_anew_instead_of_running_away() -> None:
    room, odometry = Room(), LidarInertialOdometry()
    room.play(odometry, 3.0)
    verdicts = room.play(odometry, 2.0, alter=lambda xyz: np.full_like(xyz, np.nan))
    assert ScanVerdict.LOST in verdicts
    assert odometry.epoch == 1
    assert room.play(odometry, 1.5)[-1] is ScanVerdict.MATCHED


@pytest.mark.parametrize("jump_s", [-1.0, 5.0])
def test_a_jump_in_time_begins_anew(jump_s: float) -> None:
    room, odometry = Room(), LidarInertialOdometry()
    room.play(odometry, 2.0)
    room.time_s += jump_s
    verdicts = room.play(odometry, 2.0)
    assert odometry.epoch == 1
    assert verdicts[-1] is ScanVerdict.MATCHED


def test_samples_that_are_late_or_not_finite_are_dropped() -> None:
    odometry = LidarInertialOdometry()
    assert odometry.on_imu(1.0, np.zeros(3), GRAVITY)
    assert not odometry.on_imu(0.995, np.zeros(3), GRAVITY)
    assert not odometry.on_imu(1.005, np.array([np.nan, 0, 0]), GRAVITY)
