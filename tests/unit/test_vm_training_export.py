"""A student as a policy file: the node accepts it, and it is the same network, clip and contract."""

import base64
import io
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import vm_training_cases as cases

from vm_core import g1
from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_core.policy_contract import METADATA_KEY, REFERENCE_KEY, PolicyContract
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_training.export import export_policy, tracking_contract
from vm_training.mdp.observations import TRACKING_TERMS
from vm_training.student import Student
from vm_training.tasks.distillation import ACTION_CLIP, OBSERVATION_SIZE

GOLDEN = np.random.default_rng(5).normal(size=OBSERVATION_SIZE)
TRAINING = {"seed": 3, "commit": "abc", "checks": [{"condition": "nominal", "success": 0.98765432109876}]}


def student() -> Student:
    torch.manual_seed(2)
    net = Student(OBSERVATION_SIZE, 23)
    torch.nn.init.normal_(net.layers[-1].weight, 0.0, 0.5)
    return net


@pytest.fixture(scope="module")
def policy_file(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("export") / "policy.onnx"
    clip = cases.climb_clip()
    export_policy(student(), tracking_contract("stairs", clip, TRAINING), GOLDEN, out, clip)
    return out


def test_the_node_accepts_it_and_acts_as_torch_does(policy_file):
    policy, net = OnnxPolicy.load(policy_file), student()  # load replays the golden pair
    rng = np.random.default_rng(0)
    for spread in (0.1, 1.0, 5.0):
        observation = rng.normal(0.0, spread, OBSERVATION_SIZE).astype(np.float32)
        with torch.inference_mode():
            wanted = net(torch.from_numpy(observation[None])).numpy()[0]
        np.testing.assert_allclose(policy.act(observation), wanted, atol=1e-5, rtol=1e-5)


def test_another_network_under_the_same_contract_is_refused(policy_file, tmp_path):
    model = onnx.load(policy_file)
    weights = max(model.graph.initializer, key=lambda t: int(np.prod(t.dims)))
    values = onnx.numpy_helper.to_array(weights).copy()
    values[:, 0] += 0.05
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    onnx.save(model, str(tmp_path / "other.onnx"))
    with pytest.raises(VmError, match="golden pair differs"):
        OnnxPolicy.load(tmp_path / "other.onnx")


def test_the_contract_says_how_it_was_trained(policy_file):
    found, clip = OnnxPolicy.load(policy_file).contract, cases.climb_clip()
    assert found.training == TRAINING
    assert found.joint_names == g1.POLICY_JOINT_NAMES and set(found.held_joints) == set(g1.WRIST_JOINT_NAMES)
    assert found.observation == TRACKING_TERMS and found.observation_size == OBSERVATION_SIZE == 108
    assert (found.action_base, found.action_clip) == ("reference_target", ACTION_CLIP)
    assert found.control_period_s == pytest.approx(1.0 / clip.fps)
    assert found.uses_reference and found.uses_odometry
    for name, (position, kp, kd) in found.held_joints.items():
        motor = g1.motor_index(name)
        assert (position, kp, kd) == (g1.DEFAULT_STAND_POSE[motor], g1.MJLAB_KP[motor], g1.MJLAB_KD[motor])


def test_the_contract_s_text_is_the_contract(policy_file):
    properties = {p.key: p.value for p in onnx.load(policy_file).metadata_props}
    found = PolicyContract.from_json(properties[METADATA_KEY])
    assert PolicyContract.from_json(found.to_json()) == found == OnnxPolicy.load(policy_file).contract
    assert found.golden is not None
    np.testing.assert_array_equal(np.array(found.golden.observation, np.float32), GOLDEN.astype(np.float32))


def test_the_embedded_clip_is_the_clip(policy_file):
    properties = {p.key: p.value for p in onnx.load(policy_file).metadata_props}
    direct = MotionClip.load(io.BytesIO(base64.b64decode(properties[REFERENCE_KEY])))
    loaded, clip = OnnxPolicy.load(policy_file).clip, cases.climb_clip()
    for found in (direct, loaded):
        assert found is not None and found.joint_target is not None
        for name in ("joint_pos", "root_pos_world", "root_quat_wxyz", "contact", "joint_target"):
            np.testing.assert_array_equal(getattr(found, name), getattr(clip, name))
        assert (found.fps, found.joint_names, found.contact_names) == (clip.fps, clip.joint_names, clip.contact_names)


def test_no_path_of_this_machine_and_no_weights_beside(policy_file):
    """One file, whole: the exporter may neither put weights beside it nor write where it was made into it."""
    assert [p.name for p in policy_file.parent.iterdir()] == [policy_file.name]
    data = policy_file.read_bytes()
    assert b'File "' not in data and str(Path(__file__).parents[2]).encode() not in data
    assert len(data) < 2**20


def test_a_failed_export_leaves_the_old_file(policy_file, tmp_path):
    out, clip = tmp_path / "policy.onnx", cases.climb_clip()
    out.write_bytes(b"old")
    with pytest.raises(ValueError):
        export_policy(student(), tracking_contract("x", clip, {"figure": float("nan")}), GOLDEN, out, clip)
    assert out.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1
