"""The Mid-360: pattern against the real one, ranges against planes computed by hand."""

from __future__ import annotations

import os
from pathlib import Path

import mujoco
import numpy as np
import pytest

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_sim.g1_model import load_g1_spec, stand_qpos
from vm_sim.lidar import POINT_RATE_HZ, Mid360, Mid360Pattern, join_sub_scans, load_pattern
from vm_sim.terrain import add_scene

DATA = Path(os.environ.get("VM_SHARED_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
REAL_PATTERN = DATA / "lidar" / "mid360_pattern_800k.npz"


def _standing(ground: tuple[float, float, float] = (0.0, 0.0, 0.0), lift: float = 0.0):
    spec = load_g1_spec(collision="full")
    add_scene(spec, SceneAsset(ground=ground))
    model = spec.compile()
    data = mujoco.MjData(model)
    data.qpos[:] = stand_qpos(model)
    data.qpos[2] += lift
    mujoco.mj_kinematics(model, data)
    return model, data


def test_pattern_matches_the_real_sensor():
    if not REAL_PATTERN.is_file():
        pytest.skip(f"needs lidar/{REAL_PATTERN.name}")
    real = load_pattern(REAL_PATTERN)
    picks = np.random.default_rng(1).integers(0, len(real), 20_000)
    error = np.rad2deg(np.linalg.norm(Mid360Pattern().directions(picks) - real[picks], axis=1))
    assert np.sqrt(np.mean(error**2)) < 0.5
    assert error.max() < 1.5


def test_density_over_elevation_matches_the_real_sensor():
    if not REAL_PATTERN.is_file():
        pytest.skip(f"needs lidar/{REAL_PATTERN.name}")
    edges = np.arange(-8, 54, 4)
    shares = [
        np.histogram(np.rad2deg(np.arcsin(z)), edges)[0] / len(z)
        for z in (load_pattern(REAL_PATTERN)[:, 2], Mid360Pattern().directions(np.arange(800_000))[:, 2])
    ]
    np.testing.assert_allclose(shares[0], shares[1], atol=0.005)


def test_field_of_view():
    elevation = np.rad2deg(np.arcsin(Mid360Pattern().directions(np.arange(0, 800_000, 7))[:, 2]))
    assert -8.0 < elevation.min() < -6.5
    assert 51.0 < elevation.max() < 53.0


@pytest.mark.parametrize("ground", [(0.0, 0.0, 0.0), (0.1, -0.05, 0.0)])
def test_ground_points_lie_on_the_plane(ground):
    model, data = _standing(ground, lift=0.3)
    lidar = Mid360(model, np.random.default_rng(0), range_std_m=0.0)
    points = join_sub_scans([lidar.sub_scan(data) for _ in range(10)])
    xyz = np.stack([points[axis] for axis in "xyz"], axis=-1)
    position, rotation = lidar.pose_world(data)
    world = xyz[np.any(xyz != 0.0, axis=1)] @ rotation.T + position
    height = world[:, 2] - world[:, :2] @ np.array(ground[:2]) - ground[2]
    on_ground = np.abs(height) < 1e-4
    assert on_ground.sum() > 5000
    own_body = np.linalg.norm(world[~on_ground][:, :2] - data.qpos[:2], axis=1)
    assert np.all(own_body < 0.7)  # what is not ground is the robot itself
    assert len(own_body) > 10


def test_upward_points_do_not_return():
    model, data = _standing()
    points = Mid360(model, np.random.default_rng(0)).sub_scan(data, 0.1)
    zero = (points["x"] == 0.0) & (points["y"] == 0.0) & (points["z"] == 0.0)
    directions = Mid360Pattern().directions(np.arange(len(points)))
    assert zero[directions[:, 2] < -0.05].all()  # upside down: the pattern's lower rim looks up
    assert not zero[directions[:, 2] > 0.5].any()


def test_range_noise_has_the_stated_deviation():
    model, data = _standing()
    clean, noisy = (Mid360(model, np.random.default_rng(0), range_std_m=std).sub_scan(data, 0.1) for std in (0, 0.015))
    ranges = [np.sqrt(scan["x"] ** 2 + scan["y"] ** 2 + scan["z"] ** 2) for scan in (clean, noisy)]
    assert np.std((ranges[1] - ranges[0])[ranges[0] > 0]) == pytest.approx(0.015, rel=0.05)


def test_sub_scans_go_on_in_the_pattern_and_in_time():
    model, data = _standing()
    lidar = Mid360(model, np.random.default_rng(0), range_std_m=0.0)
    parts = [lidar.sub_scan(data), lidar.sub_scan(data)]
    whole = Mid360(model, np.random.default_rng(0), range_std_m=0.0).sub_scan(data, 0.02)
    joined = join_sub_scans(parts)
    np.testing.assert_array_equal(joined, whole)
    assert joined["offset_time"][-1] == (len(joined) - 1) * 10**9 // POINT_RATE_HZ


def test_external_pattern(tmp_path):
    path = tmp_path / "pattern.npz"
    np.savez(path, azimuth_deg=np.array([0.0, 90.0]), elevation_deg=np.array([0.0, 45.0]))
    np.testing.assert_allclose(load_pattern(path)[1], [0.0, 0.70710678, 0.70710678], atol=1e-7)
    np.savez(path, azimuth=np.zeros(3))
    with pytest.raises(VmError, match="azimuth_deg and elevation_deg"):
        load_pattern(path)
