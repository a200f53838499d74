"""The errors that the mapper was measured to make, and the noise that policies are trained with."""

import dataclasses
import json
from pathlib import Path

import pytest

MEASURED = Path(__file__).resolve().parents[2] / "src" / "vm_heightmap" / "vm_heightmap" / "measured_errors.json"


@pytest.fixture(scope="module")
def measured() -> dict:
    return json.loads(MEASURED.read_text())


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
    """The trainings carry their own copy of the figures, for they may not import the height map."""
    from vm_training.mdp.grid_errors import MEASURED_FILE

    carried = json.loads(MEASURED_FILE.read_text())
    assert carried == {name: measured["own odometry"][name] for name in carried}
    assert {"by_age_s", "by_edge_distance_m", "unknown_share", "z_drift_2s_m"} <= set(carried)


def test_training_noise_covers_the_measured_one(measured: dict) -> None:
    from vm_training.mdp.walk_observations import WalkObserver

    trained = next(field.default for field in dataclasses.fields(WalkObserver) if field.name == "grid_noise_m")
    spread = measured["own odometry"]["away_from_edges"]["std_m"]
    assert spread <= trained <= 5.0 * spread
