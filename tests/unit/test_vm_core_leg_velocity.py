"""The pelvis' velocity by the legs: that of a body whose foot stands, whatever else moves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vm_core import g1
from vm_core.frames import quat_from_rotvec, quat_multiply, quat_rotate_inverse
from vm_core.keypoint_command import keypoint_poses
from vm_core.leg_velocity import leg_velocity
from vm_core.observation import build_terms
from vm_core.observation_terms import ObservationInputs
from vm_core.policy_contract import ObservationTerm

STAND = np.array([g1.DEFAULT_STAND_POSE[g1.motor_index(name)] for name in g1.POLICY_JOINT_NAMES])
LEFT_KNEE = g1.POLICY_JOINT_NAMES.index("left_knee_joint")
J = len(STAND)


def moving(seed: int, lifted: bool) -> tuple[np.ndarray, ...]:
    """A pose, its joint speeds, and the pelvis' velocity (3,) and spin (3,) that keep the right sole's middle still."""
    rng = np.random.default_rng(seed)
    joints, speeds = STAND + 0.05 * rng.normal(size=J), rng.normal(size=J)
    if lifted:
        joints[LEFT_KNEE] += 0.6
    quat = quat_from_rotvec(np.array([0.02, -0.03, rng.uniform(-3.0, 3.0)]))
    spin = 0.5 * rng.normal(size=3)
    dt = 1e-5
    before, _ = keypoint_poses(np.zeros((1, 3)), quat[None], joints[None])
    later = quat_multiply(quat, quat_from_rotvec(dt * spin))
    after, _ = keypoint_poses(np.zeros((1, 3)), later[None], (joints + dt * speeds)[None])
    return quat, spin, joints, speeds, -(after - before)[0, 4] / dt


@given(st.integers(0, 50))
def test_the_foot_that_bears_says_how_fast_the_pelvis_goes(seed):
    quat, spin, joints, speeds, velocity = moving(seed, lifted=True)
    yaw_only = np.array([quat[0], 0.0, 0.0, quat[3]]) / np.hypot(quat[0], quat[3])
    expected = quat_rotate_inverse(yaw_only, velocity)[:2]
    np.testing.assert_allclose(leg_velocity(quat, spin, joints, speeds), expected, atol=0.02)


def test_batches_are_what_each_is_alone():
    parts = [moving(seed, lifted=bool(seed % 2))[:4] for seed in range(6)]
    stacked = [np.stack(values).reshape(2, 3, -1) for values in zip(*parts, strict=True)]
    found = leg_velocity(*stacked)
    assert found.shape == (2, 3, 2)
    alone = np.stack([leg_velocity(*part) for part in parts]).reshape(2, 3, 2)
    np.testing.assert_allclose(found, alone, atol=1e-12)


def test_who_stands_still_does_not_go():
    assert np.abs(leg_velocity(np.array([1.0, 0, 0, 0]), np.zeros(3), STAND, np.zeros(J))).max() == 0.0


@pytest.mark.parametrize("batch", [(), (4,)])
def test_it_is_a_term_of_observations(batch):
    quat, spin, joints, speeds, _ = moving(3, lifted=True)
    wide = [np.broadcast_to(value, (*batch, len(value))) for value in (joints, speeds, quat, spin)]
    inputs = ObservationInputs(wide[0], wide[1], STAND, wide[2], wide[3], np.zeros((*batch, J)))
    built = build_terms((ObservationTerm("leg_velocity", 2),), inputs)["leg_velocity"]
    np.testing.assert_allclose(built, np.broadcast_to(leg_velocity(quat, spin, joints, speeds), (*batch, 2)))
