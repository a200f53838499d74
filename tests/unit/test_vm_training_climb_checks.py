"""Checks of a student: who counts as a success, for how long, in which physics."""

import numpy as np
import pytest
import torch
import vm_training_cases as cases

from vm_training.mdp.clip_tracking import StartNoise
from vm_training.mdp.observations import TRACKING_TERMS
from vm_training.mdp.randomization import DomainRanges
from vm_training.student import Student
from vm_training.tasks import climb_checks
from vm_training.tasks.climb_checks import CONDITIONS, evaluate_student, follow
from vm_training.tasks.distillation import OBSERVATION_SIZE


def silent() -> Student:
    torch.manual_seed(0)
    return Student(OBSERVATION_SIZE, 23)


def test_success_is_the_whole_clip_and_the_stand_after_it(monkeypatch):
    """Four robots: never lost, lost for a moment in the middle, at the first step, at the very last."""
    env = cases.tracking(cases.standing_clip(), envs=4)
    moments = {1: 20, 2: 1, 3: 35}  # robot to frame; 25 frames of clip and 10 of standing
    monkeypatch.setattr(env, "lost", lambda: np.array([moments.get(i) == env.frame[i] for i in range(4)]))
    success, upright = follow(env, silent(), hold_s=0.2)
    assert success == 0.25
    assert upright == pytest.approx(np.mean([35, 19, 0, 34]) / 50.0)
    np.testing.assert_array_equal(env.frame, 35)


def test_a_silent_student_falls_and_the_check_ends_there():
    env = cases.tracking(cases.standing_clip(), envs=4, noise=StartNoise())
    success, upright = follow(env, silent(), hold_s=60.0)
    assert success == 0.0 and 0.5 < upright < 3.0
    assert env.frame.max() < 300


def test_each_condition_is_tried_in_the_finer_physics(monkeypatch):
    seen = []

    def witness(env, student, terms):
        assert terms == TRACKING_TERMS
        seen.append((env.ranges, env.noise, env.collision, env.timestep_s, env.num_envs, env.seed))
        return 1.0, 2.0

    monkeypatch.setattr(climb_checks, "follow", witness)
    checks = evaluate_student(silent(), cases.standing_clip(), cases.stairs(), seed=9, starts=3, threads=1)
    assert [c.condition for c in checks] == list(CONDITIONS)
    assert seen == [(ranges, noise, "full", 0.002, 3, 9) for ranges, noise in CONDITIONS.values()]
    assert (checks[0].starts, checks[0].success, checks[0].upright_s) == (3, 1.0, 2.0)


def test_conditions_differ_and_begin_with_the_nominal():
    assert next(iter(CONDITIONS.items())) == ("nominal", (DomainRanges.none(), StartNoise()))
    assert len(set(CONDITIONS.values())) == len(CONDITIONS)
    for name, (ranges, noise) in CONDITIONS.items():
        word, _, rest = name.partition(" ")
        if word == "friction":
            assert ranges.friction == (float(rest),) * 2
        elif word == "delay":
            assert f"{1e3 * ranges.delay_s:.0f} ms" in rest
        elif word == "steps":
            assert f"{1e3 * ranges.box_height_m:.0f} mm" in rest
        elif word == "start":
            assert f"{1e2 * noise.position_m:.0f} cm" in rest and f"{np.rad2deg(noise.rotation_rad):.0f} deg" in rest
