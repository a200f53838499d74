"""The errors that the mapper was measured to make, and the noise that policies are trained with."""

import dataclasses
import json

import pytest

from vm_core.height_grid import MEASURED_ERRORS_FILE


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


def test_training_noise_covers_the_measured_one(measured: dict) -> None:
    from vm_training.mdp.walk_observations import WalkObserver

    trained = next(field.default for field in dataclasses.fields(WalkObserver) if field.name == "grid_noise_m")
    spread = measured["own odometry"]["away_from_edges"]["std_m"]
    assert spread <= trained <= 5.0 * spread
