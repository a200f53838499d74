"""The teacher: found from little simulation, better than the bare reference."""

from functools import cache

import numpy as np
import vm_training_cases as cases
from hypothesis import given, settings
from hypothesis import strategies as st

from vm_training.mdp.clip_tracking import ERROR_SCALE, ClipTracking, StartNoise
from vm_training.teachers.local_models import CORRECTION_SCALE, Samples
from vm_training.teachers.sampled_lqr import (
    MAX_CORRECTION_RAD,
    LqrConfig,
    LqrTeacher,
    TeacherRound,
    collect,
    evaluate,
    train_lqr,
)

ROBOTS, CONFIG = 32, LqrConfig(rounds=2, steps_a_round=4000, hold_s=2.0)


def bare_reference() -> LqrTeacher:
    return LqrTeacher(np.zeros((25, 23, 59)))


def standing() -> ClipTracking:
    return cases.tracking(cases.standing_clip(), envs=ROBOTS, noise=StartNoise(), seed=1)


@cache
def trained() -> tuple[LqrTeacher, list[TeacherRound], list[TeacherRound]]:
    told: list[TeacherRound] = []
    teacher, rounds = train_lqr(standing(), CONFIG, told.append)
    return teacher, rounds, told


def pushed(teacher: LqrTeacher) -> tuple[float, float]:
    """Share that stands for 3 s, and mean seconds, when everybody is pushed after half a second."""
    env, rng = standing(), np.random.default_rng(3)

    def controller(frame: np.ndarray, error: np.ndarray, _: np.ndarray) -> np.ndarray:
        if frame[0] == 25:
            env.push(np.arange(ROBOTS), rng.normal(0.0, 0.2, (ROBOTS, 3)) * [1.0, 1.0, 0.0])
            error = env.error_state()
        return teacher.correction(frame, error)

    return evaluate(env, controller, 2.5)


def test_two_rounds_teach_to_stand_against_pushes():
    teacher, rounds, _ = trained()
    assert rounds[-1].steps <= 2 * CONFIG.steps_a_round
    assert max(r.success for r in rounds) > 0.9
    bare, taught = pushed(bare_reference()), pushed(teacher)
    assert bare[0] == 0.0 and bare[1] < 1.6  # the stand alone is no equilibrium
    assert taught[0] > 0.4 and taught[1] > 1.5 * bare[1]


def test_rounds_are_told_and_recorded():
    teacher, rounds, told = trained()
    assert rounds == told and len(rounds) == CONFIG.rounds
    assert [r.steps for r in rounds] == sorted(r.steps for r in rounds)
    assert teacher.gains.shape == (25, 23, 59)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_corrections_are_linear_until_they_are_clipped(seed):
    rng = np.random.default_rng(seed)
    teacher = LqrTeacher(rng.normal(0.0, 0.3, (4, 23, 59)))
    frame, error = np.array([1, 3, 90]), rng.normal(0.0, 1.0, (3, 58)) * ERROR_SCALE
    found = teacher.correction(frame, error)
    for i, at in enumerate((1, 3, 3)):  # beyond the clip its last gain holds
        wanted = -teacher.gains[at] @ np.append(error[i] / ERROR_SCALE, 1.0) * CORRECTION_SCALE
        np.testing.assert_allclose(found[i], np.clip(wanted, -MAX_CORRECTION_RAD, MAX_CORRECTION_RAD), atol=1e-12)
    unknown = np.full((3, 2), 30.0)  # these gains know of no forces
    np.testing.assert_array_equal(teacher.correction(frame, error, unknown), found)
    far = teacher.correction(frame, 50.0 * error)
    assert np.abs(far).max() == MAX_CORRECTION_RAD


def test_forces_that_are_known_are_met():
    rng = np.random.default_rng(0)
    teacher = LqrTeacher(rng.normal(0.0, 0.1, (4, 23, 61)))
    frame, nothing, felt_n = np.array([2]), np.zeros((1, 58)), np.array([[10.0, -20.0]])
    met = teacher.correction(frame, nothing, felt_n) - teacher.correction(frame, nothing)
    np.testing.assert_allclose(met[0], -teacher.gains[2, :, 58:60] @ [1.0, -2.0] * CORRECTION_SCALE, atol=1e-12)


def test_samples_are_transitions_of_robots_that_are_not_lost():
    env, samples = standing(), Samples()
    collect(env, bare_reference(), LqrConfig(steps_a_round=3200, longest_rollout=60), samples)
    frame, x, u, x_next, felt = samples.stacked()
    assert 2800 < len(samples) <= 3200
    assert len(frame) == len(x) == len(u) == len(x_next) == len(samples) and felt.shape == (len(samples), 0)
    assert frame.min() >= 0 and frame.max() <= 25 + 50  # the clip and a third of the 3 s after it
    for values in (x, u, x_next):
        assert np.isfinite(values).all()
    positions = x_next[:, :3] * ERROR_SCALE[:3]
    assert np.linalg.norm(positions, axis=1).max() < 0.4
    assert u.std() * CORRECTION_SCALE > 0.04  # exploration was really there
    # a transition is one period long: positions have moved by about their mean velocity
    moved = (x_next - x)[:, :3] * ERROR_SCALE[:3]
    speed = 0.5 * (x_next + x)[:, 29:32] * ERROR_SCALE[29:32]
    assert np.corrcoef(moved.ravel(), speed.ravel())[0, 1] > 0.9
    assert np.abs(moved - 0.02 * speed).mean() < 0.1 * np.abs(moved).mean() + 1e-4


def test_evaluation_ends_when_everybody_has_fallen():
    env = standing()
    success, upright = evaluate(env, lambda frame, error, felt: np.full((ROBOTS, 23), 0.4), hold_s=30.0)
    assert success == 0.0 and 0.1 < upright < 2.0
    assert env.frame.max() < 25 + 100
