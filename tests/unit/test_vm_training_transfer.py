"""Gains of one walk for another: in step from the start, from the end for the last steps, mirrored where feet swap."""

import numpy as np

from vm_training.mdp.mirror import mirrored_gains
from vm_training.mdp.operators import Timing
from vm_training.teachers.sampled_lqr import LqrTeacher
from vm_training.teachers.transfer import transferred

FPS, STEP_S, STAND_S = 50.0, 0.6, 1.0


def timing(steps: int) -> Timing:
    return Timing(STAND_S, steps * STEP_S, STEP_S, 0.3, 0.0)


def frames(steps: int) -> int:
    return round((2 * STAND_S + steps * STEP_S) * FPS)


def donor(steps: int) -> LqrTeacher:
    return LqrTeacher(np.random.default_rng(0).normal(size=(frames(steps), 23, 59)))


def test_for_the_same_walk_nothing_changes_but_the_constant():
    teacher = donor(8)
    same = transferred(teacher, timing(8), timing(8), frames(8), FPS)
    np.testing.assert_array_equal(same.gains[..., :-1], teacher.gains[..., :-1])
    assert not same.gains[..., -1].any()


def test_a_longer_walk_repeats_two_steps_and_ends_alike():
    teacher, cycle = donor(8), round(2 * STEP_S * FPS)
    longer = transferred(teacher, timing(8), timing(12), frames(12), FPS).gains[..., :-1]
    np.testing.assert_array_equal(longer[:150], teacher.gains[:150, :, :-1])
    np.testing.assert_array_equal(longer[-100:], teacher.gains[-100:, :, :-1])
    np.testing.assert_array_equal(longer[190 + cycle], longer[190])


def test_an_odd_number_of_steps_more_ends_in_the_mirror():
    teacher = donor(8)
    longer = transferred(teacher, timing(8), timing(9), frames(9), FPS).gains[..., :-1]
    np.testing.assert_array_equal(longer[-100:], mirrored_gains(teacher.gains)[-100:, :, :-1])
    np.testing.assert_array_equal(mirrored_gains(mirrored_gains(teacher.gains)), teacher.gains)
