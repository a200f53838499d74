"""Level from floors and walls: taken from those that were meant level, not from slopes, and never as exact."""

import numpy as np
import pytest

from vm_heightmap.building_level import BuildingLevel, LevelConfig
from vm_heightmap.plane_map import PlaneMap

GRAVITY_STD_RAD = 0.004
RNG = np.random.default_rng(0)


def plane(point: np.ndarray, axes: np.ndarray, reach_m: float = 2.4, count: int = 20_000) -> np.ndarray:
    """Points (N, 3) with 1 cm noise around a plane's point, along its two axes (2, 3)."""
    inside = point + RNG.uniform(-reach_m, reach_m, (count, 2)) @ axes
    return inside + RNG.normal(0.0, 0.01, inside.shape)


def floor(rise: tuple[float, float]) -> np.ndarray:
    return plane(np.zeros(3), np.array([[1.0, 0.0, rise[0]], [0.0, 1.0, rise[1]]]))


def wall(lean: float) -> np.ndarray:
    return plane(np.array([0.0, 2.1, 1.0]), np.array([[1.0, 0.0, 0.0], [0.0, lean, 1.0]]))


def up_after(points: np.ndarray, config: LevelConfig | None = None) -> np.ndarray:
    """Tilt of up (2,) with gravity along z."""
    planes, level = PlaneMap(), BuildingLevel(config)
    planes.insert(points)
    for _ in range(3):  # what counts as an outlier is settled by then
        level.observe(planes, points)
    return level.up(np.array([0.0, 0.0, -9.81]), GRAVITY_STD_RAD)[:2]


def test_a_floor_that_is_almost_level_tells_where_up_is() -> None:
    told = up_after(floor((0.006, -0.004)))
    weight = GRAVITY_STD_RAD**2 / (GRAVITY_STD_RAD**2 + LevelConfig().std_rad ** 2)
    np.testing.assert_allclose(told, weight * np.array([-0.006, 0.004]), atol=1e-3)


@pytest.mark.parametrize("rise", [(0.025, 0.0), (0.05, 0.02), (0.0, -0.06)])
def test_a_slope_is_no_level(rise: tuple[float, float]) -> None:
    np.testing.assert_allclose(up_after(floor(rise)), 0.0, atol=1e-3)


def test_a_wall_tells_only_about_its_own_direction() -> None:
    told = up_after(wall(0.006))
    assert 0.003 < told[1] < 0.006
    assert abs(told[0]) < 5e-4


def test_a_leaning_wall_tells_nothing() -> None:
    np.testing.assert_allclose(up_after(wall(0.04)), 0.0, atol=1e-3)


def test_more_points_make_a_floor_no_truer_than_its_builders() -> None:
    once = up_after(floor((0.006, 0.0)))
    thrice = up_after(np.concatenate([floor((0.006, 0.0)) for _ in range(3)]))
    np.testing.assert_allclose(thrice, once, atol=5e-4)


def test_a_handful_of_points_is_no_evidence() -> None:
    np.testing.assert_array_equal(up_after(floor((0.006, 0.0))[:50]), 0.0)


def test_nobody_builds_level() -> None:
    np.testing.assert_allclose(up_after(floor((0.006, 0.0)), LevelConfig(level_share=1e-9)), 0.0, atol=1e-4)
