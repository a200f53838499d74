"""The human motion file: what goes in comes out; what is not such a file is refused in one line."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vm_core.errors import VmError
from vm_core.frames import quat_from_rotvec, quat_rotate
from vm_reconstruction.body_model import check_height, rest_positions, segment_quats
from vm_reconstruction.human_motion import JOINT_NAMES, PARENTS, HumanMotion, joint_index

JOINTS = len(JOINT_NAMES)
finite = st.floats(-1e3, 1e3, width=64)


@st.composite
def motions(draw):
    frames = draw(st.integers(1, 4))
    return HumanMotion(
        fps=draw(st.floats(1.0, 240.0)),
        height_m=draw(st.floats(0.8, 2.5)),
        joint_pos_world=draw(arrays(np.float64, (frames, JOINTS, 3), elements=finite)),
        joint_quat_wxyz_world=draw(arrays(np.float64, (frames, JOINTS, 4), elements=finite)),
        contact=draw(arrays(np.float64, (frames, 3), elements=st.floats(0, 1))),
        confidence=draw(arrays(np.float64, (frames,), elements=st.floats(0, 1))),
        details={"note": draw(st.text(max_size=10))},
    )


@settings(max_examples=25)
@given(motion=motions())
def test_round_trip(motion, tmp_path_factory):
    path = tmp_path_factory.mktemp("motion") / "human.npz"
    motion.save(path)
    again = HumanMotion.load(path)
    for name in ("joint_pos_world", "joint_quat_wxyz_world", "contact", "confidence"):
        assert np.array_equal(getattr(again, name), getattr(motion, name))
    assert (again.fps, again.height_m, again.details) == (motion.fps, motion.height_m, motion.details)
    assert again.joint_names == JOINT_NAMES and again.parents == PARENTS


@settings(max_examples=40)
@given(data=st.binary(max_size=300))
def test_other_files_are_refused(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("motion") / "human.npz"
    path.write_bytes(data)
    with pytest.raises(VmError, match="not a human motion"):
        HumanMotion.load(path)


def test_pickle_cut_file_and_nan_are_refused(tmp_path):
    path = tmp_path / "human.npz"
    path.write_bytes(pickle.dumps({"fps": 30}))
    with pytest.raises(VmError, match="not a human motion"):
        HumanMotion.load(path)
    rest = rest_positions(1.75)[None]
    motion = HumanMotion(30.0, 1.75, rest, segment_quats(rest), np.zeros((1, 3)), np.ones(1))
    motion.save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(VmError, match="not a human motion"):
        HumanMotion.load(path)
    with pytest.raises(VmError, match="not finite"):
        HumanMotion(30.0, 1.75, rest * np.nan, segment_quats(rest), np.zeros((1, 3)), np.ones(1))


def test_rest_pose_has_the_height_and_identity_segments():
    rest = rest_positions(1.75)
    assert rest[joint_index("head"), 2] == pytest.approx(0.93 * 1.75)
    assert rest[:, 2].min() == 0.0
    assert segment_quats(rest[None])[0] == pytest.approx(np.tile([1.0, 0, 0, 0], (JOINTS, 1)))


@given(rotvec=arrays(np.float64, 3, elements=st.floats(-1.5, 1.5)))
def test_segments_turn_with_the_body(rotvec):
    rotation = quat_from_rotvec(rotvec)
    turned = quat_rotate(rotation, rest_positions(1.75))
    assert np.abs(segment_quats(turned[None])[0] @ rotation) == pytest.approx(np.ones(JOINTS), abs=1e-6)


@pytest.mark.parametrize("height", [0.0, 5.0, float("nan"), -1.75])
def test_impossible_heights(height):
    with pytest.raises(VmError, match="height"):
        check_height(height)
