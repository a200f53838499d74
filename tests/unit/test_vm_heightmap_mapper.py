"""Poses, deskew, point filters, and what the mapper says about broken input."""

import math
import re
import resource
from pathlib import Path

import numpy as np
import pytest

from vm_core import frames, g1, livox_cdr, unitree_cdr
from vm_core.errors import VmError
from vm_core.height_grid import CellSource
from vm_heightmap.mapper import HeightMapper
from vm_heightmap.mapper_config import MapperConfig
from vm_heightmap.node_parameters import PARAMETERS, mapper_config
from vm_heightmap.point_filters import FilterConfig, filter_and_place
from vm_heightmap.pose_buffer import PoseBuffer, PoseVerdict
from vm_heightmap.scan_input import Scan

UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])
STAND = np.array([0.0, 0.0, g1.STAND_PELVIS_HEIGHT_M])


def low_state() -> bytes:
    record = unitree_cdr.new_low_state()
    unitree_cdr.set_motors(record, "q", g1.DEFAULT_STAND_POSE)
    return record.tobytes()


def scan_bytes(xyz: np.ndarray, stamp_s: float = 0.0) -> bytes:
    points = np.zeros(len(xyz), dtype=livox_cdr.POINT)
    for axis, values in zip("xyz", np.asarray(xyz, dtype=float).reshape(-1, 3).T, strict=True):
        points[axis] = values
    return livox_cdr.encode_custom_msg(livox_cdr.LivoxScan(round(stamp_s * 1e9), "livox_frame", 0, points))


def standing_mapper() -> HeightMapper:
    mapper = HeightMapper()
    mapper.on_low_state(low_state())
    for k in range(20):
        mapper.on_odometry(0.01 * k, STAND, UPRIGHT, 0.01 * k)
    return mapper


def test_interpolation_is_linear_and_slerp() -> None:
    buffer = PoseBuffer()
    buffer.add(0.0, np.zeros(3), UPRIGHT)
    buffer.add(0.1, np.array([0.1, 0.0, 0.0]), np.array([np.cos(0.2), 0.0, 0.0, np.sin(0.2)]))
    pos, quat = buffer.at(np.array([0.025]))
    np.testing.assert_allclose(pos[0], [0.025, 0.0, 0.0])
    np.testing.assert_allclose(quat[0], [np.cos(0.05), 0.0, 0.0, np.sin(0.05)])


@pytest.mark.parametrize(
    ("time_s", "pos", "quat", "verdict", "epoch"),
    [
        (1.01, [0.01, 0, 0], UPRIGHT, PoseVerdict.ACCEPTED, 0),
        (1.0, [0, 0, 0], UPRIGHT, PoseVerdict.LATE, 0),
        (0.95, [0, 0, 0], UPRIGHT, PoseVerdict.LATE, 0),
        (0.0, [0, 0, 0], UPRIGHT, PoseVerdict.TIME_JUMP, 1),
        (6.0, [0, 0, 0], UPRIGHT, PoseVerdict.TIME_JUMP, 1),
        (1.01, [0, 0, 0.5], UPRIGHT, PoseVerdict.POSE_JUMP, 1),
        (1.01, [0, 0, 0], np.array([np.cos(0.26), 0, 0, np.sin(0.26)]), PoseVerdict.POSE_JUMP, 1),
        (1.01, [0, np.nan, 0], UPRIGHT, PoseVerdict.NOT_FINITE, 0),
        (1.01, [0, 0, 0], np.zeros(4), PoseVerdict.NOT_FINITE, 0),
    ],
)
def test_gates(time_s: float, pos: list, quat: np.ndarray, verdict: PoseVerdict, epoch: int) -> None:
    buffer = PoseBuffer()
    buffer.add(1.0, np.zeros(3), UPRIGHT)
    assert buffer.add(time_s, np.array(pos, dtype=float), quat) is verdict
    assert buffer.epoch == epoch


def test_filters_count_each_cause() -> None:
    row = np.concatenate([[0, 0, 1.2], np.eye(3).ravel(), [0, 0, 0.8]])
    xyz = np.array(
        [[np.nan, 0, 0], [np.inf, 0, 0], [0, 0, 0], [0.2, 0, 0]]
        + [[0.3, 0, -0.5], [20, 0, 0], [2, 0, 1.0], [1.5, 0, -1.2]]
    )
    points, origins, counts = filter_and_place(xyz, np.zeros(8), np.stack([row, row]), 0.1, FilterConfig())
    dropped = (counts.not_finite, counts.no_return, counts.body, counts.out_of_bounds)
    assert (counts.total, *dropped, counts.kept) == (8, 2, 2, 1, 2, 1)
    np.testing.assert_allclose(points, [[1.5, 0.0, 0.0]])
    np.testing.assert_allclose(origins, [[0.0, 0.0, 1.2]])


def test_each_point_is_placed_at_its_own_time() -> None:
    knots = np.array([np.concatenate([[x, 0, 1.2], np.eye(3).ravel(), [x, 0, 0.8]]) for x in (0.0, 0.1)])
    xyz = np.tile([1.0, 0.0, -1.2], (3, 1))
    points, _, _ = filter_and_place(xyz, np.array([0.0, 0.05, 0.1]), knots, 0.1, FilterConfig())
    np.testing.assert_allclose(points[:, 0], [1.0, 1.05, 1.1])


def test_start_is_seeded_from_the_feet() -> None:
    sample, _ = standing_mapper().grid(0.2)
    assert np.all(sample.source == CellSource.SEEDED)
    np.testing.assert_allclose(sample.height, 0.0, atol=0.01)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (scan_bytes(np.zeros((0, 3))), "scan without points"),
        (scan_bytes(np.zeros((100, 3))), "all 100 points are no-returns"),
        (scan_bytes(np.full((100, 3), np.nan)), "100 not finite of 100"),
        (scan_bytes(np.full((3, 3), 1.0)), "only 0 of 3 points usable|only 3 of 3 points usable"),
        (b"", "cut off or damaged"),
        (b"\x00\x01\x00\x00" + b"\xff" * 200, "LiDAR message"),
        (np.random.default_rng(0).bytes(5000), "LiDAR message"),
        (scan_bytes(np.ones((10, 3)))[:-50], "announces|cut off"),
    ],
)
def test_bad_scans_are_named_and_survived(data: bytes, message: str) -> None:
    mapper = standing_mapper()
    mapper.on_scan(data, 0.2)
    assert re.search(message, mapper.errors(0.2)["lidar"])
    assert mapper.grid(0.2) is not None


def test_scan_waits_for_its_poses() -> None:
    mapper = standing_mapper()
    mapper.on_scan(scan_bytes(np.tile([1.5, 0.0, 1.2], (600, 1)), 0.205), 0.2)
    assert mapper.scans == 0
    mapper.on_odometry(0.21, STAND, UPRIGHT, 0.21)
    assert mapper.scans == 1
    assert "lidar" not in mapper.errors(0.21)


def test_scan_of_another_clock_is_named() -> None:
    mapper = standing_mapper()
    mapper.on_scan(scan_bytes(np.ones((600, 3)), 1.7e9), 0.2)
    assert "has no poses" in mapper.errors(0.2)["lidar"]
    assert mapper.scans == 0


def test_stale_odometry_is_an_error_and_ages_grow() -> None:
    mapper = standing_mapper()
    sample, _ = mapper.grid(2.19)
    assert "none for 2.00 s" in mapper.errors(2.19)["odometry"]
    assert np.all((sample.age_s > 1.9) & (sample.age_s < 2.2))


def test_pose_jump_clears_and_seeds_again() -> None:
    mapper = standing_mapper()
    mapper.on_odometry(0.2, STAND + [0.0, 0.0, 0.5], UPRIGHT, 0.2)
    sample, _ = mapper.grid(0.2)
    assert mapper.epoch == 1
    np.testing.assert_allclose(sample.height, 0.5, atol=0.01)


def test_memory_stays_flat_over_many_scans() -> None:
    def resident_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6

    mapper, rng = HeightMapper(), np.random.default_rng(0)
    mapper.on_low_state(low_state())
    ring = rng.uniform(-2.0, 2.0, (3000, 3))
    ring[:, 2] = 1.2
    after_warm_up = 0.0
    for k in range(600):
        for tick in range(1, 11):
            time_s = 0.1 * k + 0.01 * tick
            mapper.on_odometry(time_s, STAND + [0.4 * time_s, 0.0, 0.0], UPRIGHT, time_s)
        mapper.on_scan(scan_bytes(ring, 0.1 * k + 0.05), time_s)
        assert mapper.grid(time_s) is not None
        if k == 200:
            after_warm_up = resident_mb()
    assert mapper.scans == 600
    assert resident_mb() - after_warm_up < 3.0


@pytest.mark.parametrize("body", ["torso", "lidar"])
def test_odometry_of_another_body_gives_the_same_torso(body: str) -> None:
    pelvis, other = HeightMapper(), HeightMapper(MapperConfig(odometry_body=body))
    turn = frames.quat_from_rotvec(np.array([0.02, 0.05, 0.7]))
    pelvis.on_odometry(0.0, STAND, turn, 0.0)
    torso = pelvis.newest_pose
    assert torso is not None
    pos, quat = torso.pos, torso.quat_wxyz
    if body == "lidar":
        pos = pos + frames.quat_rotate(quat, g1.LIDAR_POS_IN_TORSO)
        quat = frames.quat_multiply(quat, g1.LIDAR_QUAT_IN_TORSO_WXYZ)
    other.on_odometry(0.0, pos, quat, 0.0)
    found = other.newest_pose
    assert found is not None
    np.testing.assert_allclose(found.pos, torso.pos, atol=1e-9)
    assert abs(found.quat_wxyz @ torso.quat_wxyz) == pytest.approx(1.0)


def ray_cast_floor(pos: np.ndarray, turn: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Points (N, 3) in the sensor's frame of a floor at z = 0 with a step of 12 cm from x = 1.2 m on."""
    world = directions @ turn.T
    with np.errstate(divide="ignore"):
        low, high = -pos[2] / world[:, 2], (0.12 - pos[2]) / world[:, 2]
    on_step = (pos[0] + high * world[:, 0] > 1.2) & (high > 0)
    ranges = np.where(on_step, high, np.where(low > 0, low, np.nan))
    return directions * np.where(ranges < 4.0, ranges, np.nan)[:, None]


def played(config: MapperConfig, directions: np.ndarray) -> HeightMapper:
    """A robot that walks 1.4 m forward while the sensor of this mount looks along the directions (N, 3)."""
    mapper = HeightMapper(config)
    mapper.on_low_state(low_state())
    mount = np.array(config.lidar_pos_torso), frames.matrix_from_quat(np.array(config.lidar_quat_torso_wxyz))
    for k in range(400):
        time_s, walked = 0.01 * k, 0.4 * max(0.0, 0.01 * k - 0.5)
        mapper.on_odometry(time_s, STAND + [walked, 0.0, 0.0], UPRIGHT, time_s)
        if k % 10 == 0 and k:
            pose = mapper.newest_pose
            assert pose is not None
            xyz = ray_cast_floor(pose.pos + mount[0], mount[1], directions)
            mapper.on_points(Scan(time_s, xyz.astype(np.float32), np.zeros(len(xyz))), time_s)
    return mapper


def told_step(mapper: HeightMapper) -> None:
    found = mapper.grid(4.0)
    assert found is not None
    sample = found[0]
    assert mapper.fusion.mount.passed, mapper.fusion.mount.problem
    inside = np.abs(sample.points_world[:, 0] - 1.2) > 0.05
    expected = np.where(sample.points_world[:, 0] > 1.2, 0.12, 0.0)
    assert np.mean(sample.source == CellSource.SEEN) > 0.8
    np.testing.assert_allclose(sample.height[inside], expected[inside], atol=0.02)


def test_a_depth_camera_in_its_optical_frame() -> None:
    """640×480 pixels, pitched down by 45 degrees on the head; yaw, tilt and roll as a URDF's rpy."""
    u, v = np.meshgrid(np.linspace(-0.7, 0.7, 640), np.linspace(-0.55, 0.55, 480))
    directions = np.stack([u.ravel(), v.ravel(), np.ones(u.size)], axis=-1)
    values = {name: default for name, (default, _) in PARAMETERS.items()}
    values |= {"lidar_roll_rad": -math.pi / 2 - math.pi / 4, "lidar_tilt_rad": 0.0, "lidar_yaw_rad": -math.pi / 2}
    mapper = played(mapper_config(values.__getitem__), directions / np.linalg.norm(directions, axis=1)[:, None])
    told_step(mapper)
    assert mapper.fusion.counts is not None
    assert mapper.fusion.counts.total <= 44_000  # of 307,200


def test_an_upright_lidar_is_taken_when_it_is_told() -> None:
    angle, down = np.meshgrid(np.linspace(-np.pi, np.pi, 160), np.linspace(-1.0, -0.3, 60))
    directions = np.stack([np.cos(angle) * np.cos(down), np.sin(angle) * np.cos(down), np.sin(down)], axis=-1)
    values = {name: default for name, (default, _) in PARAMETERS.items()}
    values |= {"lidar_roll_rad": 0.0, "lidar_tilt_rad": 0.0}
    told_step(played(mapper_config(values.__getitem__), directions.reshape(-1, 3)))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("rate_hz", 0.0, "rate_hz is 0.0"),
        ("odometry_source", "gps", "topic or own"),
        ("odometry_body", "arm", "pelvis"),
    ],
)
def test_parameters_that_cannot_be_are_named(name: str, value: object, words: str) -> None:
    values = {known: default for known, (default, _) in PARAMETERS.items()} | {name: value}
    with pytest.raises(VmError, match=words):
        mapper_config(values.__getitem__)
