"""The law that brings walking robots to rest: paths of a point mass, landings, commands."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vm_core import g1
from vm_core.halting import (
    AWAY_M,
    COM_HEIGHT_M,
    FOOT_REACH_M,
    GRAVITY,
    PERIOD_S,
    SOLE_M,
    STEADY_AFTER_S,
    STRETCH_M,
    WAITS,
    Halting,
    eased,
    halt_path,
    may_halt,
    sensed,
)
from vm_core.keypoint_command import COMMAND_SIZE, keypoints_of_joints

STAND = g1.DEFAULT_STAND_POSE[[g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]]
LEVEL, NONE = np.array([[1.0, 0.0, 0.0, 0.0]]), np.zeros((1, 3))
POINTS = keypoints_of_joints(NONE, LEVEL, STAND[None])[0]
RATE = np.sqrt(GRAVITY / COM_HEIGHT_M)
KNEE, HIP = (g1.POLICY_JOINT_NAMES.index(f"left_{joint}_joint") for joint in ("knee", "hip_pitch"))


def can_be_caught(divergent_m: float, foot_m: float, wait: int, margin_m: float = 0.03) -> bool:
    """Whether the divergent component is still inside the soles when the foot in the air is down as far as it goes."""
    toes = SOLE_M[1, 0]
    lands_at = toes + (divergent_m - toes) * np.exp(RATE * PERIOD_S * wait)
    return lands_at < max(0.0, foot_m + FOOT_REACH_M[1]) + toes - margin_m


@settings(max_examples=30)
@given(
    ahead=st.floats(-0.1, 0.45),
    left=st.floats(-0.15, 0.15),
    foot=st.floats(-0.15, 0.15),
    wait=st.integers(0, 10),
)
def test_a_walking_body_rests_between_the_feet_within_a_second(ahead, left, foot, wait):
    """The zero moment point stays inside the soles; the foot in the air lands where it can."""
    where, speed = np.array([[0.02, 0.06]]), np.array([[ahead, left]])
    assume(can_be_caught(0.02 + ahead / RATE, foot, wait))
    place, states = halt_path(
        where, speed, np.array([[foot, 0.19]]), np.ones(1), np.array([wait]), np.array([True]), 100
    )
    assert abs(place[0, 0]) <= STRETCH_M and place[0, 1] >= 0.15
    assert np.linalg.norm(states[0, 45, 2:]) < 0.06  # at 0.9 s
    assert np.allclose(states[0, -1, :2], 0.5 * place[0], atol=0.01)
    before = np.concatenate([np.concatenate([where, speed], axis=1), states[0, :-1]])
    zmp = before[:, :2] - np.diff(np.vstack([before[:1, 2:], states[0, :, 2:]]), axis=0) / PERIOD_S / RATE**2
    low, high = np.minimum(0.0, place[0]) + SOLE_M[0], np.maximum(0.0, place[0]) + SOLE_M[1]
    assert np.all(zmp > low - 1e-6) and np.all(zmp < high + 1e-6)


def test_feet_come_down_smoothly_and_never_below_the_ground():
    part = np.linspace(0.0, 1.0, 50)[None]
    path = eased(np.array([[0.0, 0.2, 0.06]]), np.array([[0.2, 0.0, -0.3]]), np.array([[0.1, 0.19, 0.0]]), part)[0]
    assert np.allclose(path[[0, -1]], [[0.0, 0.2, 0.06], [0.1, 0.19, 0.0]]) and path[:, 2].min() >= 0.0
    assert np.abs(np.diff(path, axis=0)).max() < 0.02


def test_the_legs_say_how_fast_the_body_goes():
    rng = np.random.default_rng(0)
    speed, turn = rng.normal(0.0, 1.0, (1, len(STAND))), rng.normal(0.0, 0.5, (1, 3))
    points, feet_speed, yaw = sensed(LEVEL, turn, STAND[None], speed)
    soon = keypoints_of_joints(NONE, LEVEL, STAND[None] + 1e-4 * speed)[0]
    wanted = (soon - points[0])[3:] / 1e-4 + np.cross(turn, points[0, 3:])
    assert np.allclose(feet_speed[0], wanted, atol=0.02) and np.allclose(yaw, 0.0, atol=0.02)


def test_standing_robots_are_told_nothing_new_and_any_heading_is_as_good():
    law, turned = Halting(POINTS, 2), np.array([[1.0, 0, 0, 0], [0.6, 0, 0, 0.8]])
    for _ in range(60):
        command = law.command(np.ones(2, bool), turned, np.zeros((2, 3)), np.tile(STAND, (2, 1)), np.zeros((2, 23)))
    assert command.shape == (2, COMMAND_SIZE) and np.abs(command).max() < 2e-3
    assert np.allclose(command[0], command[1], atol=1e-9)


def test_a_lifted_foot_is_told_to_come_down_at_once_and_a_walker_is_left_alone():
    law, joints = Halting(POINTS), STAND.copy()
    joints[KNEE] += 0.5
    joints[HIP] -= 0.25
    state = (LEVEL, NONE, joints[None], np.zeros((1, 23)))
    law.command(np.zeros(1, bool), *state)
    assert law.since[0] == -1
    command = law.command(np.ones(1, bool), *state)[0]
    assert command[14] < -0.02 and abs(command[17]) < 0.01  # the left sole goes down, the right one stays


@pytest.mark.parametrize("frames", [3, 40])
def test_a_robot_that_walks_again_forgets_its_halt(frames):
    law, state = Halting(POINTS), (LEVEL, NONE, STAND[None], np.zeros((1, 23)))
    for _ in range(frames):
        law.command(np.ones(1, bool), *state)
    assert law.since[0] == frames - 1
    law.command(np.zeros(1, bool), *state)
    assert law.since[0] == -1
    law.reset(np.array([0]))
    assert law.since[0] == -1


@settings(max_examples=20, deadline=None)
@given(aside=st.floats(0.3, 1.5), ahead=st.floats(-0.5, 0.5))
def test_a_body_that_is_not_caught_is_still_told_to_come_back_between_its_feet(aside, ahead):
    """The path of one that goes out to the left for good ends metres away; robots that were told it fell."""
    law = Halting(POINTS)
    law._foot_speed[:] = [-ahead, -aside, 0.0]  # the body goes the other way
    for _ in range(40):
        command = law.command(np.ones(1, bool), LEVEL, NONE, STAND[None], np.zeros((1, 23)))
        assert abs(command[0, 1]) < 0.01 and abs(command[0, 0]) < AWAY_M[0] + 0.03


def test_what_senses_make_up_reaches_one_that_stands_only_in_part():
    law, rng, commands = Halting(POINTS), np.random.default_rng(2), []
    for _ in range(500):
        joints = STAND + rng.normal(0.0, 0.01, 23)
        commands.append(law.command(np.ones(1, bool), LEVEL, NONE, joints[None], np.zeros((1, 23)))[0])
    settled = round(STEADY_AFTER_S / PERIOD_S)
    before, after = (np.std(part, axis=0)[:3].max() for part in (commands[:settled], commands[settled + 10 :]))
    assert 0.2 * before < after < 0.7 * before


@given(since=st.floats(0.0, 100.0), step=st.floats(0.25, 0.8))
def test_a_halt_waits_for_a_landing_of_quick_steps_and_not_for_long(since, step):
    assert may_halt(np.array([np.nan, -0.3]), step).all()  # at rest, and before the first step
    waits_s = next(k for k in range(10) if may_halt(np.array(since + PERIOD_S * k), step)) * PERIOD_S
    assert waits_s == 0.0 if step >= 0.4 else waits_s <= (WAITS[1] - WAITS[0]) * step + PERIOD_S
    middle = np.array((np.floor(since / step) + 0.5 * sum(WAITS)) * step)
    assert bool(may_halt(middle, step)) == (step >= 0.4)
