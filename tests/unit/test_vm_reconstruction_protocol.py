"""The published measures on cases whose answer is known, and the set's evaluation from end to end on one video."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_reconstruction.datasets.make_dataset import DatasetConfig, make_dataset
from vm_reconstruction.evaluate import EvaluationConfig
from vm_reconstruction.evaluation import dataset, protocol, scene_metrics
from vm_reconstruction.evaluation.terrain import drop_test
from vm_reconstruction.geometry import planes
from vm_reconstruction.solver.joint import so3

RNG = np.random.default_rng(0)
TURN, SHIFT = so3.exp(np.array([0.3, -0.2, 0.8])), np.array([1.0, -2.0, 0.5])


def _walk(frames: int = 230) -> np.ndarray:
    path = np.column_stack([np.linspace(0, 4, frames), np.sin(np.linspace(0, 3, frames)), np.zeros(frames)])
    return path[:, None] + RNG.standard_normal((21, 3)) * 0.4


def test_similar_motions_have_no_error() -> None:
    truth = _walk()
    estimate = 1.7 * truth @ TURN.T + SHIFT
    for measure in (protocol.w_mpjpe, protocol.wa_mpjpe, protocol.pa_mpjpe):
        assert measure(estimate, truth) < 1e-6
    assert protocol.mpjpe(truth @ TURN.T + SHIFT, truth) < 1e-6
    assert protocol.root_error(estimate[:, 0], truth[:, 0]) > 5.0  # a wrong size is an error of the path


def test_drift_shows_in_the_world_and_not_in_the_frame() -> None:
    truth = _walk()
    drift = truth + np.linspace(0, 1, len(truth))[:, None, None] * [0.0, 0.5, 0.0]
    assert protocol.pa_mpjpe(drift, truth) < 1e-6
    assert protocol.w_mpjpe(drift, truth) > protocol.wa_mpjpe(drift, truth) > 10.0


def test_mean_error_is_in_millimetres() -> None:
    truth = np.zeros((100, 21, 3)) + RNG.standard_normal((21, 3))
    estimate = truth.copy()
    estimate[:, 5, 0] += 0.021
    assert 1.0 <= protocol.mpjpe(estimate, truth) < 4.0  # 21 mm in one of 21 joints, and what the alignment adds


def test_skate_counts_the_slower_of_heel_and_toe_while_standing() -> None:
    soles = np.zeros((31, 1, 2, 3))
    soles[:, 0, 0, 0] = np.arange(31) / 30.0  # the heel moves at 1 m/s, the toe stays
    assert protocol.foot_skate(soles, np.ones((31, 1)), 30.0) == 0.0
    soles[:, 0, 1, 0] = 0.1 * np.arange(31) / 30.0
    assert protocol.foot_skate(soles, np.ones((31, 1)), 30.0) == pytest.approx(10.0)
    assert protocol.foot_skate(soles, np.zeros((31, 1)), 30.0) == 0.0


def test_chamfer_is_zero_after_a_rigid_move_and_grows_with_the_size() -> None:
    points = RNG.uniform(-2, 2, (5000, 3)) * [1, 1, 0]
    assert scene_metrics.chamfer(points @ TURN.T + SHIFT, points) < 0.02
    assert scene_metrics.chamfer(1.1 * points + [0, 0, 0.05], points) > scene_metrics.chamfer(points, points)


def test_planes_are_as_wrong_as_they_are_off_and_turned() -> None:
    wall = np.column_stack([RNG.uniform(-2, 2, 2000), np.full(2000, 2.0), RNG.uniform(0, 2, 2000)])
    floor = np.column_stack([RNG.uniform(-2, 2, (4000, 2)), np.zeros(4000)])
    truth, tolerance = np.concatenate([wall, floor]), np.full(6000, 0.02)
    assert scene_metrics.plane_error(truth @ TURN.T + SHIFT, truth, tolerance) < 1e-3
    farther = truth + np.where(np.arange(6000) < 2000, 0.06, 0.0)[:, None] * [0.0, 1.0, 0.0]
    assert 0.005 < scene_metrics.plane_error(farther, truth, tolerance) < 0.04  # the alignment shares 6 cm out


def test_planes_are_found_and_points_snapped() -> None:
    floor = np.column_stack([RNG.uniform(-2, 2, (3000, 2)), 0.02 * RNG.standard_normal(3000)])
    wall = np.column_stack([RNG.uniform(-2, 2, 1500), np.full(1500, 2.0), RNG.uniform(0.2, 2, 1500)])
    cloud = np.concatenate([floor, wall, RNG.uniform(-2, 2, (200, 3))])
    found = planes.find_planes(cloud, np.full(len(cloud), 0.06), 0.1, 5)
    assert len(found) == 2
    assert abs(found[0].normal[2]) > 0.999 and abs(found[1].normal[1]) > 0.999
    assert np.abs(planes.snapped(cloud, found)[:3000, 2]).mean() < 0.004


def test_a_set_is_evaluated_from_end_to_end(tmp_path: Path) -> None:
    make_dataset(DatasetConfig(tmp_path / "set", videos=2, fps=20.0, pictures=False, depth_px=80))
    out = tmp_path / "out"
    result = dataset.evaluate_dataset(tmp_path / "set", out, ["published start", "joint"], seed=0, strength=1.0)
    dataset.print_table(result)
    written = json.loads((out / "evaluation.json").read_text())
    assert written["summary"] == result["summary"]
    ours, first = result["summary"]["joint"], result["summary"]["published start"]
    assert ours["w_mpjpe_mm"] < 0.7 * first["w_mpjpe_mm"] and ours["skate_cm_s"] < 0.2 * first["skate_cm_s"]
    assert 0.0 < ours["plane_cm"] < 15.0 and 0.9 < ours["non_penetration"] <= 1.0
    assert (out / "evaluation.png").stat().st_size > 10_000
    assert len(list((out / "observations").iterdir())) == 2


def test_wrong_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(VmError, match="no videos with truth"):
        dataset.evaluate_dataset(tmp_path, tmp_path, ["joint"], 0, 1.0)
    with pytest.raises(VmError, match="no method 'magic'; there are: published start"):
        dataset.evaluate_dataset(tmp_path, tmp_path, ["magic"], 0, 1.0)
    with pytest.raises(VmError, match="either --truth"):
        EvaluationConfig(tmp_path)


def test_cubes_rest_where_the_scene_says_and_a_box_that_tells_another_height_is_found() -> None:
    step = SceneBox((0.5, 0.0, 0.1), (0.3, 0.4, 0.1), 0.3, "step", 0.01)
    pieces, off_mm = drop_test(SceneAsset(boxes=(step,), ground=(0.0, 0.0, 0.0)))
    assert pieces == 2 and off_mm < 2.0

    class Wrong(SceneAsset):
        def height_at(self, xy):
            return super().height_at(xy) + np.where(np.hypot(*(xy - [0.5, 0.0]).T) < 0.2, 0.012, 0.0)

    assert drop_test(Wrong(boxes=(step,), ground=(0.0, 0.0, 0.0)))[1] > 5.0


def test_the_verticals_error_is_the_tilt_and_not_the_turn_about_it() -> None:
    cameras = np.array([so3.exp(RNG.standard_normal(3)) for _ in range(20)])
    turned, tilted = so3.exp(np.array([0.0, 0.0, 0.7])), so3.exp(np.array([np.radians(3.0), 0.0, 0.0]))
    assert protocol.vertical_error(turned @ cameras, cameras) < 1e-5
    assert protocol.vertical_error(tilted @ turned @ cameras, cameras) == pytest.approx(3.0)
