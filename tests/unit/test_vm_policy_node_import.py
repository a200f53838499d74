"""The importer of unitree_rl_lab's policies, without and with the real files."""

import os
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from vm_core import g1
from vm_core.errors import VmError
from vm_policy_node.import_unitree_rl_lab import contract_from_deploy, import_unitree_rl_lab, read_deploy_yaml
from vm_policy_node.onnx_policy import OnnxPolicy

DATA = Path(os.environ.get("VM_SHARED_DATA", Path(__file__).parents[2].parent / "shared/data"))
VELOCITY_POLICY = DATA / "policies/unitree_g1_velocity"
MOTORS = list(reversed(range(29)))


def deploy(**changes) -> dict:
    """A deploy.yaml with reversed joint order, so that order mistakes show."""
    values = {
        "joint_ids_map": MOTORS,
        "step_dt": 0.02,
        "stiffness": [float(i) for i in range(29)],
        "damping": [0.1 * i for i in range(29)],
        "default_joint_pos": [0.01 * i for i in range(29)],
        "commands": {
            "base_velocity": {"ranges": {"lin_vel_x": [-0.5, 1.0], "lin_vel_y": [-0.3, 0.3], "ang_vel_z": [-0.2, 0.2]}}
        },
        "actions": {
            "JointPositionAction": {"clip": None, "scale": [0.25] * 29, "offset": [0.01 * i for i in range(29)]}
        },
        "observations": {
            "base_ang_vel": {"clip": None, "scale": [0.2] * 3, "history_length": 5},
            "joint_pos_rel": {"clip": [-9.0, 9.0], "scale": [1.0] * 29, "history_length": 2},
        },
    }
    return values | changes


def test_lists_in_policy_and_motor_order_are_told_apart():
    contract = contract_from_deploy(deploy(), "p")
    assert contract.joint_names == tuple(reversed(g1.MOTOR_NAMES))
    assert contract.kp[0] == 28.0  # stiffness is in motor order
    assert contract.default_joint_pos[0] == 0.0  # default pose is in policy order
    assert contract.command_limits == ((-0.5, 1.0), (-0.3, 0.3), (-0.2, 0.2))
    assert contract.observation_size == 5 * 3 + 2 * 29
    assert contract.observation[1].clip == (-9.0, 9.0)
    assert contract.history_layout == "term_major_oldest_first"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"observations": {"odour": {}, "base_ang_vel": {}}}, "unknown observation terms odour; known: base_ang_vel"),
        ({"actions": {"JointVelocityAction": {}}}, "actions JointVelocityAction; only JointPositionAction"),
        ({"joint_ids_map": [0] * 29}, "joint_ids_map must name each"),
        ({"stiffness": [1.0] * 12}, "stiffness has 12 values; expected 29"),
        ({"stiffness": [float("nan")] * 29}, "expected 29 finite"),
        ({"default_joint_pos": [0.5] * 29}, "offset differs from its default_joint_pos"),
        ({"commands": {}}, "incomplete or damaged"),
        ({"observations": None}, "incomplete or damaged"),
    ],
)
def test_what_does_not_fit_is_named(changes, words):
    with pytest.raises(VmError, match=words):
        contract_from_deploy(deploy(**changes), "p")


def test_python_tags_are_text_and_never_run(tmp_path):
    path = tmp_path / "deploy.yaml"
    trap = tmp_path / "trap"
    path.write_text(f"a: !!python/object/apply:os.mkdir ['{trap}']\nb: !!python/tuple [1, 2]\n")
    assert read_deploy_yaml(path) == {"a": [str(trap)], "b": [1, 2]}
    assert not trap.exists()


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("fuzz") / "deploy.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        content = read_deploy_yaml(path)
        contract_from_deploy(content, "p")
    except VmError as error:
        assert "\n" not in str(error)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(VmError, match="expected a folder with deploy.yaml"):
        import_unitree_rl_lab(tmp_path, tmp_path / "out.onnx")


def test_a_network_of_another_size_is_refused_and_nothing_written(tmp_path):
    import yaml

    (tmp_path / "deploy.yaml").write_text(yaml.safe_dump(deploy()))
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["obs", "w"], ["actions"])],
        "small",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, [1, 7])],
        [helper.make_tensor_value_info("actions", TensorProto.FLOAT, [1, 29])],
        [numpy_helper.from_array(np.zeros((7, 29), dtype=np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, str(tmp_path / "policy.onnx"))
    with pytest.raises(VmError, match=re.escape("policy.onnx takes [1, 7]; deploy.yaml's terms give [1, 73]")):
        import_unitree_rl_lab(tmp_path, tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.skipif(not VELOCITY_POLICY.is_dir(), reason=f"no velocity policy at {VELOCITY_POLICY}")
def test_the_real_velocity_policy(tmp_path):
    out = tmp_path / "velocity.onnx"
    contract = import_unitree_rl_lab(VELOCITY_POLICY, out)
    assert contract.observation_size == 480
    assert contract.joint_names[:3] == ("left_hip_pitch_joint", "right_hip_pitch_joint", "waist_yaw_joint")
    by_name = dict(zip(contract.joint_names, zip(contract.kp, contract.kd, strict=True), strict=True))
    assert by_name["left_knee_joint"] == (150.0, 4.0)
    assert by_name["waist_yaw_joint"] == (200.0, 5.0)
    assert OnnxPolicy.load(out).contract == contract
