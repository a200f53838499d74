"""What the loader of policy files refuses, and in which words."""

import base64
import io
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from vm_core import g1
from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_core.policy_contract import METADATA_KEY, REFERENCE_KEY, GoldenPair, ObservationTerm, PolicyContract
from vm_policy_node.onnx_policy import OnnxPolicy

JOINTS = g1.POLICY_JOINT_NAMES
HELD = {name: (0.0, 20.0, 1.0) for name in g1.WRIST_JOINT_NAMES}
TERMS = (
    ObservationTerm("base_ang_vel", 3, (0.25,)),
    ObservationTerm("projected_gravity", 3),
    ObservationTerm("joint_pos_rel", 23, history_length=2),
    ObservationTerm("last_action", 23),
)
SIZE = sum(t.size * t.history_length for t in TERMS)
WEIGHTS = np.random.default_rng(0).normal(0.0, 0.05, (SIZE, 23)).astype(np.float32)


def contract(**changes) -> PolicyContract:
    observation = np.linspace(-1.0, 1.0, SIZE).astype(np.float32)
    values = {
        "name": "linear",
        "joint_names": JOINTS,
        "default_joint_pos": (0.1,) * 23,
        "action_scale": (0.25,) * 23,
        "kp": (80.0,) * 23,
        "kd": (3.0,) * 23,
        "observation": TERMS,
        "held_joints": HELD,
        "golden": GoldenPair(tuple(observation.tolist()), tuple((observation @ WEIGHTS).tolist())),
        "command_limits": ((-0.5, 1.0), (-0.3, 0.3), (-0.2, 0.2)),
    }
    return PolicyContract(**(values | changes))


def onnx_bytes(metadata: dict[str, str], weights: np.ndarray = WEIGHTS) -> bytes:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["obs", "w"], ["actions"])],
        "linear",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, [1, weights.shape[0]])],
        [helper.make_tensor_value_info("actions", TensorProto.FLOAT, [1, weights.shape[1]])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    helper.set_model_props(model, metadata)
    return model.SerializeToString()


def write(path: Path, policy_contract: PolicyContract | None = None, **metadata: str) -> Path:
    policy_contract = contract() if policy_contract is None else policy_contract
    path.write_bytes(onnx_bytes({METADATA_KEY: policy_contract.to_json()} | metadata))
    return path


def clip(joint_names=g1.MOTOR_NAMES, frames: int = 30, target: bool = True) -> MotionClip:
    joint_pos = np.tile(np.linspace(0.0, 0.1, len(joint_names)), (frames, 1))
    quat = np.tile([1.0, 0.0, 0.0, 0.0], (frames, 1))
    pos = np.linspace([0.0, 0.0, 0.75], [0.3, 0.0, 0.75], frames)
    return MotionClip(50.0, tuple(joint_names), joint_pos, pos, quat, joint_target=joint_pos + 0.05 if target else None)


def embedded(motion: MotionClip) -> str:
    buffer = io.BytesIO()
    motion.save(buffer)
    return base64.b64encode(buffer.getvalue()).decode()


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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0.0, 0.999))
def test_every_truncation_is_refused(tmp_path, cut):
    whole = onnx_bytes({METADATA_KEY: contract().to_json()})
    path = tmp_path / "p.onnx"
    path.write_bytes(whole[: int(cut * len(whole))])
    with pytest.raises(VmError):
        OnnxPolicy.load(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
