"""Rotation algebra: group laws, and numpy and torch give the same."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vm_core import frames

finite = st.floats(-10.0, 10.0, allow_nan=False, width=64)
rotvecs = arrays(np.float64, (5, 3), elements=st.floats(-1.7, 1.7))
vectors = arrays(np.float64, (5, 3), elements=finite)


@given(rotvecs)
def test_rotvec_round_trip(rotvec):
    back = frames.rotvec_from_quat(frames.quat_from_rotvec(rotvec))
    np.testing.assert_allclose(back, rotvec, atol=1e-9)


@given(rotvecs)
def test_matrix_round_trip(rotvec):
    q = frames.quat_from_rotvec(rotvec)
    back = frames.quat_from_matrix(frames.matrix_from_quat(q))
    np.testing.assert_allclose(np.abs(np.sum(back * q, axis=-1)), 1.0, atol=1e-9)


@given(rotvecs, rotvecs, vectors)
def test_product_turns_like_one_after_the_other(a, b, v):
    qa, qb = frames.quat_from_rotvec(a), frames.quat_from_rotvec(b)
    once = frames.quat_rotate(frames.quat_multiply(qa, qb), v)
    np.testing.assert_allclose(once, frames.quat_rotate(qa, frames.quat_rotate(qb, v)), atol=1e-8)
    np.testing.assert_allclose(frames.quat_rotate_inverse(qa, frames.quat_rotate(qa, v)), v, atol=1e-8)
    np.testing.assert_allclose(
        frames.quat_rotate(qa, v), np.einsum("nij,nj->ni", frames.matrix_from_quat(qa), v), atol=1e-8
    )


@pytest.mark.parametrize("axis", range(3))
def test_half_turns(axis):
    rotvec = np.zeros((1, 3))
    rotvec[0, axis] = np.pi
    q = frames.quat_from_matrix(frames.matrix_from_quat(frames.quat_from_rotvec(rotvec)))
    np.testing.assert_allclose(np.linalg.norm(frames.rotvec_from_quat(q)), np.pi, atol=1e-7)


@given(arrays(np.float64, (4,), elements=st.floats(-3.1, 3.1)))
def test_yaw_round_trip_and_wrap(yaw):
    np.testing.assert_allclose(frames.yaw_from_quat(frames.quat_from_yaw(yaw)), yaw, atol=1e-9)
    np.testing.assert_allclose(frames.wrap_angle(yaw + 4 * np.pi), yaw, atol=1e-9)


def test_slerp_takes_the_short_way():
    a, b = frames.quat_from_yaw(np.array([0.1])), -frames.quat_from_yaw(np.array([0.5]))
    middle = frames.quat_slerp(a, b, np.array([0.5]))
    np.testing.assert_allclose(frames.yaw_from_quat(middle), 0.3, atol=1e-9)


@given(rotvecs, rotvecs)
def test_numpy_and_torch_agree(a, b):
    qa, qb = frames.quat_from_rotvec(a), frames.quat_from_rotvec(b)
    ta, tb = torch.from_numpy(qa), torch.from_numpy(qb)
    for name, args in {
        "quat_multiply": (0, 1),
        "quat_conjugate": (0,),
        "rotvec_from_quat": (0,),
        "matrix_from_quat": (0,),
        "yaw_from_quat": (0,),
        "heading_quat": (0,),
        "quat_to_xyzw": (0,),
    }.items():
        function = getattr(frames, name)
        expected = function(*[(qa, qb)[i] for i in args])
        np.testing.assert_allclose(function(*[(ta, tb)[i] for i in args]).numpy(), expected, atol=1e-10)
