"""The gait clock: at rest without a command, whole steps, a closing step, no jumps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vm_core.gait_clock import RAMP_S, STEPS_TO_REST, GaitClock, gait_phase, steps_of_walk

STEP_S, DT = 0.65, 0.02
AHEAD, REST = np.array([0.4, 0.0, 0.0]), np.zeros(3)


def run(clock: GaitClock, command: np.ndarray, seconds: float) -> np.ndarray:
    return np.array([clock.update(command, DT) for _ in range(round(seconds / DT))])


def test_rests_without_a_command():
    assert not run(GaitClock(STEP_S), REST, 1.0).any()
    assert not run(GaitClock(STEP_S), 0.01 * np.ones(3), 1.0).any()


def test_starts_after_the_weight_has_gone_over():
    phases = run(GaitClock(STEP_S), AHEAD, 4.0)
    sizes = np.linalg.norm(phases, axis=1)
    assert sizes[0] == 0.0 and np.all(np.diff(sizes[: round(RAMP_S / DT)]) > 0.0)
    np.testing.assert_allclose(sizes[round(RAMP_S / DT) :], 1.0)
    first = round(RAMP_S / DT)
    np.testing.assert_allclose(phases[first], [1.0, 0.0], atol=1e-9)
    cycle = first + round(2 * STEP_S / DT)
    np.testing.assert_allclose(phases[cycle], [1.0, 0.0], atol=1e-9)


@given(st.floats(0.0, 5.0))
@settings(max_examples=50)
def test_ends_with_whole_steps(walking_s):
    clock = GaitClock(STEP_S)
    run(clock, AHEAD, walking_s + DT)
    clock.update(REST, DT)
    since, walk = clock.since_s, clock.walk_s
    assert since is not None
    steps = walk / STEP_S
    assert steps == pytest.approx(round(steps)) and round(steps) >= STEPS_TO_REST
    rest_s = STEPS_TO_REST * STEP_S
    assert rest_s - 2 * DT < walk - since <= rest_s + STEP_S + RAMP_S  # the rest of this step and whole ones
    run(clock, REST, walk - since + RAMP_S + 2 * DT)
    assert clock.since_s is None and not clock.update(REST, DT).any()


@given(st.lists(st.tuples(st.booleans(), st.floats(0.02, 3.0)), min_size=1, max_size=6))
@settings(max_examples=50)
def test_phase_never_jumps(parts):
    clock = GaitClock(STEP_S)
    phases = np.concatenate([run(clock, AHEAD if on else REST, seconds) for on, seconds in parts] + [np.zeros((1, 2))])
    most = np.pi / STEP_S * DT + DT / RAMP_S
    assert np.abs(np.diff(phases[:-1], axis=0)).max(initial=0.0) <= most + 1e-9


def test_both_steps_to_rest_are_told_from_any_other_step():
    """Walking it is of full size, in the step that loses speed and in the last one less and less, at rest zero."""
    clock = GaitClock(STEP_S, fade_steps=STEPS_TO_REST)
    walking = run(clock, AHEAD, 3.0)
    np.testing.assert_allclose(np.linalg.norm(walking[round(RAMP_S / DT) :], axis=1), 1.0)
    clock.update(REST, DT)
    left_s = clock.walk_s - (clock.since_s or 0.0)
    sizes = np.linalg.norm(run(clock, REST, left_s + RAMP_S + DT), axis=1)
    before = max(round((left_s - STEPS_TO_REST * STEP_S) / DT) - 1, 0)
    np.testing.assert_allclose(sizes[:before], 1.0)
    assert np.all(np.diff(sizes[before + 2 : -2]) < 0.0) and sizes[-1] < 1e-9
    assert sizes[before + round(STEP_S / DT)] < 0.7


@given(st.floats(0.0, 5.0), st.floats(0.0, 3.0))
def test_at_least_so_many_steps_follow_and_less_than_one_more(walking_s, steps_to_rest):
    left = float(steps_of_walk(np.array(walking_s), STEP_S, steps_to_rest)) - walking_s / STEP_S
    assert steps_to_rest - 1e-9 <= left <= steps_to_rest + 1.0 + 1e-9


def test_a_step_that_has_only_begun_may_close_the_feet():
    steps = steps_of_walk(np.array([2.3, 2.7, -0.2]) * STEP_S, STEP_S, 0.6)
    assert steps.tolist() == [3.0, 4.0, 2.0]  # before the first step: two in place


def test_a_new_command_before_the_end_goes_on():
    clock = GaitClock(STEP_S)
    run(clock, AHEAD, 2.0)
    run(clock, REST, 0.1)
    assert np.isfinite(clock.walk_s)
    run(clock, AHEAD, 0.1)
    assert np.isinf(clock.walk_s)


def test_arrays_of_times():
    since = np.array([[-1.0, -0.25, 0.0], [0.65, 1.3, 9.0]])
    phases = gait_phase(since, 2.6, STEP_S)
    assert phases.shape == (2, 3, 2)
    np.testing.assert_allclose(np.linalg.norm(phases, axis=-1), [[0.0, 0.5, 1.0], [1.0, 1.0, 0.0]])
