"""Robots on a clip: where they start, how far they are off, when they are lost."""

from dataclasses import replace

import numpy as np
import pytest
import vm_training_cases as cases
from hypothesis import given, settings
from hypothesis import strategies as st

from vm_core import g1
from vm_core.errors import VmError
from vm_core.frames import heading_quat, quat_from_rotvec, quat_multiply, quat_rotate, quat_rotate_inverse
from vm_sim.g1_model import load_g1_spec
from vm_training.mdp import clip_tracking
from vm_training.mdp.clip_tracking import StartNoise, check_model_order
from vm_training.mdp.randomization import DomainRanges

ENV = cases.tracking()
LAST_FRAME = ENV.clip.num_frames - 1
EVERYONE = np.arange(3)
SLICES = {
    "position": slice(0, 3),
    "rotation": slice(3, 6),
    "joints": slice(6, 29),
    "linear": slice(29, 32),
    "angular": slice(32, 35),
    "speeds": slice(35, 58),
}


def at_frames(*frames: int) -> np.ndarray:
    ENV.reset(EVERYONE, np.array(frames))
    return ENV.error_state()


def in_heading(world: np.ndarray, frame: int) -> np.ndarray:
    """Ahead, left and up of the clip, which heads 0.4 rad to the left."""
    return quat_rotate_inverse(heading_quat(ENV.clip.root_quat_wxyz[frame]), world)


@settings(max_examples=20)
@given(st.lists(st.integers(0, LAST_FRAME), min_size=3, max_size=3))
def test_a_reset_without_noise_is_on_the_clip(frames):
    error = at_frames(*frames)
    assert error.shape == (3, clip_tracking.NUM_ERRORS)
    np.testing.assert_allclose(error, 0.0, atol=1e-7)
    np.testing.assert_array_equal(ENV.frame, frames)
    np.testing.assert_array_equal(ENV.last_target, cases.climb_clip().joint_target[frames])
    assert not ENV.lost().any()


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(0, LAST_FRAME))
def test_errors_appear_where_they_belong(seed, frame):
    """Each block of the error state is what was added, with its sign, and nothing else moves."""
    rng = np.random.default_rng(seed)
    moved = {name: rng.normal(0.0, 0.05, part.stop - part.start) for name, part in SLICES.items()}
    for name, part in SLICES.items():
        at_frames(frame, frame, frame)
        qpos, qvel = ENV.physics.qpos, ENV.physics.qvel
        if name == "rotation":
            qpos[1, 3:7] = quat_multiply(qpos[1, 3:7], quat_from_rotvec(moved[name]))
        elif name in ("position", "joints"):
            qpos[1, {"position": slice(0, 3), "joints": slice(7, 30)}[name]] += moved[name]
        else:
            qvel[1, part.start - 29 : part.stop - 29] += moved[name]
        wanted = np.zeros((3, 58))
        wanted[1, part] = in_heading(moved[name], frame) if name in ("position", "linear") else moved[name]
        np.testing.assert_allclose(ENV.error_state(), wanted, atol=1e-7)


def test_rotation_errors_are_the_robot_s_own_turns():
    """A lean about the pelvis' own axis reads the same whatever the heading."""
    at_frames(10, 10, 10)
    lean = np.array([0.0, 0.1, 0.0])
    ENV.physics.qpos[1, 3:7] = quat_multiply(ENV.physics.qpos[1, 3:7], quat_from_rotvec(lean))
    world = quat_rotate(ENV.reference_qpos[10, 3:7], lean)
    ENV.physics.qpos[2, 3:7] = quat_multiply(quat_from_rotvec(world), ENV.physics.qpos[2, 3:7])
    error = ENV.error_state()
    np.testing.assert_allclose(error[1:, 3:6], [lean, lean], atol=1e-9)
    assert np.linalg.norm(world - lean) > 0.01  # the clip heads 0.4 rad to the left


def test_noise_has_the_spread_that_it_says():
    noise = StartNoise(0.01, 0.02, 0.03, 0.04, 0.05, 0.06)
    env = cases.tracking(cases.standing_clip(), envs=400, noise=noise)
    env.reset(np.arange(400), np.zeros(400, dtype=int))
    error = env.error_state()
    stds = {"rotation": 0.02, "joints": 0.03, "linear": 0.04, "angular": 0.05, "speeds": 0.06}
    for name, std in stds.items():
        assert error[:, SLICES[name]].std() == pytest.approx(std, rel=0.1)
    assert error[:, :2].std() == pytest.approx(0.01, rel=0.1)
    assert not error[:, 2].any()  # the height is where the ground is


def test_a_step_follows_the_clip_and_holds_its_end():
    last = cases.climb_clip().num_frames - 1
    at_frames(0, 50, last)
    ENV.step(np.zeros((3, 23)))
    assert np.abs(ENV.error_state()[:2] / clip_tracking.ERROR_SCALE).max() < 1.0  # less than a usual error
    np.testing.assert_array_equal(ENV.frame, [1, 51, last + 1])
    np.testing.assert_array_equal(ENV.clip_frame, [1, 51, last])
    np.testing.assert_array_equal(ENV.last_target, cases.climb_clip().joint_target[[0, 50, last]])


def test_corrections_add_to_the_target():
    at_frames(0, 0, 0)
    correction = np.zeros((3, 23))
    elbow = g1.POLICY_JOINT_NAMES.index("left_elbow_joint")
    correction[1, elbow], correction[2, elbow] = 0.3, -0.3
    ENV.step(correction)
    error = ENV.error_state()[:, 6 + elbow]
    assert error[1] > error[0] + 1e-3 and error[2] < error[0] - 1e-3
    np.testing.assert_allclose(ENV.last_target - ENV.reference_target[0], correction, atol=1e-12)


def test_delays_are_drawn_from_none_to_the_longest(monkeypatch):
    env = cases.tracking(cases.standing_clip(), envs=50, ranges=DomainRanges(delay_s=0.01))
    env.reset(np.arange(50), np.zeros(50, dtype=int))
    drawn = []
    monkeypatch.setattr(env.physics, "step", lambda target, previous, delay: drawn.append(delay))
    for _ in range(10):
        env.step(np.zeros((50, 23)))
    values, counts = np.unique(np.concatenate(drawn), return_counts=True)
    assert values.tolist() == [0, 1, 2]  # substeps of 5 ms
    assert counts.min() > 120  # of 500


def test_who_is_lost():
    def lost(change) -> bool:
        at_frames(5, 5, 5)
        change(ENV.physics.qpos[1])
        assert not ENV.lost()[[0, 2]].any()
        return bool(ENV.lost()[1])

    def turn(qpos: np.ndarray, rotvec: list[float]) -> None:
        qpos[3:7] = quat_multiply(qpos[3:7], quat_from_rotvec(np.array(rotvec)))

    far, tilt = clip_tracking.LOST_POSITION_M, clip_tracking.LOST_TILT_RAD
    for axis in range(3):
        assert not lost(lambda q, a=axis: q.__setitem__(a, q[a] + 0.98 * far))
        assert lost(lambda q, a=axis: q.__setitem__(a, q[a] - 1.02 * far))
        assert not lost(lambda q, a=axis: turn(q, [0.98 * tilt * (k == a) for k in range(3)]))
        assert lost(lambda q, a=axis: turn(q, [-1.02 * tilt * (k == a) for k in range(3)]))
    assert lost(lambda q: q.__setitem__(10, np.nan))


def test_a_push_adds_velocity_to_whom_it_hits():
    at_frames(20, 20, 20)
    pushes = np.array([[0.1, 0.2, 0.3], [0.0, 0.0, 0.0], [-0.1, 0.0, 0.0]])
    ENV.push(np.array([0, 2]), pushes[[0, 2]])
    wanted = [in_heading(push, 20) for push in pushes]
    np.testing.assert_allclose(ENV.error_state()[:, 29:32], wanted, atol=1e-7)
    ENV.push(np.zeros(0, dtype=int), np.zeros((0, 3)))  # nobody


def test_the_model_must_have_the_policy_s_joints():
    assert check_model_order(ENV.model)
    assert not check_model_order(load_g1_spec(wrists=True).compile())
    swapped = load_g1_spec(wrists=False)
    names = [actuator.name for actuator in swapped.actuators]
    assert swapped.actuators[0].name == g1.POLICY_JOINT_NAMES[0]
    swapped.delete(swapped.actuators[0])
    assert not check_model_order(swapped.compile()) and len(names) == 23


def test_a_clip_in_another_order_is_refused():
    """Joints are picked by place from here on, so another order would be another motion."""
    clip = cases.standing_clip()
    with pytest.raises(VmError, match="23 joints in their order"):
        cases.tracking(replace(clip, joint_names=clip.joint_names[::-1]), envs=1)
    with pytest.raises(VmError, match="without targets"):
        cases.tracking(replace(clip, joint_target=None), envs=1)


def test_a_robot_that_diverged_stays_lost_until_its_reset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # for MuJoCo's log
    env = cases.tracking(cases.standing_clip(), envs=2)  # at the origin, where MuJoCo would put it back
    env.reset(np.arange(2), np.zeros(2, dtype=int))
    env.physics.qvel[1, 10] = 1e12
    for _ in range(3):
        env.step(np.zeros((2, 23)))
        assert env.lost().tolist() == [False, True]
    env.reset(np.array([1]), np.zeros(1, dtype=int))
    env.step(np.zeros((2, 23)))
    assert not env.lost().any()
