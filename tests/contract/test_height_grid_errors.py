"""The errors that the mapper was measured to make, and the noise that policies are trained with."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from vm_core import g1
from vm_core.height_grid import MEASURED_ERRORS_FILE
from vm_core.scene_asset import SceneAsset, SceneBox


@pytest.fixture(scope="module")
def measured() -> dict:
    return json.loads(MEASURED_ERRORS_FILE.read_text())


@pytest.mark.parametrize("pose", ["true pose", "own odometry"])
def test_the_file_holds_what_a_noise_model_needs(measured: dict, pose: str) -> None:
    found = measured[pose]
    assert found["cells"] > 100_000
    assert 0.0 <= found["unknown_share"] < 0.05
    for name in ("by_age_s", "by_edge_distance_m"):
        assert len(found[name]) >= 4
        assert all(row["from"] < row["to"] and row["std_m"] > 0.0 for row in found[name])
    assert 0.0 < found["z_drift_2s_m"]["p50"] < found["z_drift_2s_m"]["p95"]


def test_training_draws_the_errors_that_were_measured(measured: dict) -> None:
    from vm_training.mdp.grid_errors import GridErrorScales

    found, scales = measured["own odometry"], GridErrorScales.measured()
    assert scales.spread_m == tuple(row["std_m"] for row in found["by_age_s"])
    assert scales.unknown_share == found["unknown_share"]
    assert scales.drift_m == pytest.approx(found["z_drift_2s_m"]["p95"] / 1.96)


ROBOTS = 600


def walkers_grid(edge_x: float) -> np.ndarray:
    """(R, 11, 11) terrain heights [m] that walking robots at the origin read beside a step of 20 cm that begins at
    edge_x."""
    from vm_training.mdp.observations import SensorNoise
    from vm_training.mdp.walk_observations import GRID, WalkObserver, torso_pose

    step = SceneBox((edge_x + 5.0, 0.0, 0.1), (5.0, 5.0, 0.1), 0.0, "step")
    qpos, qvel = np.zeros((ROBOTS, 30)), np.zeros((ROBOTS, 29))
    qpos[:, 2], qpos[:, 3], qvel[:, 0] = g1.STAND_PELVIS_HEIGHT_M, 1.0, 0.4
    qpos[:, 0] = -torso_pose(qpos)[0][:, 0]
    env = SimpleNamespace(
        num_envs=ROBOTS,
        rng=np.random.default_rng(0),
        scene=SceneAsset(boxes=(step,)),
        clip=SimpleNamespace(fps=50.0),
        physics=SimpleNamespace(qpos=qpos, qvel=qvel),
    )
    operator = SimpleNamespace(command=lambda: np.zeros((ROBOTS, 3)), phase=lambda: np.zeros((ROBOTS, 2)))
    observer = WalkObserver(env, operator, np.zeros(23), SensorNoise(0.0, 0.0, 0.0, 0.0, 0.0, 0.0))  # pyright: ignore
    below = observer.observe()[:, -GRID.num_cells :] / 2.0  # the term's scale
    return (torso_pose(qpos)[0][:, 2:] - below).reshape(ROBOTS, GRID.size_x, GRID.size_y)


def test_walkers_see_the_measured_spread_away_from_edges(measured: dict) -> None:
    found, level = measured["own odometry"], walkers_grid(3.0)
    wanted = np.hypot(found["away_from_edges"]["std_m"], found["z_drift_2s_m"]["p95"] / 1.96)
    assert 0.6 * wanted < level[np.abs(level) < 0.1].std() < 1.7 * wanted


def test_walkers_see_cells_on_the_wrong_side_of_an_edge_as_often_as_measured(measured: dict) -> None:
    wanted = seen = 0.0
    rows = [row for row in measured["own odometry"]["by_edge_distance_m"] if 0.01 < row["share_over_5cm"] < 0.3]
    assert rows
    for row in rows:
        upper = walkers_grid(0.5 * (row["from"] + row["to"]))[:, 5] > 0.1  # the row of cells under the torso
        wanted += row["share_over_5cm"]
        seen += float(upper.mean())
    assert seen == pytest.approx(wanted, rel=0.5)
