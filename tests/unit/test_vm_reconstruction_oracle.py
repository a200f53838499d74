"""The noisy oracle errs as much as it says, and not at all at strength 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vm_core.errors import VmError
from vm_reconstruction.datasets.make_dataset import DatasetConfig, make_dataset
from vm_reconstruction.datasets.synthetic.video_truth import VideoTruth
from vm_reconstruction.frontends.noisy_oracle import observe
from vm_reconstruction.frontends.oracle_noise import OracleNoise
from vm_reconstruction.human_motion import joint_index
from vm_reconstruction.observations import Observations
from vm_reconstruction.solver.body_problem import POINTS


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> VideoTruth:
    out = tmp_path_factory.mktemp("set")
    return VideoTruth.load(make_dataset(DatasetConfig(out, videos=1, fps=15.0, pictures=False, depth_px=96))[0])


def _camera_points(truth: VideoTruth) -> np.ndarray:
    points = truth.people[0].joint_pos_world[:, [joint_index(name) for name in POINTS]]
    T = truth.T_world_camera
    return np.einsum("tji,tnj->tni", T[:, :3, :3], points - T[:, None, :3, 3])


def _pixel_error(truth: VideoTruth, seen: Observations) -> np.ndarray:
    points = _camera_points(truth) @ truth.matrix.T
    exact = points[..., :2] / points[..., 2:]
    return np.linalg.norm(seen.people[0].xy_px - exact, axis=-1)[seen.people[0].confidence > 0.5]


def test_strength_zero_is_exact_up_to_units(truth: VideoTruth) -> None:
    seen = observe(truth, OracleNoise(strength=0.0), seed=1)
    assert _pixel_error(truth, seen).max() < 1e-6
    points = _camera_points(truth)
    hips = points[:, :2].mean(axis=1, keepdims=True)
    assert np.abs(seen.people[0].points_camera - (points - hips)).max() < 1e-9
    units = seen.depth[truth.depth > 0].astype(float) / truth.depth[truth.depth > 0].astype(float)
    assert np.ptp(units) < 0.01 * units.mean()
    relative = np.linalg.inv(truth.T_world_camera[0]) @ truth.T_world_camera
    assert np.abs(seen.R_world_camera - relative[:, :3, :3]).max() < 1e-9
    assert np.abs(seen.camera_center / units.mean() - relative[:, :3, 3]).max() < 0.01


def test_levels_are_those_of_networks(truth: VideoTruth) -> None:
    seen = observe(truth, OracleNoise(), seed=1)
    points = _camera_points(truth)
    wrong = np.linalg.norm(
        seen.people[0].points_camera - (points - points[:, :2].mean(axis=1, keepdims=True)), axis=-1
    )[seen.people[0].found]
    assert 0.060 < np.median(wrong.mean(axis=1)) < 0.085
    assert 3.0 < np.median(_pixel_error(truth, seen)) < 9.0
    ratio = seen.depth.astype(float)[truth.depth > 0] / truth.depth.astype(float)[truth.depth > 0]
    assert 0.02 < np.std(np.log(ratio / np.median(ratio))) < 0.12
    assert np.degrees(np.arccos(seen.up_first_camera @ truth.T_world_camera[0, 2, :3])) < 6.0


def test_the_same_seed_gives_the_same_observations_and_files_keep_them(truth: VideoTruth, tmp_path: Path) -> None:
    first, again = observe(truth, OracleNoise(), seed=4), observe(truth, OracleNoise(), seed=4)
    first.save(tmp_path / "observations.npz")
    loaded = Observations.load(tmp_path / "observations.npz")
    for one in (again, loaded):
        assert np.array_equal(first.depth, one.depth)
        assert np.array_equal(first.people[0].xy_px, one.people[0].xy_px)
        assert np.array_equal(first.camera_center, one.camera_center)


def test_wrong_input_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"no")
    with pytest.raises(VmError, match="holds no observations"):
        Observations.load(tmp_path / "x.npz")
    with pytest.raises(VmError, match="strength"):
        OracleNoise(strength=-1.0)
