"""Walkers of two paces: what open ground is, that paces change at rest only, and that quick steps need open ground."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vm_core.gait_clock import LEAST_COMMAND, QUICK_STOP, GaitClock
from vm_core.gait_pace import CLOSE_S, EDGE_M, OPEN_S, PacedGait, open_ground

SHAPE, UNKNOWN_M, PERIOD_S = (11, 11), 0.85, 0.02
AHEAD = np.array([0.3, 0.0, 0.0])
LEVEL = np.full(SHAPE, 0.7).ravel()


def with_edge(rise_m: float, rows: int = 3) -> np.ndarray:
    """Heights over ground whose last rows are higher."""
    heights = np.full(SHAPE, 0.7)
    heights[-rows:] -= rise_m
    return heights.ravel()


@pytest.fixture
def gait() -> PacedGait:
    return PacedGait(GaitClock(0.65, 2.0), GaitClock(0.32, 2.0, QUICK_STOP), SHAPE, UNKNOWN_M)


def run(gait: PacedGait, command: np.ndarray, heights: np.ndarray | None, seconds: float) -> list:
    return [gait.update(command, heights, PERIOD_S) for _ in range(round(seconds / PERIOD_S))]


@given(
    rise_m=st.floats(-0.3, 0.3),
    rows=st.integers(1, 10),
    turns=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_an_edge_in_any_direction_is_seen_under_the_maps_errors(rise_m, rows, turns, seed):
    heights = np.rot90(with_edge(rise_m, rows).reshape(SHAPE), turns).ravel()
    heights = heights + np.random.default_rng(seed).normal(0.0, 0.006, heights.shape)
    if abs(rise_m) > EDGE_M + 0.01:
        assert not open_ground(heights, SHAPE, UNKNOWN_M)
    if abs(rise_m) < EDGE_M - 0.015:
        assert open_ground(heights, SHAPE, UNKNOWN_M)


@pytest.mark.parametrize(("degrees", "is_open"), [(0.5, True), (2.0, True), (5.0, False), (-10.0, False)])
def test_ground_that_hardly_slopes_is_open(degrees, is_open):
    along = np.tan(np.radians(degrees)) * 0.1 * np.arange(11)
    for slope in (along[:, None], along[None, :]):
        assert open_ground((0.7 - np.broadcast_to(slope, SHAPE)).ravel(), SHAPE, UNKNOWN_M) == is_open


def test_single_cells_are_the_maps_errors_and_ground_that_nobody_has_seen_is_not_open():
    spots = LEVEL.copy()
    spots[[5, 40, 77]] -= 0.2
    assert open_ground(spots, SHAPE, UNKNOWN_M)
    dark = np.where(np.arange(121) < 60, UNKNOWN_M, LEVEL)
    assert not open_ground(dark, SHAPE, UNKNOWN_M)
    few = np.where(np.arange(121) % 4 == 0, UNKNOWN_M, LEVEL)
    assert open_ground(few, SHAPE, UNKNOWN_M)
    assert not open_ground(np.where(np.arange(121) % 4 == 0, UNKNOWN_M, with_edge(0.06)), SHAPE, UNKNOWN_M)


def test_quick_on_open_ground_slow_elsewhere_and_neither_at_rest(gait):
    assert all(pace.quick == 0.0 for pace in run(gait, np.zeros(3), LEVEL, 1.0))
    assert all(pace.quick == 1.0 for pace in run(gait, AHEAD, LEVEL, 2.0))
    assert gait.slow.since_s is None
    gait.reset()
    paces = run(gait, AHEAD, with_edge(0.1), 2.0)
    assert all(pace.quick == 0.0 for pace in paces)
    assert gait.quick.since_s is None and gait.slow.since_s is not None
    np.testing.assert_allclose(paces[-1].command, AHEAD)


def test_an_edge_that_comes_into_view_ends_quick_steps_at_rest_and_slow_ones_follow(gait):
    run(gait, AHEAD, LEVEL, 3.0)
    paces = run(gait, AHEAD, with_edge(0.1), 4.0)
    quick = np.array([pace.quick for pace in paces])
    change = int(np.argmin(quick))
    assert CLOSE_S < change * PERIOD_S < 4 * 0.32 + 1.0  # two steps to rest and the clock's end
    assert quick[:change].all() and not quick[change:].any()
    at_change = np.abs(paces[change - 1].phase).max()
    assert at_change < 0.1, "the clock had not come to rest"
    assert np.abs(paces[change - 1].command).max() < LEAST_COMMAND
    np.testing.assert_allclose(paces[-1].command, AHEAD, atol=1e-6)


def test_a_glimpse_of_an_edge_does_not_stop_the_robot_and_slow_steps_end_after_a_while_on_open_ground(gait):
    run(gait, AHEAD, LEVEL, 2.0)
    for _ in range(10):
        assert run(gait, AHEAD, with_edge(0.1), CLOSE_S - 0.01)[-1].quick == 1.0
        assert np.abs(run(gait, AHEAD, LEVEL, 0.2)[-1].command - AHEAD).max() < 1e-6
    gait.reset()
    run(gait, AHEAD, with_edge(0.1), 3.0)
    assert not any(pace.quick for pace in run(gait, AHEAD, LEVEL, OPEN_S - 0.1))
    assert run(gait, AHEAD, LEVEL, 4.0)[-1].quick == 1.0


def test_an_edge_that_goes_out_of_view_at_rest_is_walked_up_to_slowly(gait):
    """A robot that stops sways back; with quick steps at once it went to and fro before the edge for many seconds."""
    run(gait, AHEAD, LEVEL, 3.0)
    while not gait.rests:
        gait.update(AHEAD, with_edge(0.1, rows=1), PERIOD_S)
    paces = run(gait, AHEAD, LEVEL, OPEN_S - 0.5)
    assert not any(pace.quick for pace in paces)
    np.testing.assert_allclose(paces[-1].command, AHEAD)


def test_a_glimpse_at_rest_does_not_make_the_next_steps_slow(gait):
    run(gait, np.zeros(3), LEVEL, 1.0)
    run(gait, np.zeros(3), with_edge(0.1), CLOSE_S - 0.01)
    assert all(pace.quick for pace in run(gait, AHEAD, LEVEL, 1.0))


def test_backwards_and_blind_are_slow(gait):
    assert not any(pace.quick for pace in run(gait, np.array([-0.2, 0.0, 0.0]), LEVEL, 2.0))
    gait.reset()
    assert not any(pace.quick for pace in run(gait, AHEAD, None, 2.0))
