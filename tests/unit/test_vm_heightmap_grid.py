"""Grids of other geometries, grids at even steps of time, and copies of the map for another thread."""

import time
from collections.abc import Callable

import numpy as np
import pytest

from vm_core.errors import VmError
from vm_core.frames import quat_from_rotvec, quat_from_yaw
from vm_core.height_grid import CellSource, HeightGridSpec, cell_points_world
from vm_heightmap import steady_timer
from vm_heightmap.elevation_map import ElevationMap
from vm_heightmap.grid_sampler import GridSampler, sample_grid
from vm_heightmap.map_view import BUFFERS, MapCopies
from vm_heightmap.steady_timer import SteadyTimer

TORSO = np.array([0.1, -0.05, 0.9])


@pytest.fixture(scope="module")
def sloped() -> ElevationMap:
    """z = 0.1 x - 0.05 y, every cell seen."""
    elevation = ElevationMap()
    elevation.move_to(TORSO[:2])
    x, y = (axis.ravel() for axis in elevation.cell_centers())
    points = np.column_stack([x, y, 0.1 * x - 0.05 * y])
    elevation.add_points(points, points + [0.0, 0.0, 2.0], 0.0)
    return elevation


@pytest.mark.parametrize(
    "spec",
    [
        HeightGridSpec(),
        HeightGridSpec(17, 11, 0.1, center_x=0.3),
        HeightGridSpec(5, 7, 0.05),
        HeightGridSpec(full_attitude=True),
        HeightGridSpec(samples_per_side=3),
        HeightGridSpec(18, 11, center_x=0.35, samples_per_side=2),
    ],
)
def test_every_geometry_reads_the_terrain_below_its_cells(sloped: ElevationMap, spec: HeightGridSpec) -> None:
    quat = quat_from_rotvec(np.array([0.05, 0.15, 0.8]))
    sample = GridSampler(spec).sample(sloped.view, TORSO, quat, 0.5)
    expected = cell_points_world(spec, TORSO, quat)
    np.testing.assert_allclose(sample.points_world, expected, atol=1e-12)
    np.testing.assert_allclose(sample.height, 0.1 * expected[:, 0] - 0.05 * expected[:, 1], atol=1e-6)
    assert np.all(sample.source == CellSource.SEEN)


def test_a_leaning_grid_is_shorter_and_a_look_ahead_lies_in_front() -> None:
    quat = quat_from_rotvec(np.array([0.0, 0.3, 0.0]))
    leaning = cell_points_world(HeightGridSpec(full_attitude=True), TORSO, quat).reshape(11, 11, 3)
    assert np.ptp(leaning[:, 0, 0]) == pytest.approx(np.cos(0.3), abs=1e-9)
    ahead = cell_points_world(HeightGridSpec(17, 11, 0.1, center_x=0.3), TORSO, quat_from_yaw(np.array(np.pi / 2)))
    assert ahead[:, 1].max() - TORSO[1] == pytest.approx(1.1)
    assert ahead[:, 1].min() - TORSO[1] == pytest.approx(-0.5)


def test_means_are_over_what_is_known_and_unknown_where_the_middle_is() -> None:
    elevation = ElevationMap()
    elevation.move_to(np.zeros(2))
    x, y = (axis.ravel() for axis in elevation.cell_centers())
    points = np.column_stack([x, y, np.where(x > 0.02, 0.2, 0.0)])[x < 0.3]
    elevation.add_points(points, points + [0.0, 0.0, 2.0], 0.0)
    spec, quat = HeightGridSpec(11, 1, 0.1, samples_per_side=3), quat_from_yaw(np.array(0.0))
    sample = GridSampler(spec).sample(elevation.view, np.array([0.0, 0.0, 0.9]), quat, 0.0)
    plain = GridSampler(HeightGridSpec(11, 1, 0.1)).sample(elevation.view, np.array([0.0, 0.0, 0.9]), quat, 0.0)
    assert np.array_equal(np.isnan(sample.height), np.isnan(plain.height))
    assert np.array_equal(np.isnan(sample.height), sample.source == CellSource.UNKNOWN)
    np.testing.assert_allclose(sample.height[4:7], [0.0, 0.2 / 3, 0.2], atol=1e-6)
    assert plain.height[5] in (0.0, 0.2)


@pytest.mark.parametrize("wrong", [{"samples_per_side": 0}, {"samples_per_side": 9}])
def test_samples_of_a_cell_have_limits(wrong) -> None:
    with pytest.raises(VmError, match="samples"):
        HeightGridSpec(**wrong)
    with pytest.raises(VmError, match="tilts"):
        HeightGridSpec(samples_per_side=2, full_attitude=True)


def test_a_copy_does_not_change_with_the_map() -> None:
    elevation = ElevationMap()
    elevation.move_to(np.zeros(2))
    elevation.seed(np.zeros((2, 3)), 0.0)
    copies = MapCopies(elevation.view)
    copies.copy(elevation.view)
    before = copies.newest
    elevation.shift(0.2)
    elevation.move_to(np.array([0.5, 0.0]))
    for _ in range(BUFFERS - 1):  # so many copies a reader may be behind
        copies.copy(elevation.view)
    upright = quat_from_yaw(np.array(0.0))
    assert np.nanmax(sample_grid(before, HeightGridSpec(), np.zeros(3), upright, 0.0).height) == pytest.approx(0.0)
    assert np.nanmax(sample_grid(copies.newest, HeightGridSpec(), np.zeros(3), upright, 0.0).height) > 0.1


class Clock:
    """Time that passes only in sleeps, each of which ends a little late, and in what is called."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds + 0.0002


def calls(timer: SteadyTimer, clock: Clock, count: int, busy_s: Callable[[int], float]) -> np.ndarray:
    """When a timer of 5 ms calls [s]; the k-th call takes so long."""
    called: list[float] = []

    def call() -> None:
        called.append(clock.now_s)
        clock.now_s += busy_s(len(called))
        timer._stopping = len(called) == count

    timer._call = call
    timer._run()
    return np.array(called)


def test_the_timer_keeps_its_rate_and_slews_to_its_aim(monkeypatch) -> None:
    clock = Clock()
    monkeypatch.setattr(steady_timer, "time", clock)
    timer = SteadyTimer(0.005, lambda: None)
    timer.aim(0.0025)
    called = calls(timer, clock, 240, lambda k: 0.001)
    assert timer.missed == 0
    assert np.diff(called) == pytest.approx(0.005, rel=steady_timer.MOST_SLEW + 1e-6)
    assert np.max((called[-20:] - 0.0025) % 0.005) < 0.0005  # right after the moment aimed at, whole periods later


def test_the_timer_leaves_out_what_it_missed(monkeypatch) -> None:
    clock = Clock()
    monkeypatch.setattr(steady_timer, "time", clock)
    timer = SteadyTimer(0.005, lambda: None)
    called = calls(timer, clock, 20, lambda k: 0.013 if k == 10 else 0.0)
    assert timer.missed == 2
    assert np.round(np.diff(called) / 0.005) == pytest.approx([1] * 9 + [3] + [1] * 9)


def test_the_timer_calls_until_it_is_stopped() -> None:
    called: list[float] = []
    timer = SteadyTimer(0.005, lambda: called.append(time.monotonic()))
    timer.start()
    assert within_patience(lambda: len(called) > 5)
    timer.stop()
    after = len(called)
    time.sleep(0.05)
    assert len(called) == after


def within_patience(reached: Callable[[], bool]) -> bool:
    """Whether something comes true in 20 s."""
    end_s = time.monotonic() + 20.0
    while not reached() and time.monotonic() < end_s:
        time.sleep(0.005)
    return reached()


def test_of_aims_that_scatter_nearly_all_lie_before_a_call() -> None:
    timer, due_s, rng = SteadyTimer(0.02, lambda: None), 0.013, np.random.default_rng(0)
    late = []
    for k in range(6000):
        if k % 5 == 0:
            aim_s = 0.02 * k + rng.normal(0.0, 0.001)
            timer.aim(aim_s)
            late.append((aim_s - due_s + 0.01) % 0.02 - 0.01)
        due_s += 0.02 + timer._slew(due_s)
    settled = np.array(late[300:])
    assert np.mean(settled > 0.0) < 0.1
    assert np.mean(-settled) < 0.003


def test_a_call_that_raises_ends_the_timer_and_is_kept_for_its_owner() -> None:
    def fail() -> None:
        raise ValueError("no")

    timer = SteadyTimer(0.001, fail)
    timer.start()
    assert within_patience(lambda: timer.failure is not None)
    timer.stop()
    assert str(timer.failure) == "no"
