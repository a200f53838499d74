"""How people carry themselves, as a help to the joint optimization: the way tells where somebody faces."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from vm_reconstruction.datasets.make_dataset import DatasetConfig, make_dataset
from vm_reconstruction.datasets.synthetic.video_truth import VideoTruth
from vm_reconstruction.evaluation import protocol
from vm_reconstruction.frontends.noisy_oracle import observe
from vm_reconstruction.frontends.oracle_noise import OracleNoise
from vm_reconstruction.solver.joint import posture, so3, solve
from vm_reconstruction.solver.joint.problem import Sigmas
from vm_reconstruction.solver.joint.skeleton import ROTATIONS, SHAPES
from vm_reconstruction.solver.joint.state import PersonState

FPS = 30.0


def _walker(direction_deg: float, speed: float = 0.8, frames: int = 90, standing: int = 0) -> PersonState:
    """Faces +x and goes elsewhere, after `standing` frames."""
    way = np.array([np.cos(np.radians(direction_deg)), np.sin(np.radians(direction_deg)), 0.0])
    moving = np.maximum(np.arange(frames) - standing, 0)[:, None]
    rotation = np.tile(np.eye(3), (frames, len(ROTATIONS), 1, 1))
    return PersonState(moving * way * speed / FPS, rotation, np.zeros(len(SHAPES)), np.zeros((frames, 3)))


@pytest.mark.parametrize(
    ("direction_deg", "expected"),
    [(0.0, [1.0, 0.0, 0.0]), (20.0, [0.94, 0.34, 0.0]), (180.0, [1.0, 0.0, 0.0]), (90.0, [0.0, 0.0, 0.0])],
)
def test_the_way_tells_where_somebody_faces(direction_deg: float, expected: list[float]) -> None:
    """Forward and a little aside, backward; but not of who steps aside."""
    way = posture.ahead(_walker(direction_deg), FPS)
    np.testing.assert_allclose(way[30:60], np.tile(expected, (30, 1)), atol=0.01)


def test_who_stands_faces_as_in_the_walk_to_come_for_a_while() -> None:
    trust = np.linalg.norm(posture.ahead(_walker(10.0, frames=150, standing=90), FPS), axis=1)
    assert not posture.ahead(_walker(0.0, speed=0.0), FPS).any()
    assert trust[0] < 0.15 < trust[60] < 0.75 < 0.99 < trust[130]
    turned_away = posture.ahead(_walker(30.0, frames=150, standing=90), FPS)
    assert not turned_away[:30].any() and np.linalg.norm(turned_away[130]) > 0.99


def test_long_clips_need_little_memory() -> None:
    """Linear in the clip's length: a table of frames by frames would take 3 GB."""
    person = _walker(10.0, frames=20_000, standing=10_000)
    tracemalloc.start()
    way = posture.ahead(person, FPS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
    assert np.linalg.norm(way[9_990]) > 0.5 > 0.01 > np.linalg.norm(way[5_000])


def test_faces_ahead_and_level_at_rest() -> None:
    person = _walker(0.0)
    way = posture.ahead(person, FPS)
    assert np.abs(posture.faces_ahead(person, 0, way, 0.1, 2.0).residual).max() < 1e-9
    assert np.abs(posture.upright_sideways(person, 0, 0.1, 2.0).residual).max() < 1e-9
    person.rotation[:, 0] = so3.exp(np.array([0.2, 0.0, 0.0]))
    np.testing.assert_allclose(posture.upright_sideways(person, 0, 0.1, 2.0).residual, np.sin(0.2) / 0.1)
    person.rotation[:, 0] = so3.exp(np.array([0.0, 0.0, 0.2]))
    np.testing.assert_allclose(posture.faces_ahead(person, 0, way, 0.1, 2.0).residual[40], np.sin(0.2) / 0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("set")
    return make_dataset(DatasetConfig(out, videos=1, fps=15.0, pictures=False, depth_px=96))[0]


def test_posture_makes_the_pose_more_exact_and_calmer(folder: Path) -> None:
    """Without what is known of people's posture the local pose errs a tenth more; freer turns accelerate more."""
    truth = VideoTruth.load(folder)
    seen, exact = observe(truth, OracleNoise(), seed=3), truth.people[0].joint_pos_world
    unknown, free = Sigmas(posture=1e3, facing=1e3, sideways=1e3, over_feet=1e3), Sigmas(turning=4.0)
    ours, plain, jerky = (solve.solve(seen, s).people[0].joint_pos_world for s in (Sigmas(), unknown, free))
    assert protocol.pa_mpjpe(ours, exact) < 0.9 * protocol.pa_mpjpe(plain, exact)
    errors = [protocol.acceleration_error(motion, exact, seen.fps) for motion in (ours, jerky)]
    assert errors[0] < 0.8 * errors[1]
