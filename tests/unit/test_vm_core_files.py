"""Clip, scene and contract: round trips, and every damaged file ends in one VmError."""

import contextlib
import io
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vm_core import g1
from vm_core.errors import VmError
from vm_core.file_access import ALLOWED_VARIABLE, allowed_path
from vm_core.frames import quat_from_rotvec
from vm_core.height_grid import HeightGridSpec
from vm_core.motion_clip import MotionClip
from vm_core.policy_contract import GoldenPair, ObservationTerm, PolicyContract
from vm_core.scene_asset import SceneAsset, SceneBox

number = st.floats(-50.0, 50.0, allow_nan=False)
size = st.floats(0.01, 5.0)
boxes = st.lists(
    st.builds(
        SceneBox,
        center_world=st.tuples(number, number, number),
        half_size=st.tuples(size, size, size),
        yaw=number,
        label=st.text(max_size=8),
        height_std_m=size,
    ),
    max_size=4,
)


def make_clip(frames: int, seed: int, with_target: bool = True) -> MotionClip:
    rng = np.random.default_rng(seed)
    return MotionClip(
        fps=50.0,
        joint_names=g1.MOTOR_NAMES,
        joint_pos=rng.normal(size=(frames, 29)),
        root_pos_world=rng.normal(size=(frames, 3)),
        root_quat_wxyz=quat_from_rotvec(0.3 * rng.normal(size=(frames, 3))),
        body_names=("pelvis",),
        body_pos_world=rng.normal(size=(frames, 1, 3)),
        body_quat_wxyz=quat_from_rotvec(0.3 * rng.normal(size=(frames, 1, 3))),
        contact_names=("left_foot", "right_foot"),
        contact=rng.uniform(size=(frames, 2)),
        source="test",
        joint_target=rng.normal(size=(frames, 29)) if with_target else None,
    )


def make_contract(**changes) -> PolicyContract:
    joints = len(g1.POLICY_JOINT_NAMES)
    values = {
        "name": "test",
        "joint_names": g1.POLICY_JOINT_NAMES,
        "default_joint_pos": (1 / 3,) * joints,
        "action_scale": (0.25,) * joints,
        "kp": (75.0,) * joints,
        "kd": (2.0,) * joints,
        "held_joints": {name: (0.0, 20.0, 1.0) for name in g1.WRIST_JOINT_NAMES},
        "observation": (
            ObservationTerm("joint_pos_rel", joints, history_length=5),
            ObservationTerm("height_grid", 121),
        ),
        "height_grid": HeightGridSpec(),
        "golden": GoldenPair((0.1,) * 3, (1e-17,) * 2),
    }
    return PolicyContract(**{**values, **changes})


@given(st.integers(1, 9), st.integers(0, 2**31), st.booleans())
@settings(max_examples=20)
def test_clip_round_trip(frames, seed, with_target):
    clip, stream = make_clip(frames, seed, with_target), io.BytesIO()
    clip.save(stream)
    stream.seek(0)
    back = MotionClip.load(stream)
    assert back.joint_names == clip.joint_names and back.fps == clip.fps and back.source == clip.source
    for name in ("joint_pos", "root_pos_world", "root_quat_wxyz", "body_pos_world", "contact", "joint_target"):
        np.testing.assert_array_equal(getattr(back, name), getattr(clip, name))


def test_clip_resampled_keeps_a_linear_motion():
    clip = make_clip(11, 0)
    line = np.linspace(0, 1, 11)[:, None] * np.ones((1, 3))
    moving = MotionClip(10.0, (), np.zeros((11, 0)), line, clip.root_quat_wxyz)
    faster = moving.resampled(50.0)
    assert faster.num_frames == 51
    np.testing.assert_allclose(faster.root_pos_world[:, 0], np.linspace(0, 1, 51), atol=1e-12)
    np.testing.assert_allclose(faster.root_lin_vel_world, 1.0, atol=1e-9)


@given(boxes, st.tuples(number, number, number), st.floats(0.1, 3.0))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_scene_round_trip(tmp_path, scene_boxes, ground, scale):
    near = tuple(box for box in scene_boxes if max(map(abs, box.center_world)) < 5)
    scene = SceneAsset(boxes=near, ground=ground, scale=scale, source="test", details={"a": [1, 2]})
    scene.save(tmp_path / "scene")
    assert SceneAsset.load(tmp_path / "scene") == scene


def test_scene_height_is_the_uppermost_surface():
    scene = SceneAsset(boxes=(SceneBox((1, 0, 0.1), (0.5, 0.2, 0.1), np.pi / 2),), ground=(0.0, 0.1, 0.0))
    heights = scene.height_at(np.array([[1.0, 0.4], [1.4, 0.0], [0.0, 1.0]]))
    np.testing.assert_allclose(heights, [0.2, 0.0, 0.1])


def test_contract_round_trip_is_exact():
    contract = make_contract(training={"seed": 1, "list": [1, 2]})
    assert PolicyContract.from_json(contract.to_json()) == contract


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"robot": "unitree_h1"}, "unitree_h1"),
        ({"format_version": 99}, "99"),
        ({"joint_names": ["left_tail_joint"]}, "left_tail_joint"),
        ({"kp": [1.0]}, "kp"),
        ({"history_layout": "shuffled"}, "shuffled"),
        ({"height_grid": None}, "grid"),
        ({"observation": [{"name": "x"}]}, "damaged"),
    ],
)
def test_contract_refuses_by_name(change, said):
    raw = json.loads(make_contract().to_json())
    with pytest.raises(VmError, match=said):
        PolicyContract.from_json(json.dumps({**raw, **change}))


def test_clip_refuses_nan_and_pickle(tmp_path):
    clip = make_clip(3, 0)
    broken = clip.joint_pos.copy()
    broken[1, 2] = np.nan
    with pytest.raises(VmError, match="joint_pos has NaN"):
        MotionClip(50.0, clip.joint_names, broken, clip.root_pos_world, clip.root_quat_wxyz)
    (tmp_path / "clip.npz").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(VmError, match="pickle"):
        MotionClip.load(tmp_path / "clip.npz")
    np.savez(tmp_path / "objects.npz", header=np.array([object()], dtype=object))
    with pytest.raises(VmError, match="pickle"):
        MotionClip.load(tmp_path / "objects.npz")
    with pytest.raises(VmError, match="no such file"):
        MotionClip.load(tmp_path / "missing.npz")


@given(st.binary(max_size=200), st.integers(0, 5000), st.integers(0, 255))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_clips_never_crash(junk, at, value):
    stream = io.BytesIO()
    make_clip(2, 0).save(stream)
    whole = bytearray(stream.getvalue())
    whole[at % len(whole)] = value
    for data in (junk, bytes(whole), bytes(whole)[: at % len(whole)]):
        with contextlib.suppress(VmError):
            MotionClip.load(io.BytesIO(data))


def test_scene_refusals(tmp_path):
    with pytest.raises(VmError, match="no such scene folder"):
        SceneAsset.load(tmp_path / "missing")
    SceneAsset().save(tmp_path / "scene")
    (tmp_path / "scene" / "terrain.npz").unlink()
    with pytest.raises(VmError, match="lacks terrain.npz"):
        SceneAsset.load(tmp_path / "scene")


@given(
    st.recursive(st.none() | st.booleans() | number | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_damaged_contracts_never_crash(junk):
    raw = json.loads(make_contract().to_json())
    for key in raw:
        with contextlib.suppress(VmError):
            PolicyContract.from_json(json.dumps({**raw, key: junk}))


def test_errors_stay_on_one_line_whatever_they_quote():
    error = VmError("bad name 'a\nb\x1b[31m' in x")
    assert str(error) == "bad name 'a b [31m' in x"


def test_only_allowed_folders_are_touched_where_they_are_named(tmp_path, monkeypatch):
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    assert allowed_path(outside / "x", "policy") == outside / "x"  # nothing named: everything
    monkeypatch.setenv(ALLOWED_VARIABLE, f"{inside}:/nowhere")
    assert allowed_path(inside / "deep" / "x", "policy") == inside / "deep" / "x"
    for path in (outside / "x", inside / ".." / "out", inside / "link" / "x", Path("/etc/passwd"), tmp_path / "inside"):
        with pytest.raises(VmError, match="policy .* is not allowed here; VM_ALLOWED_PATHS allows"):
            allowed_path(path, "policy")
    monkeypatch.setenv(ALLOWED_VARIABLE, "")
    with pytest.raises(VmError, match="allows nothing"):
        allowed_path(inside, "policy")
