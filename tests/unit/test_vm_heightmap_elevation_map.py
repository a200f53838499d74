"""Rolling, fusing, clearing and seeding of the elevation map, and what the sampler reads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vm_core.errors import VmError
from vm_core.height_grid import CellSource, HeightGridSpec
from vm_heightmap.elevation_map import ElevationMap, MapConfig
from vm_heightmap.grid_sampler import sample_grid

UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])
metres = st.floats(-50.0, 50.0, allow_nan=False)


def from_above(points: np.ndarray) -> np.ndarray:
    return points + [0.0, 0.0, 2.0]


def floor_points(low: float, high: float, z: float = 0.0) -> np.ndarray:
    axis = np.arange(low, high, 0.015)
    xy = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    return np.column_stack([xy, np.full(len(xy), z)])


def add(elevation: ElevationMap, points: np.ndarray, time_s: float = 0.0) -> int:
    return elevation.add_points(points, from_above(points), time_s)


@settings(max_examples=40)
@given(st.lists(st.tuples(metres, metres), min_size=1, max_size=6))
def test_rolling_keeps_what_stays_and_forgets_the_rest(path: list[tuple[float, float]]) -> None:
    elevation = ElevationMap(MapConfig(size_m=1.0, resolution_m=0.1))
    known: dict[tuple[int, int], float] = {}
    for k, center in enumerate(path):
        elevation.move_to(np.array(center))
        low, n = elevation.corner.copy(), elevation.config.cells
        known = {i: z for i, z in known.items() if all(low[a] <= i[a] < low[a] + n for a in range(2))}
        x, y = elevation.cell_centers()
        cells = np.stack([np.floor(x / 0.1 + 1e-6), np.floor(y / 0.1 + 1e-6)], axis=-1).astype(int)
        seen = {tuple(cells[at]): elevation.height[at] for at in zip(*np.nonzero(elevation.source), strict=True)}
        assert seen == known
        point = np.array([[(low[0] + 4.5) * 0.1, (low[1] + 5.5) * 0.1, 0.1 * k]])
        index = (int(low[0]) + 4, int(low[1]) + 5)
        if index not in known:
            assert add(elevation, point) == 1
            known[index] = 0.1 * k


@settings(max_examples=40)
@given(st.floats(-0.15, 0.15), st.floats(-0.15, 0.15), st.floats(-3.0, 3.0), st.floats(-3.1, 3.1), metres, metres)
def test_sampler_reproduces_a_plane(a: float, b: float, c: float, yaw: float, x: float, y: float) -> None:
    elevation = ElevationMap()
    elevation.move_to(np.array([x, y]))
    cx, cy = (axis.ravel() for axis in elevation.cell_centers())
    add(elevation, np.column_stack([cx, cy, a * cx + b * cy + c]))
    quat = np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])
    sample = sample_grid(elevation.view, HeightGridSpec(), np.array([x, y, 1.0]), quat, 0.0)
    expected = a * sample.points_world[:, 0] + b * sample.points_world[:, 1] + c
    np.testing.assert_allclose(sample.height, expected, atol=1e-9)


def test_order_is_x_slow_y_fast() -> None:
    elevation = ElevationMap()
    elevation.move_to(np.zeros(2))
    points = floor_points(-0.8, 0.8)
    points[points[:, 0] > 0.25, 2] = 0.2
    add(elevation, points)
    grid = sample_grid(elevation.view, HeightGridSpec(), np.array([0.0, 0.0, 1.0]), UPRIGHT, 0.0).height.reshape(11, 11)
    np.testing.assert_allclose(grid[:7], 0.0, atol=1e-9)
    np.testing.assert_allclose(grid[8:], 0.2, atol=1e-9)


def test_upper_surface_stays_in_a_mixed_cell() -> None:
    elevation = ElevationMap()
    elevation.move_to(np.zeros(2))
    heights = np.tile([0.0, 0.15], 20)
    add(elevation, np.column_stack([np.full((40, 2), 0.02), heights]))
    assert np.nanmax(elevation.height) == pytest.approx(0.15)


def test_a_single_speck_above_the_floor_is_no_surface() -> None:
    elevation = ElevationMap()
    elevation.move_to(np.zeros(2))
    add(elevation, floor_points(-0.5, 0.5))
    add(elevation, np.array([[0.02, 0.02, 0.5]]), 0.1)
    assert np.nanmax(elevation.height) < 1e-9


def ghost(at_x: float) -> ElevationMap:
    """A floor with a box top of 0.5 m over it, then rays that pass through where the box was."""
    elevation = ElevationMap()
    elevation.move_to(np.zeros(2))
    add(elevation, np.column_stack([np.full((20, 2), [at_x, 0.02]), np.full(20, 0.5)]))
    hits = np.tile([1.9, 0.02, 0.0], (400, 1))
    for k in range(3):
        elevation.add_points(hits, np.tile([0.0, 0.02, 0.6], (400, 1)), 1.0 + 0.1 * k)
    return elevation


def test_rays_clear_what_went_away() -> None:
    assert not np.any(ghost(1.22).height > 0.4)


def test_rays_clear_nothing_in_the_blind_disc() -> None:
    assert np.any(ghost(0.5).height > 0.4)


def test_standing_still_loses_nothing() -> None:
    elevation = ElevationMap()
    elevation.move_to(np.zeros(2))
    elevation.seed(np.array([[0.0, 0.1, 0.0], [0.0, -0.1, 0.0]]), 0.0)
    ring = floor_points(-1.9, 1.9)
    ring = ring[np.hypot(ring[:, 0], ring[:, 1]) > 1.0]
    rng = np.random.default_rng(0)
    ring[:, 2] = rng.normal(0.0, 0.012, len(ring))
    origins = np.tile([0.0, 0.0, 1.2], (len(ring), 1))
    elevation.add_points(ring, origins, 0.0)
    before = np.count_nonzero(elevation.source)
    for k in range(30):
        ring[:, 2] = rng.normal(0.0, 0.012, len(ring))
        elevation.add_points(ring, origins, 10.0 * (k + 1))
    assert np.count_nonzero(elevation.source) >= before


def test_seed_is_marked_takes_the_nearest_foot_and_gives_way() -> None:
    elevation = ElevationMap()
    elevation.move_to(np.zeros(2))
    elevation.seed(np.array([[0.1, 0.2, 0.15], [0.0, -0.2, 0.0]]), 1.0)
    torso = np.array([0.0, 0.0, 0.9])
    sample = sample_grid(elevation.view, HeightGridSpec(), torso, UPRIGHT, 3.0)
    assert np.all(sample.source == CellSource.SEEDED)
    np.testing.assert_allclose(sample.age_s, 2.0)
    grid = sample.height.reshape(11, 11)
    np.testing.assert_allclose(grid[:, 9:], 0.15)
    np.testing.assert_allclose(grid[:, :2], 0.0)
    add(elevation, floor_points(-0.6, 0.6, -0.3), 4.0)
    sample = sample_grid(elevation.view, HeightGridSpec(), torso, UPRIGHT, 4.0)
    assert np.all(sample.source == CellSource.SEEN)
    np.testing.assert_allclose(sample.height, -0.3, atol=1e-9)


@pytest.mark.parametrize(
    ("gap_cells", "source"), [(1, CellSource.FILLED), (2, CellSource.FILLED), (5, CellSource.UNKNOWN)]
)
def test_narrow_gaps_are_filled_from_the_lower_side(gap_cells: int, source: CellSource) -> None:
    elevation = ElevationMap()
    elevation.move_to(np.zeros(2))
    x, y = (axis.ravel() for axis in elevation.cell_centers())
    points = np.column_stack([x, y, np.where(x > 0.0, 0.3, 0.0)])
    add(elevation, points[(x < 0.0) | (x > 0.04 * gap_cells)])
    at = np.array([0.02 + 0.04 * (gap_cells // 2), 0.02, 1.0])
    sample = sample_grid(elevation.view, HeightGridSpec(1, 1), at, UPRIGHT, 0.0)
    assert sample.source[0] == source
    if source == CellSource.FILLED:
        assert sample.height[0] == pytest.approx(0.0, abs=1e-9)
        assert sample.variance[0] > 0.001
    else:
        assert np.isnan(sample.height[0])


def test_bad_geometry_is_refused() -> None:
    with pytest.raises(VmError, match="4–2000 cells"):
        MapConfig(size_m=4.0, resolution_m=3.0)


def test_riser_points_in_front_of_a_riser_are_no_tread() -> None:
    """Range noise puts half of a riser's points before it; rays that pass there below them tell the truth."""
    rng = np.random.default_rng(0)
    elevation = ElevationMap()
    elevation.move_to(np.zeros(2))
    origin = np.array([-1.0, 0.0, 1.2])
    for k in range(20):
        riser = np.column_stack([np.zeros(300), rng.uniform(-0.1, 0.1, 300), rng.uniform(0.0, 0.15, 300)])
        treads = np.column_stack([rng.uniform(-0.3, 0.3, 200), rng.uniform(-0.1, 0.1, 200), np.zeros(200)])
        treads[treads[:, 0] > 0.0, 2] = 0.15
        points = np.concatenate([riser, treads])
        ray = points - origin
        points += ray / np.linalg.norm(ray, axis=1)[:, None] * rng.normal(0.0, 0.015, (len(points), 1))
        elevation.add_points(points, np.tile(origin, (len(points), 1)), 0.1 * k)
    x, y = elevation.cell_centers()
    before = (x > -0.06) & (x < 0.0) & (np.abs(y) < 0.09)
    behind = (x > 0.0) & (x < 0.06) & (np.abs(y) < 0.09)
    assert np.mean(np.abs(elevation.height[before & (elevation.source > 0)]) < 0.05) > 0.8
    assert np.mean(np.abs(elevation.height[behind & (elevation.source > 0)] - 0.15) < 0.05) > 0.8


def scan_cells(elevation: ElevationMap, points: np.ndarray, origin: tuple, time_s: float) -> None:
    elevation.add_points(points, np.tile(origin, (len(points), 1)), time_s)


def test_what_hides_behind_a_descending_edge_is_filled_as_wide_as_its_rise_hides() -> None:
    """A step down of 17 cm hides 15 cm from the blind cone's rim; a flat gap as wide is a hole and stays one."""
    for drop, source in ((0.17, CellSource.FILLED), (0.0, CellSource.UNKNOWN)):
        elevation = ElevationMap()
        elevation.move_to(np.zeros(2))
        x, y = (axis.ravel() for axis in elevation.cell_centers())
        points = np.column_stack([x, y, np.where(x > 0.0, -drop, 0.0)])
        add(elevation, points[(x < 0.0) | (x > 0.15)])
        sample = sample_grid(elevation.view, HeightGridSpec(1, 1), np.array([0.07, 0.01, 1.0]), UPRIGHT, 0.0)
        assert sample.source[0] == source
        if source == CellSource.FILLED:
            assert sample.height[0] == pytest.approx(-0.17, abs=1e-6)


def test_the_lower_end_of_a_leg_goes_with_the_leg() -> None:
    """At the blind cone's rim no ray passes below a leg's lowest part: it is believed only as long as the rest."""
    elevation = ElevationMap()
    elevation.move_to(np.zeros(2))
    leg = np.tile([[0.91, 0.01, 0.18], [0.91, 0.01, 0.60]], (12, 1))
    scan_cells(elevation, leg, (0.0, 0.01, 1.2), 0.0)
    assert np.nanmax(elevation.height) > 0.1
    beyond = np.column_stack([np.linspace(1.2, 1.6, 400), np.full(400, 0.01), np.zeros(400)])
    for k in range(3):
        scan_cells(elevation, beyond, (0.0, 0.01, 1.2), 0.5 + 0.1 * k)
    assert not np.any(elevation.height > 0.1)


def test_a_beam_overhead_leaves_the_floor_below_it() -> None:
    """What hangs above the height band never reaches the map; within it, the floor comes back when rays pass below."""
    elevation = ElevationMap()
    elevation.move_to(np.zeros(2))
    beam = np.column_stack([np.full(60, 1.21), np.linspace(-0.2, 0.2, 60), np.full(60, 0.9)])
    floor = np.column_stack([np.repeat(np.linspace(1.0, 1.9, 90), 9), np.tile(np.linspace(-0.1, 0.1, 9), 90)])
    floor = np.column_stack([floor, np.zeros(len(floor))])
    for k in range(5):
        scan_cells(elevation, np.concatenate([beam, floor]), (0.0, 0.0, 1.2), 0.1 * k)
    sample = sample_grid(elevation.view, HeightGridSpec(1, 1), np.array([1.21, 0.01, 1.2]), UPRIGHT, 0.5)
    assert sample.height[0] == pytest.approx(0.0, abs=0.01)
