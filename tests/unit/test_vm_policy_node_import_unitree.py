"""The importer of unitree_rl_lab's policies, without and with the real files."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from foreign_policies import deploy, network, unitree_rl_lab
from hypothesis import given, settings
from hypothesis import strategies as st

from vm_core import g1
from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_policy_node.importers.unitree_rl_lab import contract_from_deploy, import_unitree_rl_lab, read_deploy_yaml
from vm_policy_node.onnx_policy import OnnxPolicy

DATA = Path(os.environ.get("VM_SHARED_DATA", Path(__file__).parents[2].parent / "shared/data"))
VELOCITY_POLICY = DATA / "policies/unitree_g1_velocity"


def test_lists_in_policy_and_motor_order_are_told_apart():
    contract = contract_from_deploy(deploy(), "p")
    assert contract.joint_names == tuple(reversed(g1.MOTOR_NAMES))
    assert contract.kp[0] == 28.0  # stiffness is in motor order
    assert contract.default_joint_pos[0] == 0.0  # default pose is in policy order
    assert contract.command_limits == ((-0.5, 1.0), (-0.3, 0.3), (-0.2, 0.2))
    assert contract.observation_size == 5 * 3 + 2 * 29
    assert contract.observation[1].clip == (-9.0, 9.0)
    assert contract.history_layout == "term_major_oldest_first"
    assert contract.joint_target_clip is None


def action(**changes) -> dict:
    joint = {"clip": None, "scale": [0.25] * 29, "offset": [0.01 * i for i in range(29)]}
    return {"JointPositionAction": joint | changes}


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
        ({"joint_ids_map": [1e999] * 29}, "incomplete or damaged"),
        ({"actions": action(joint_ids=[0, 1])}, r"moves the joints \[0, 1\]; expected all 29"),
        ({"actions": action(clip=[[-1.0, 1.0]] * 3)}, "clip has 3 pairs; expected 29"),
        (
            {"observations": {"joint_pos_rel": {"params": {"asset_cfg": {"joint_ids": [3]}}}}},
            r"joint_pos_rel reads the joints \[3\]",
        ),
        (
            {
                "observations": {
                    "policy": {"base_ang_vel": {"history_length": 1}},
                    "depth": {"x": {"history_length": 1}},
                }
            },
            "feeds the inputs policy, depth; one input is known",
        ),
        (
            {"observations": {"scale_first": True, "base_ang_vel": {"clip": [-1, 1], "scale": [1.0, 2.0, 3.0]}}},
            "after scaling by different factors",
        ),
    ],
)
def test_what_does_not_fit_is_named(changes, words):
    with pytest.raises(VmError, match=words):
        contract_from_deploy(deploy(**changes), "p")


def test_the_action_clip_bounds_the_targets_after_scale_and_offset():
    contract = contract_from_deploy(deploy(actions=action(clip=[[-0.5 - 0.01 * i, 0.5] for i in range(29)])), "p")
    assert contract.joint_target_clip is not None
    assert contract.joint_target_clip[3] == (-0.53, 0.5)
    assert contract.action_clip is None


def test_newer_files_nest_terms_and_say_how_they_flatten():
    nested = {"obs": {"use_gym_history": True, "base_ang_vel": {"scale": None, "clip": None, "history_length": 4}}}
    contract = contract_from_deploy(deploy(observations=nested), "p")
    assert contract.history_layout == "frame_major_oldest_first"
    assert contract.observation[0].history_length == 4
    scaled = {"scale_first": True, "base_ang_vel": {"scale": [0.5] * 3, "clip": [-1.0, 1.0]}}
    assert contract_from_deploy(deploy(observations=scaled), "p").observation[0].clip == (-2.0, 2.0)


def test_gait_phase_brings_its_clock():
    terms = {"gait_phase": {"params": {"period": 0.8}, "scale": None, "clip": None, "history_length": 1}}
    contract = contract_from_deploy(deploy(observations=terms), "p")
    assert (contract.phase_clock, contract.phase_period_s) == ("cycle", 0.8)


def test_a_mimic_policy_needs_its_motion(tmp_path):
    plain = {"scale": None, "clip": None, "history_length": 1}
    folder = unitree_rl_lab(tmp_path / "m", deploy({"motion_command": plain, "motion_anchor_ori_b": plain}))
    with pytest.raises(VmError, match="give it as a clip: --clip"):
        import_unitree_rl_lab(folder)
    upright = np.tile([1.0, 0.0, 0.0, 0.0], (9, 1))
    clip = MotionClip(50.0, g1.MOTOR_NAMES, np.zeros((9, 29)), np.zeros((9, 3)), upright)
    contract = import_unitree_rl_lab(folder, clip).write(tmp_path / "out.onnx")
    assert (contract.anchor_body, contract.uses_odometry) == ("torso_link", False)
    assert OnnxPolicy.load(tmp_path / "out.onnx").reference is not None


def test_python_tags_are_text_and_never_run(tmp_path):
    path = tmp_path / "deploy.yaml"
    trap = tmp_path / "trap"
    path.write_text(f"a: !!python/object/apply:os.mkdir ['{trap}']\nb: !!python/tuple [1, 2]\n")
    assert read_deploy_yaml(path) == {"a": [str(trap)], "b": [1, 2]}
    assert not trap.exists()


def test_yaml_bombs_are_refused(tmp_path):
    path = tmp_path / "deploy.yaml"
    lines = ["a0: &a0 [1, 1]", *(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 9))]
    path.write_text("\n".join([*lines, "joint_ids_map: *a8"]))
    with pytest.raises(VmError, match="incomplete or damaged"):
        contract_from_deploy(read_deploy_yaml(path), "p")
    path.write_text("[" * 200_000)
    with pytest.raises(VmError, match="not readable YAML"):
        read_deploy_yaml(path)
    path.write_text("x" * (2**20 + 1))
    with pytest.raises(VmError, match="below 1 MB"):
        read_deploy_yaml(path)


@settings(max_examples=100)
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
        import_unitree_rl_lab(tmp_path)


def test_a_network_of_another_size_is_refused_and_nothing_written(tmp_path):
    folder = unitree_rl_lab(tmp_path / "p", deploy())
    (folder / "exported/policy.onnx").write_bytes(network(7, 29, {}))
    imported = import_unitree_rl_lab(folder)
    with pytest.raises(VmError, match=re.escape("the network takes [1, 7]; the terms give [1, 73] (base_ang_vel 3×5")):
        imported.write(tmp_path / "out.onnx")
    (folder / "exported/policy.onnx").write_bytes(network(73, 12, {}))
    with pytest.raises(VmError, match="gives 12 actions; the policy has 29 joints"):
        import_unitree_rl_lab(folder).write(tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.skipif(not VELOCITY_POLICY.is_dir(), reason=f"no velocity policy at {VELOCITY_POLICY}")
def test_the_real_velocity_policy(tmp_path):
    out = tmp_path / "velocity.onnx"
    contract = import_unitree_rl_lab(VELOCITY_POLICY).write(out)
    assert contract.observation_size == 480
    assert contract.joint_names[:3] == ("left_hip_pitch_joint", "right_hip_pitch_joint", "waist_yaw_joint")
    by_name = dict(zip(contract.joint_names, zip(contract.kp, contract.kd, strict=True), strict=True))
    assert by_name["left_knee_joint"] == (150.0, 4.0)
    assert by_name["waist_yaw_joint"] == (200.0, 5.0)
    assert OnnxPolicy.load(out).contract == contract
