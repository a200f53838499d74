"""What the loader of policy files refuses, and in which words."""

import base64
import json
import pickle
from dataclasses import asdict, replace

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from policy_files import JOINTS, SIZE, TERMS, WEIGHTS, clip, contract, embedded, onnx_bytes, write

from vm_core import g1
from vm_core.errors import VmError
from vm_core.policy_contract import METADATA_KEY, REFERENCE_KEY, GoldenPair, ObservationTerm, PolicyContract
from vm_policy_node.onnx_policy import OnnxPolicy


def test_a_sound_file_loads_and_acts(tmp_path):
    policy = OnnxPolicy.load(write(tmp_path / "p.onnx"))
    assert policy.act(np.zeros(SIZE)).shape == (23,)
    assert policy.reference is None


def test_another_network_under_the_same_contract_is_refused(tmp_path):
    path = tmp_path / "p.onnx"
    other = WEIGHTS.copy()
    other[5, 3] += 0.01
    path.write_bytes(onnx_bytes({METADATA_KEY: contract().to_json()}, other))
    with pytest.raises(VmError, match=f"golden pair differs, {JOINTS[3]} gives"):
        OnnxPolicy.load(path)


def test_a_network_that_gives_nan_is_refused(tmp_path):
    path = tmp_path / "p.onnx"
    path.write_bytes(onnx_bytes({METADATA_KEY: contract().to_json()}, WEIGHTS * np.float32(np.nan)))
    with pytest.raises(VmError, match="golden pair differs"):
        OnnxPolicy.load(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kp": (-1.0,) * 23}, "policy's kp goes from -1 to .*; expected 0 to 500"),
        ({"kd": (1000.0,) * 23}, "policy's kd goes from .* to 1000; expected 0 to 20"),
        (
            {"held_joints": {name: (0.0, 1e5, 1.0) for name in g1.WRIST_JOINT_NAMES}},
            "kp goes from .* to 100000",
        ),
        ({"held_joints": {name: (float("nan"), 20.0, 1.0) for name in g1.WRIST_JOINT_NAMES}}, "numbers that are none"),
        ({"command_limits": ((0.2, 0.5), (0.0, 0.0), (0.0, 0.0))}, "around 0: no command means standing still"),
        ({"command_limits": ((0.0, float("nan")), (0.0, 0.0), (0.0, 0.0))}, "command_limits are"),
        ({"command_limits": ((0.0, 0.5), (0.0, 0.0))}, "command_limits are"),
        ({"action_clip": -1.0}, "action_clip is -1.0"),
        ({"height_grid_max_age_s": float("nan")}, "height_grid_max_age_s is nan"),
        ({"golden": GoldenPair((0.0,) * 6, (0.0,) * 23, tolerance=1e6)}, "tolerance is 1000000.0"),
    ],
)
def test_numbers_that_would_move_a_robot_unasked_are_refused(changes, words):
    """By whoever makes a contract: trainers, importers, and the node that reads it from a file."""
    with pytest.raises(VmError, match=words):
        contract(**changes)
    told = {key: asdict(value) if isinstance(value, GoldenPair) else value for key, value in changes.items()}
    with pytest.raises(VmError, match=words):
        PolicyContract.from_json(json.dumps(json.loads(contract().to_json()) | told))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"golden": None}, "no golden pair"),
        ({"golden": GoldenPair((0.0,), (0.0,))}, "golden pair of 1 → 1 numbers"),
        ({"observation": (ObservationTerm("odour", 3),)}, "unknown observation terms odour; there are .*base_ang_vel"),
        ({"observation": TERMS[:2]}, r"observation 'obs' is .*the contract says tensor\(float\) \[1, 6\]"),
        ({"action_base": "reference_target"}, "follows a reference clip, but none is embedded"),
    ],
)
def test_contracts_that_do_not_fit_are_refused(tmp_path, changes, words):
    with pytest.raises(VmError, match=words):
        OnnxPolicy.load(write(tmp_path / "p.onnx", contract(**changes)))


def test_a_contract_for_another_robot_is_refused(tmp_path):
    text = contract().to_json().replace("unitree_g1_29dof", "unitree_h1")
    with pytest.raises(VmError, match="p.onnx: policy is for robot 'unitree_h1'"):
        OnnxPolicy.load(write(tmp_path / "p.onnx", **{METADATA_KEY: text}))


def test_files_that_are_no_policies_are_refused(tmp_path):
    path = tmp_path / "p.onnx"
    with pytest.raises(VmError, match="no such policy file"):
        OnnxPolicy.load(path)
    path.write_bytes(pickle.dumps({"weights": [1.0]}))
    with pytest.raises(VmError, match="a pickle or PyTorch file"):
        OnnxPolicy.load(path)
    path.write_bytes(b"PK\x03\x04 torch zip")
    with pytest.raises(VmError, match="a pickle or PyTorch file"):
        OnnxPolicy.load(path)
    path.write_bytes(onnx_bytes({}))
    with pytest.raises(VmError, match="no policy contract .*vm-import-policy"):
        OnnxPolicy.load(path)
    path.write_bytes(b"")
    with pytest.raises(VmError):
        OnnxPolicy.load(path)


def test_the_embedded_clip_is_read_by_joint_name(tmp_path):
    shuffled = tuple(reversed(g1.MOTOR_NAMES))
    policy = OnnxPolicy.load(
        write(
            tmp_path / "p.onnx", contract(action_base="reference_target"), **{REFERENCE_KEY: embedded(clip(shuffled))}
        )
    )
    assert policy.reference is not None
    angles = dict(zip(shuffled, clip(shuffled).joint_pos[0], strict=True))
    np.testing.assert_allclose(policy.reference.at(0).joint_pos, [angles[name] for name in JOINTS])
    last = policy.reference.at(10_000)
    assert last.phase == 1.0
    assert not last.root_lin_vel_world.any()


@pytest.mark.parametrize(
    ("motion", "words"),
    [
        (clip(g1.MOTOR_NAMES[:5]), "reference clip lacks the joints"),
        (clip(target=False), "acts around the clip's joint_target"),
    ],
)
def test_clips_that_do_not_fit_are_refused(tmp_path, motion, words):
    path = write(tmp_path / "p.onnx", contract(action_base="reference_target"), **{REFERENCE_KEY: embedded(motion)})
    with pytest.raises(VmError, match=words):
        OnnxPolicy.load(path)


def test_a_damaged_clip_is_refused(tmp_path):
    for text in ("@@@", base64.b64encode(b"no zip").decode()):
        with pytest.raises(VmError):
            OnnxPolicy.load(write(tmp_path / "p.onnx", **{REFERENCE_KEY: text}))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0.0, 0.999))
def test_every_truncation_is_refused(tmp_path, cut):
    whole = onnx_bytes({METADATA_KEY: contract().to_json()})
    path = tmp_path / "p.onnx"
    path.write_bytes(whole[: int(cut * len(whole))])
    with pytest.raises(VmError):
        OnnxPolicy.load(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0.0, 0.9999), value=st.integers(0, 255))
def test_a_damaged_byte_is_refused_or_harmless(tmp_path, at, value):
    """The file either loads, and then its network has reproduced the golden pair, or is refused with a VmError."""
    data = bytearray(onnx_bytes({METADATA_KEY: contract().to_json()}))
    data[int(at * len(data))] = value
    path = tmp_path / "p.onnx"
    path.write_bytes(bytes(data))
    try:
        OnnxPolicy.load(path)
    except VmError as error:
        assert "\n" not in str(error)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
def test_random_bytes_are_refused(tmp_path, data):
    path = tmp_path / "p.onnx"
    path.write_bytes(data)
    with pytest.raises(VmError):
        OnnxPolicy.load(path)


def test_contract_survives_its_file(tmp_path):
    path = write(tmp_path / "p.onnx")
    assert OnnxPolicy.load(path).contract == replace(contract())
    assert onnx.load(str(path)).metadata_props[0].key == METADATA_KEY
