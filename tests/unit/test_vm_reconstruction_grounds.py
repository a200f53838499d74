"""Floors and landings as planes that all rests on them share: which rests, and that landings come out level."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vm_reconstruction.datasets.make_dataset import DatasetConfig, make_dataset
from vm_reconstruction.datasets.synthetic.video_truth import VideoTruth
from vm_reconstruction.frontends.noisy_oracle import observe
from vm_reconstruction.frontends.oracle_noise import OracleNoise
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.solver.joint import grounds, so3, solve
from vm_reconstruction.solver.joint.problem import Sigmas
from vm_reconstruction.solver.joint.skeleton import SOLES, TOTAL_POINTS

FRAMES_A_REST, DRIFT_DEG = 6, 4.0


def _walk(heights: list[float], stride_m: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Points (T, 19, 3) and rests (T, 4) of who sets down left and right foot in turn at these heights."""
    frames = FRAMES_A_REST * len(heights)
    points, still = np.zeros((frames, TOTAL_POINTS, 3)), np.zeros((frames, len(SOLES)))
    for k, z in enumerate(heights):
        at, soles = slice(k * FRAMES_A_REST, (k + 1) * FRAMES_A_REST - 1), slice(2 * (k % 2), 2 * (k % 2) + 2)
        points[at, SOLES[soles]] = [stride_m * k, 0.1 * (-1) ** k, z]
        still[at, soles] = 1.0
    return points, still


def test_a_floor_and_a_landing_are_two_grounds_and_treads_are_none() -> None:
    points, still = _walk([0.0, 0.01, -0.01, 0.0, 0.17, 0.34, 0.51, 0.52, 0.5])
    found = grounds.found([points], [still])
    assert found.count == 2
    np.testing.assert_allclose(found.first[:, 0], [0.0, 0.51], atol=1e-9)
    rests = found.of[0].max(axis=1)[::FRAMES_A_REST]
    assert rests.tolist() == [0, 0, 0, 0, -1, -1, 1, 1, 1]
    flat = found.trust[0][:FRAMES_A_REST, 0]
    assert np.sum(2 * flat**2) == pytest.approx(1.0)  # heel and toe, all frames: one measurement


def test_a_rest_beside_the_plane_of_the_others_is_left_out() -> None:
    found = grounds.found(*([v] for v in _walk([0.0, 0.0, 0.05, 0.0, 0.0])))
    assert found.count == 1 and found.of[0].max(axis=1)[::FRAMES_A_REST].tolist() == [0, 0, -1, 0, 0]
    assert grounds.found(*([v] for v in _walk([0.0, 0.2, 0.4, 0.6]))).count == 0


def test_a_floor_is_held_level_and_a_ramp_is_let_be() -> None:
    """The pull on a slope grows to a few degrees and falls again."""
    shared = grounds.found(*([v] for v in _walk([0.0, 0.0, 0.0])))

    def pull(degrees: float) -> float:
        planes = np.array([[0.0, np.tan(np.radians(degrees)), 0.0]])
        [rows] = list(grounds.rows(shared, planes, [], 3, 0.01, np.radians(0.3), 4.0))
        weights, border = rows.weights(), rows.border
        assert weights is not None and border is not None
        return float(((rows.residual * weights)[..., None] * border).sum())

    assert pull(1.0) > 2 * pull(0.2) > 0
    assert pull(8.0) < 0.5 * pull(1.0)


@pytest.fixture(scope="module")
def stairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("set")
    return make_dataset(DatasetConfig(out, videos=2, fps=15.0, pictures=False, depth_px=96))[1]


def _unevenness(found: HumanMotion, truth: HumanMotion, height: float) -> float:
    """Standard deviation [m] of the heights of feet at rest where the truth has them all at one height."""
    heights = []
    for side in ("left", "right"):
        names = [f"{side}_{part}" for part in ("heel", "toe")]
        soles = [np.stack([motion.joint(name)[:, 2] for name in names], axis=1) for motion in (found, truth)]
        rests = truth.touches(f"{side}_foot") & (np.abs(soles[1] - height).max(axis=1) < 0.01)
        heights.append(soles[0][rests].mean(axis=1))
    return float(np.std(np.concatenate(heights)))


def test_landings_are_level_against_a_camera_that_drifts(stairs: Path) -> None:
    """A camera whose roll drifts bends the landing; rests that share a ground keep it straight, without other help."""
    truth = VideoTruth.load(stairs)
    seen = observe(truth, OracleNoise(strength=0.3), seed=3)
    roll = np.radians(DRIFT_DEG) * np.linspace(-1.0, 1.0, seen.num_frames)[:, None] * [0.0, 0.0, 1.0]
    seen = replace(seen, R_world_camera=seen.R_world_camera @ so3.exp(roll))
    landing = max(box.top for box in truth.scene.boxes)
    uneven = []
    for sigma_m in (Sigmas().ground_m, 1e3):
        alone = Sigmas(ground_m=sigma_m, sideways=1e3, over_feet=1e3, facing=1e3)
        uneven.append(_unevenness(solve.solve(seen, alone).people[0], truth.people[0], landing))
    assert uneven[0] < 0.5 * uneven[1] and uneven[0] < 0.01


def test_nothing_without_grounds() -> None:
    assert not list(grounds.rows(grounds.Grounds(), np.zeros((0, 3)), [], 10, 0.01, 0.01, 4.0))
