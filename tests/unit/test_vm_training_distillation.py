"""DAgger: what is written down, what is learnt from it, how fast."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import vm_training_cases as cases

from vm_training.mdp.clip_tracking import ClipTracking
from vm_training.mdp.observations import SensorNoise, observe
from vm_training.student import Student
from vm_training.tasks import distillation
from vm_training.tasks.distillation import (
    ACTION_CLIP,
    OBSERVATION_SIZE,
    DistillationConfig,
    act,
    gather,
    learn,
    learning_rate_at,
    new_lessons,
)
from vm_training.tasks.lessons import Lessons
from vm_training.teachers.local_models import CORRECTION_SCALE
from vm_training.teachers.sampled_lqr import MAX_CORRECTION_RAD, LqrTeacher

torch.set_num_threads(1)  # as the task itself does
SMALL = DistillationConfig(rounds=5, steps_a_round=320, epochs=3, batch=128, longest_rollout=20, hold_s=0.4)


def standing(robots: int = 16) -> ClipTracking:
    return cases.tracking(cases.standing_clip(), envs=robots, seed=4)


def room(count: int) -> Lessons:
    return new_lessons(replace(SMALL, rounds=1, steps_a_round=count))


def linear_lessons(count: int = 2000) -> tuple[Lessons, np.ndarray]:
    """Observations and the actions of a teacher that is a matrix."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(0.0, 0.1, (OBSERVATION_SIZE, 23)).astype(np.float32)
    lessons, seen = room(count), rng.normal(0.0, 1.0, (count, OBSERVATION_SIZE)).astype(np.float32)
    for half in (seen[: count // 2], seen[count // 2 :]):
        lessons.add(half, half @ matrix)
    return lessons, matrix


def new_student() -> Student:
    torch.manual_seed(0)
    return Student(OBSERVATION_SIZE, 23)


def test_a_new_student_leaves_the_reference_alone():
    """Zero correction is the feed-forward target: the best that an untrained network can do."""
    seen = np.random.default_rng(0).normal(size=(10, OBSERVATION_SIZE)).astype(np.float32)
    assert np.abs(act(new_student(), seen)).max() < 0.01 * CORRECTION_SCALE


def test_actions_are_clipped_then_scaled():
    student = new_student()
    torch.nn.init.constant_(student.layers[-1].bias, 100.0)
    found = act(student, np.zeros((3, OBSERVATION_SIZE), dtype=np.float32))
    np.testing.assert_allclose(found, MAX_CORRECTION_RAD)
    assert found.dtype == np.float64 and found.shape == (3, 23)
    assert pytest.approx(MAX_CORRECTION_RAD) == ACTION_CLIP * CORRECTION_SCALE


def test_learning_lowers_the_loss_and_imitates_a_linear_teacher():
    lessons, matrix = linear_lessons()
    student, generator = new_student(), torch.Generator().manual_seed(1)
    config = replace(SMALL, epochs=3, batch=50)
    losses = [learn(student, lessons, config, rate, generator) for rate in (1e-3, 1e-3, 3e-4)]
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.3 * losses[0]
    unseen = np.random.default_rng(9).normal(size=(500, OBSERVATION_SIZE)).astype(np.float32)
    wanted = np.clip(unseen @ matrix, -ACTION_CLIP, ACTION_CLIP) * CORRECTION_SCALE
    error = act(student, unseen) - wanted
    assert np.mean(error**2) < 0.25 * np.mean(wanted**2)  # never seen, yet explained


def test_learning_is_repeatable():
    lessons, _ = linear_lessons(300)
    students = [new_student(), new_student()]
    for student in students:
        learn(student, lessons, SMALL, 1e-3, torch.Generator().manual_seed(3))
    for ours, theirs in zip(*(s.parameters() for s in students), strict=True):
        assert torch.equal(ours, theirs)


def test_lessons_of_all_rounds_are_kept():
    lessons = new_lessons(SMALL)
    for round_ in range(SMALL.rounds):
        lessons.add(np.full((320, 108), 1.0 / 3.0), np.full((320, 23), round_))
    observation, action = lessons.at(np.arange(lessons.count))
    assert len(action) == 1600 and sorted(set(action[:, 0])) == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(observation, 1.0 / 3.0, rtol=1e-7)  # not in half precision


def test_the_learning_rate_falls_to_a_tenth():
    rates = [learning_rate_at(SMALL, k) for k in range(SMALL.rounds)]
    assert rates[0] == SMALL.learning_rate and rates[-1] == pytest.approx(0.1 * SMALL.learning_rate)
    ratios = np.divide(rates[1:], rates[:-1])
    np.testing.assert_allclose(ratios, ratios[0])
    assert learning_rate_at(replace(SMALL, rounds=1), 0) == SMALL.learning_rate


def test_the_student_acts_and_the_teacher_is_written_down():
    """The heart of DAgger: states are the student's, labels the teacher's for those very states."""
    env, told = standing(), []
    gains = np.random.default_rng(0).normal(0.0, 0.02, (25, 23, 59))
    teacher = LqrTeacher(gains)

    class Witness:
        def correction(self, frame: np.ndarray, error: np.ndarray) -> np.ndarray:
            told.append((frame.copy(), error.copy()))
            return teacher.correction(frame, error)

    acted, lessons = [], room(320)

    def controller(observation: np.ndarray) -> np.ndarray:
        acted.append(observation)
        return np.zeros((16, 23))

    gather(env, controller, Witness(), replace(SMALL, exploration_rad=0.0), lessons)  # type: ignore[arg-type]
    assert len(acted) == len(told) == 20 and lessons.count == 320
    np.testing.assert_array_equal(lessons.observation, np.concatenate(acted))
    wanted = np.concatenate([teacher.correction(*pair) for pair in told]) / CORRECTION_SCALE
    np.testing.assert_allclose(lessons.action, wanted, rtol=1e-6)
    assert np.abs(wanted).max() <= ACTION_CLIP * (1 + 1e-9)


def test_robots_start_anew_when_they_are_lost_or_old(monkeypatch):
    env, resets = standing(8), []
    monkeypatch.setattr(env, "lost", lambda: np.arange(8) == 2)
    reset = env.reset
    monkeypatch.setattr(env, "reset", lambda envs, frames: (resets.append(envs.copy()), reset(envs, frames)))
    config = replace(SMALL, steps_a_round=8 * 30, starts_at_beginning=1.0)
    gather(env, lambda seen: np.zeros((8, 23)), LqrTeacher(np.zeros((25, 23, 59))), config, room(240))
    assert resets[0].tolist() == list(range(8))
    assert all(2 in envs for envs in resets[1:]) and len(resets) == 31
    others = np.concatenate(resets[1:])
    assert all(1 <= np.sum(others == env) <= 2 for env in range(8) if env != 2)  # 30 steps, at most 21 each


def test_the_share_of_starts_at_the_beginning():
    env = cases.tracking(envs=1)
    frames = distillation.start_frames(env, 4000, 0.25)
    assert np.mean(frames == 0) == pytest.approx(0.25, abs=0.04)
    assert frames.max() == pytest.approx(env.clip.num_frames, abs=5)


def test_sensor_noise_has_the_spread_that_it_says():
    env = standing(2000)
    env.reset(np.arange(2000), np.zeros(2000, dtype=int))
    clean, noise = observe(env, None), SensorNoise()
    assert np.ptp(clean, axis=0).max() < 1e-6 and clean.dtype == np.float32
    spread = (observe(env, noise) - clean).std(axis=0)
    wanted = (
        (0, 3, 0.5 * noise.gyro_rad_s),
        (3, 5, 4.0 * noise.tilt_rad),  # gravity's horizontal part
        (6, 9, 10.0 * noise.tilt_rad),
        (9, 12, 20.0 * noise.position_m),
        (12, 15, 4.0 * noise.linear_m_s),
        (15, 38, 10.0 * noise.joint_rad),
        (38, 61, 0.3 * noise.joint_rad_s),
    )
    for start, end, std in wanted:
        np.testing.assert_allclose(spread[start:end], std, rtol=0.1)
    assert not spread[61:].any()  # the clip is known exactly
    again = observe(env, None)
    np.testing.assert_array_equal(again, clean)  # noise is in the eye, not in the robot
