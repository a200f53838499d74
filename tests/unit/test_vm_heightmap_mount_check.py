"""The LiDAR's mount against the floor under the soles."""

import numpy as np
import pytest

from vm_core.frames import quat_from_rotvec, quat_rotate
from vm_heightmap.mount_check import SCANS, MountCheck, MountLimits

SOLES = np.array([[0.0, 0.1, -0.8], [0.0, -0.1, -0.8]])
NORMALS = np.tile([0.0, 0.0, 1.0], (2, 1))
LIDAR = np.array([0.0, 0.0, 0.41])


def floor(seed: int, kerbs: bool = False, step: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    xy = rng.uniform(-3.0, 3.0, (8000, 2))
    z = np.full(len(xy), -0.8)
    if kerbs:
        z[np.abs(xy[:, 1]) > 0.43] += 0.13
    if step:
        z[xy[:, 0] > 1.6] += 0.12
    return np.column_stack([xy, z + rng.normal(0.0, 0.01, len(xy))])


def seen(points: np.ndarray, tilt_rad: np.ndarray) -> np.ndarray:
    """Points as they come out when the mount is off by a rotation vector about the LiDAR."""
    return LIDAR + quat_rotate(quat_from_rotvec(tilt_rad)[None], points - LIDAR)


def check(points_of, tilt_deg=(0.0, 0.0, 0.0)) -> MountCheck:
    mount = MountCheck()
    for seed in range(SCANS):
        mount.add(seen(points_of(seed), np.deg2rad(np.array(tilt_deg))), SOLES, NORMALS)
    return mount


@pytest.mark.parametrize("scene", [{}, {"kerbs": True}, {"step": True}])
def test_right_mounts_pass(scene) -> None:
    mount = check(lambda seed: floor(seed, **scene))
    assert mount.passed, mount.problem


@pytest.mark.parametrize("tilt", [(0.0, 0.5, 0.0), (0.4, -0.4, 0.0)])
def test_half_a_degree_passes(tilt) -> None:
    assert check(floor, tilt).passed


@pytest.mark.parametrize("tilt", [(0.0, 2.3, 0.0), (0.0, -2.3, 0.0), (1.8, 0.0, 0.0), (0.0, 7.0, 0.0)])
def test_wrong_tilt_is_refused_and_measured(tilt) -> None:
    mount = check(floor, tilt)
    assert not mount.passed

    pitch = float(mount.problem.split("roll and ")[1].split(" deg")[0])
    assert abs(pitch + tilt[1]) < 0.3  # what must be added to the setting


def test_an_upright_sensor_sees_no_floor() -> None:
    mount = check(floor, (180.0, 0.0, 0.0))
    assert not mount.passed
    assert "upright" in mount.problem


def test_the_check_can_be_left_out() -> None:
    assert MountCheck(MountLimits(tilt_deg=0.0)).passed
