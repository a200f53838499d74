"""Point clouds in every layout that drivers send, and the drift estimator's evidence."""

import numpy as np
import pytest

from vm_core.errors import VmError
from vm_heightmap.drift import DriftEstimator
from vm_heightmap.scan_input import scan_from_cloud

F4, F8, U1, U4 = 7, 8, 2, 6
START_S = 1_700_000_000.25


def livox_format_0(count: int, times: np.ndarray) -> tuple[dict, int, bytes]:
    layout = np.dtype(
        {
            "names": ["x", "y", "z", "intensity", "tag", "line", "timestamp"],
            "formats": ["<f4", "<f4", "<f4", "<f4", "u1", "u1", "<f8"],
            "offsets": [0, 4, 8, 12, 16, 17, 18],
            "itemsize": 26,
        }
    )
    points = np.zeros(count, dtype=layout)
    points["x"], points["z"], points["timestamp"] = np.arange(count), 1.2, times
    fields = {"x": (0, F4), "y": (4, F4), "z": (8, F4), "intensity": (12, F4), "tag": (16, U1), "line": (17, U1)}
    return fields | {"timestamp": (18, F8)}, 26, points.tobytes()


@pytest.mark.parametrize("stamp_s", [START_S, START_S + 0.1, 5.0])
def test_livox_clouds_with_absolute_nanoseconds(stamp_s: float) -> None:
    times = START_S * 1e9 + np.arange(100) * 1e6
    fields, step, data = livox_format_0(100, times)
    scan = scan_from_cloud(fields, step, 100, data, stamp_s)
    # a stamp of another clock stays, and the points' times count from it
    assert scan.start_s == pytest.approx(START_S if abs(stamp_s - START_S) < 1 else stamp_s, abs=1e-6)
    np.testing.assert_allclose(scan.offset_s, np.arange(100) * 1e-3, atol=1e-6)
    np.testing.assert_allclose(scan.xyz[:, 0], np.arange(100))


def test_stamps_outside_the_sweep_are_left_out() -> None:
    times = START_S * 1e9 + np.arange(100) * 1e6
    times[::10] += 3e9
    fields, step, data = livox_format_0(100, times)
    scan = scan_from_cloud(fields, step, 100, data, START_S)
    assert scan.usable.sum() == 90
    assert scan.end_s == pytest.approx(START_S + 0.099, abs=1e-6)


@pytest.mark.parametrize(("name", "kind", "dtype", "unit"), [("t", U4, "<u4", 1e9), ("time", F4, "<f4", 1.0)])
def test_clouds_with_relative_times(name: str, kind: int, dtype: str, unit: float) -> None:
    points = np.zeros(50, dtype=[("x", "<f4"), ("y", "<f4"), ("z", "<f4"), (name, dtype)])
    points[name] = np.linspace(0.0, 0.1, 50) * unit
    fields = {"x": (0, F4), "y": (4, F4), "z": (8, F4), name: (12, kind)}
    scan = scan_from_cloud(fields, 16, 50, points.tobytes(), START_S)
    np.testing.assert_allclose(scan.offset_s, np.linspace(0.0, 0.1, 50), atol=1e-6)


def test_livox_format_2_has_an_intensity_and_no_times() -> None:
    points = np.zeros(30, dtype=[("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4")])
    points["x"], points["z"] = np.arange(30), 1.2
    fields = {"x": (0, F4), "y": (4, F4), "z": (8, F4), "intensity": (12, F4)}
    scan = scan_from_cloud(fields, 16, 30, points.tobytes(), START_S)
    np.testing.assert_allclose(scan.xyz[:, 0], np.arange(30))
    assert scan.start_s == scan.end_s == START_S


def test_depth_cameras_have_no_times() -> None:
    points = np.zeros((20, 4), dtype="<f4")
    scan = scan_from_cloud({"x": (0, F4), "y": (4, F4), "z": (8, F4)}, 16, 20, points.tobytes(), START_S)
    assert scan.start_s == scan.end_s == START_S


def test_what_is_no_cloud_is_named() -> None:
    with pytest.raises(VmError, match="without y, z; it has x, rgb"):
        scan_from_cloud({"x": (0, F4), "rgb": (4, F4)}, 8, 1, bytes(8), 0.0)
    with pytest.raises(VmError, match="announces 5 points of 12 bytes and holds 24 bytes"):
        scan_from_cloud({"x": (0, F4), "y": (4, F4), "z": (8, F4)}, 12, 5, bytes(24), 0.0)


def test_noise_moves_no_map_and_drift_does() -> None:
    rng, drift = np.random.default_rng(0), DriftEstimator()
    assert sum(abs(drift.overlap(rng.normal(0.0, 0.012, 800))) for _ in range(500)) == 0.0
    assert drift.overlap(np.full(50, 0.05)) == 0.0  # too few
    assert drift.overlap(rng.normal(0.01, 0.012, 800)) == pytest.approx(0.004, abs=0.001)


def test_feet_that_stand_below_the_points_lower_the_map_once() -> None:
    drift, offset = DriftEstimator(), -0.015
    shifted = 0.0
    for _ in range(40):
        shifted += drift.foot(offset - shifted)
    assert shifted == pytest.approx(offset, abs=0.005)
    assert drift.ground_offset_m == pytest.approx(-shifted)
    assert drift.foot(0.4) == 0.0  # a foot on something that the map does not know
