"""A path is walked to its end: on random paths, from random places, with a robot that answers late and not exactly."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vm_core.frames import quat_from_rotvec
from vm_policy_node.root_command import CommandConfig, PathFollower, RootCommandMixer

LOWER, UPPER = np.array([-0.5, -0.3, -0.6]), np.array([0.8, 0.3, 0.6])
DT_S = 0.02
EXAMPLES = settings(max_examples=25)


def gentle_path(seed: int, stretches: int = 12) -> np.ndarray:
    """(N, 2) [m] with bends of at most 0.35 rad every 0.4 m."""
    bends = np.random.default_rng(seed).uniform(-0.35, 0.35, stretches)
    headings = np.cumsum(bends)
    steps = 0.4 * np.column_stack([np.cos(headings), np.sin(headings)])
    return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])


def walk(
    mixer: RootCommandMixer, pos: np.ndarray, yaw: float, seconds: float, *, lag_s: float = 0.15, gain: float = 0.9
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions (T, 2), headings (T,) and commands (T, 3) of a robot that reaches a share of what is asked, late."""
    velocity, rows = np.zeros(3), []
    for k in range(round(seconds / DT_S)):
        now = k * DT_S
        mixer.on_pose(np.array([*pos, 0.75]), quat_from_rotvec(np.array([0.0, 0.0, yaw])), now)
        command = mixer.update(now, DT_S)
        velocity = velocity + (1.0 - math.exp(-DT_S / lag_s)) * (gain * command - velocity)
        forward = np.array([math.cos(yaw), math.sin(yaw)])
        pos = pos + DT_S * (velocity[0] * forward + velocity[1] * np.array([-forward[1], forward[0]]))
        yaw += DT_S * velocity[2]
        rows.append([*pos, yaw, *command])
    found = np.array(rows)
    return found[:, :2], found[:, 2], found[:, 3:]


def mixer_on(path: np.ndarray, final_yaw: float | None = None) -> RootCommandMixer:
    mixer = RootCommandMixer(LOWER, UPPER)
    assert mixer.on_path(path, final_yaw) == ""
    return mixer


def distance_to(path: np.ndarray, points: np.ndarray) -> np.ndarray:
    dense = np.concatenate([np.linspace(a, b, 40) for a, b in zip(path[:-1], path[1:], strict=True)])
    return np.linalg.norm(points[:, None] - dense[None], axis=2).min(axis=1)


@settings(max_examples=12)
@given(seed=st.integers(0, 10**6), off=st.floats(-0.2, 0.2), turned=st.floats(-0.6, 0.6))
def test_gentle_paths_are_walked_to_their_end_and_closely(seed, off, turned):
    path = gentle_path(seed)
    mixer = mixer_on(path)
    positions, _, commands = walk(mixer, np.array([0.0, off]), turned, 30.0)
    assert not mixer.path.active
    assert np.linalg.norm(positions[-1] - path[-1]) < 0.2
    assert distance_to(path, positions).max() < 0.35
    assert np.all(commands <= UPPER + 1e-9) and np.all(commands >= LOWER - 1e-9)
    assert commands[:, 0].min() >= 0.0  # never backwards
    assert np.array_equal(commands[-1], np.zeros(3))  # 0: stand still
    assert mixer.source == "none"


@EXAMPLES
@given(seed=st.integers(0, 10**6), yaw=st.floats(-3.0, 3.0), x=st.floats(-50.0, 50.0), y=st.floats(-50.0, 50.0))
def test_the_command_does_not_depend_on_where_the_world_lies(seed, yaw, x, y):
    rng = np.random.default_rng(seed)
    path, pos, heading = gentle_path(seed), rng.normal(0.0, 0.5, 2), float(rng.uniform(-1.5, 1.5))
    turn = np.array([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])
    here, there = PathFollower(), PathFollower()
    here.set_path(path)
    there.set_path(path @ turn.T + [x, y])
    first, second = here.wish(pos, heading), there.wish(turn @ pos + [x, y], heading + yaw)
    assert first is not None and second is not None
    np.testing.assert_allclose(first, second, atol=1e-9)


@EXAMPLES
@given(seed=st.integers(0, 10**6))
def test_left_and_right_are_alike(seed):
    rng = np.random.default_rng(seed)
    mirror = np.array([1.0, -1.0])
    path, pos, heading = gentle_path(seed), rng.normal(0.0, 0.3, 2), float(rng.uniform(-1.5, 1.5))
    left, right = PathFollower(), PathFollower()
    left.set_path(path)
    right.set_path(path * mirror)
    one, other = left.wish(pos, heading), right.wish(pos * mirror, -heading)
    assert one is not None and other is not None
    np.testing.assert_allclose(one * [1.0, 1.0, -1.0], other, atol=1e-9)


def test_a_path_that_crosses_itself_is_followed_in_its_order():
    angles = np.linspace(0.0, 2.0 * math.pi, 60)
    eight = np.column_stack([2.0 * np.sin(angles), 1.5 * np.sin(2.0 * angles) / 2.0])
    mixer = mixer_on(eight)
    positions, *_ = walk(mixer, eight[0], math.atan2(*(eight[1] - eight[0])[::-1]), 60.0)
    assert not mixer.path.active
    assert positions[:, 0].max() > 1.8 and positions[:, 0].min() < -1.8  # both loops


def test_what_lies_behind_is_turned_to():
    mixer = mixer_on(np.array([[0.0, 0.0], [-3.0, 0.0]]))
    positions, headings, commands = walk(mixer, np.zeros(2), 0.0, 30.0)
    assert abs(headings[-1]) > 2.5
    assert commands[:, 0].min() >= 0.0
    assert np.linalg.norm(positions[-1] - [-3.0, 0.0]) < 0.2


def test_the_heading_at_the_end_is_taken():
    mixer = mixer_on(np.array([[0.0, 0.0], [1.5, 0.0]]), final_yaw=1.2)
    _, headings, commands = walk(mixer, np.zeros(2), 0.0, 15.0)
    assert abs(headings[-1] - 1.2) < 0.25
    assert not commands[-1].any()


def test_without_a_fresh_pose_it_stands_still_and_goes_on_later():
    mixer = mixer_on(np.array([[0.0, 0.0], [5.0, 0.0]]))
    walk(mixer, np.zeros(2), 0.0, 2.0)
    assert mixer.source == "path" and mixer.value[0] > 0.3
    for k in range(100):
        mixer.update(2.4 + DT_S * k, DT_S)
    assert mixer.source == "none" and not mixer.value.any()
    mixer.on_pose(np.array([0.6, 0.0, 0.7]), np.array([1.0, 0.0, 0.0, 0.0]), 4.4)
    mixer.update(4.41, DT_S)
    assert mixer.source == "path"


def test_sticks_come_before_cmd_vel_before_the_path():
    mixer = mixer_on(np.array([[0.0, 0.0], [5.0, 0.0]]))
    pose = np.array([0.0, 0.0, 0.7]), np.array([1.0, 0.0, 0.0, 0.0])
    seen = []
    for k in range(200):
        now = DT_S * k
        mixer.on_pose(*pose, now)
        if 50 <= k < 60:
            mixer.on_cmd_vel(0.0, 0.0, 0.0, now)  # zero is a wish, too
        if k == 70:
            mixer.on_remote(0.0, 1.0, 0.0, now)
        mixer.update(now, DT_S)
        seen.append(mixer.source)
    assert seen[49] == "path" and seen[50] == "cmd_vel" and seen[80] == "remote" and seen[199] == "path"


def test_paths_that_cannot_be_followed_are_refused():
    mixer = mixer_on(np.array([[0.0, 0.0], [5.0, 0.0]]))
    assert "numbers that are none" in mixer.on_path(np.array([[0.0, math.nan]]))
    assert not mixer.path.active  # the old path is not walked on


def test_an_empty_path_ends_following():
    mixer = mixer_on(np.array([[0.0, 0.0], [5.0, 0.0]]))
    assert mixer.on_path(np.zeros((0, 2))) == ""
    mixer.on_pose(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]), 0.0)
    assert not mixer.update(0.0, DT_S).any()


def test_single_and_doubled_points_are_paths_too():
    for path in ([[0.5, 0.0]], [[0.0, 0.0], [0.0, 0.0], [0.5, 0.0], [0.5, 0.0]]):
        mixer = mixer_on(np.array(path))
        positions, *_ = walk(mixer, np.zeros(2), 0.0, 10.0)
        assert np.linalg.norm(positions[-1] - [0.5, 0.0]) < 0.15


@EXAMPLES
@given(
    wishes=st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=20),
    every=st.integers(1, 40),
)
def test_no_jump_is_larger_than_the_legs_allow(wishes, every):
    mixer, config, last = RootCommandMixer(LOWER, UPPER), CommandConfig(), np.zeros(3)
    most = DT_S * config.braking * np.array([config.acceleration, config.acceleration, config.yaw_acceleration])
    for k in range(20 * len(wishes)):
        if k % every == 0:
            mixer.on_cmd_vel(*wishes[k // every % len(wishes)], DT_S * k)
        now = mixer.update(DT_S * k, DT_S)
        assert np.all(np.abs(now - last) <= np.maximum(most, config.rest) + 1e-12)
        assert np.all(now <= UPPER) and np.all(now >= LOWER)
        last = now.copy()


def test_silence_ends_in_exactly_nothing():
    mixer = RootCommandMixer(LOWER, UPPER)
    mixer.on_cmd_vel(0.5, 0.2, -0.4, 0.0)
    for k in range(150):
        mixer.update(DT_S * k, DT_S)
    assert mixer.source == "none"
    assert np.array_equal(mixer.value, np.zeros(3))


def test_poses_that_are_none_go_stale():
    mixer = mixer_on(np.array([[0.0, 0.0], [5.0, 0.0]]))
    for pos, quat in (([np.nan, 0, 0], [1.0, 0, 0, 0]), ([0, 0, 0], [0.0, 0, 0, 0]), ([0, 0, 0], [np.nan, 0, 0, 0])):
        mixer.on_pose(np.array(pos, dtype=float), np.array(quat), 0.0)
        mixer.update(0.0, DT_S)
        assert mixer.source == "none"


def test_without_a_path_nothing_is_wished():
    assert PathFollower(CommandConfig()).wish(np.zeros(2), 0.0) is None
