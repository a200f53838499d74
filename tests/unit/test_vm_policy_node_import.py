"""The importers of mjlab, BeyondMimic, holosoma and TorchScript: what they take over, and what they refuse by name."""

import subprocess
import sys
from pathlib import Path

import fuzz_importers
import numpy as np
import onnx
import pytest
from foreign_policies import REVERSED, beyondmimic, csv, deploy, holosoma, mjlab, motion_tables, network, pelvis_motion

from vm_core.errors import VmError
from vm_policy_node.importers.holosoma import import_holosoma
from vm_policy_node.importers.imported import Imported, read_model
from vm_policy_node.importers.mjlab import BEYONDMIMIC, MJLAB, import_metadata_policy
from vm_policy_node.importers.torchscript import import_torchscript
from vm_policy_node.onnx_policy import OnnxPolicy

LIMITS = ((-0.5, 0.5), (-0.3, 0.3), (-0.5, 0.5))


def read_mjlab(path: Path) -> Imported:
    return import_metadata_policy(path, MJLAB, "", 0.02, LIMITS)


def read_beyondmimic(path: Path) -> Imported:
    return import_metadata_policy(path, BEYONDMIMIC, "", 0.02, LIMITS)


def test_beyondmimic_brings_joints_gains_and_motion(tmp_path):
    contract = read_beyondmimic(beyondmimic(tmp_path / "b.onnx")).write(tmp_path / "out.onnx")
    policy = OnnxPolicy.load(tmp_path / "out.onnx")
    assert contract.joint_names == REVERSED
    assert (contract.kp[28], contract.kd[1], contract.default_joint_pos[5]) == (68.0, 1.1, 0.05)
    assert contract.anchor_body == "torso_link"
    assert contract.uses_odometry and contract.uses_reference
    assert contract.training["run"] == "somebody/run"
    tables = motion_tables(REVERSED)
    assert policy.reference is not None
    np.testing.assert_allclose(policy.reference.joint_vel, tables["joint_vel"], atol=1e-6)
    torso = policy.reference.at(7)
    np.testing.assert_allclose(torso.anchor_pos_world, tables["body_pos_w"][7, 2], atol=1e-6)
    np.testing.assert_allclose(policy.reference.root_pos_world, tables["body_pos_w"][:, 0], atol=1e-6)


def test_the_cut_network_acts_as_the_whole_one(tmp_path):
    import onnxruntime

    path = beyondmimic(tmp_path / "b.onnx")
    read_beyondmimic(path).write(tmp_path / "out.onnx")
    policy = OnnxPolicy.load(tmp_path / "out.onnx")
    whole = onnxruntime.InferenceSession(str(path))
    observation = np.random.default_rng(5).normal(size=policy.contract.observation_size).astype(np.float32)
    feed = {"obs": observation[None], "time_step": np.array([[3.0]], np.float32)}
    np.testing.assert_allclose(policy.act(observation), whole.run(["actions"], feed)[0][0], atol=1e-6)


def test_mjlab_tells_scales_histories_and_clips(tmp_path):
    contract = read_mjlab(mjlab(tmp_path / "m.onnx")).write(tmp_path / "out.onnx")
    first, second = contract.observation[:2]
    assert (first.name, first.scale, first.clip, first.history_length) == ("imu_lin_vel", (0.25, 0.5, 1.0), None, 3)
    assert (second.name, second.scale, second.clip, second.history_length) == ("base_ang_vel", (1.0,), (-1.5, 1.5), 1)
    assert contract.observation[-1].name == "velocity_commands"
    assert contract.command_limits == LIMITS


def test_holosoma_reads_in_alphabetical_order(tmp_path):
    contract = import_holosoma(holosoma(tmp_path / "h.onnx")).write(tmp_path / "out.onnx")
    names = [term.name for term in contract.observation]
    assert names == [
        *("last_action", "base_ang_vel", "yaw_rate_command", "linear_velocity_commands", "foot_phase_cos"),
        *("joint_pos_rel", "joint_vel_rel", "projected_gravity", "foot_phase_sin"),
    ]
    assert (contract.action_clip, contract.phase_clock, contract.action_scale[0]) == (100.0, "feet", 0.25)
    by_name = dict(zip(contract.joint_names, contract.default_joint_pos, strict=True))
    assert (by_name["left_knee_joint"], by_name["right_shoulder_roll_joint"]) == (0.669, -0.2)


def test_holosoma_tracking_finds_the_pelvis_under_the_torso(tmp_path):
    contract = import_holosoma(holosoma(tmp_path / "h.onnx", tracking=True)).write(tmp_path / "out.onnx")
    policy = OnnxPolicy.load(tmp_path / "out.onnx")
    assert policy.clip is not None
    pos, quat = pelvis_motion()
    np.testing.assert_allclose(policy.clip.root_pos_world, pos, atol=1e-6)
    np.testing.assert_allclose(np.abs(np.sum(policy.clip.root_quat_wxyz * quat, axis=1)), 1.0, atol=1e-6)
    assert (contract.action_scale[0], contract.uses_odometry) == (1.0, False)


def test_a_holosoma_configuration_changes_single_values(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("gait_period: 0.8\nobs_scales: {base_ang_vel: 1.0}\ndefault_dof_angles: " + str([0.1] * 29))
    contract = import_holosoma(holosoma(tmp_path / "h.onnx"), config).contract
    assert (contract.phase_period_s, contract.default_joint_pos[4]) == (0.8, 0.1)
    assert contract.observation[1].scale == (1.0,)
    config.write_text("gait_perod: 0.8")
    with pytest.raises(VmError, match="unknown keys gait_perod; there are obs_terms"):
        import_holosoma(holosoma(tmp_path / "h.onnx"), config)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"observation_names": csv(["odour"])}, "unknown observation terms odour; known: command, base_lin_vel"),
        ({"observation_names": csv(["height_scan"])}, "unknown observation terms height_scan"),
        ({"joint_names": csv([*REVERSED[:-1], "tail"])}, "joint_names names tail; the G1 has"),
        ({"joint_names": csv(REVERSED[:-1])}, "has 29 values; expected 28"),
        ({"joint_stiffness": "1,2,three"}, "could not convert"),
        ({"command_names": "dance"}, "commands dance; expected exactly one of twist, motion"),
        ({"observation_terms_scale": "1.0"}, "observation_terms_scale has 1 values for 7 observation terms"),
        ({"observation_terms_clip": csv(["5;1"] * 7)}, "expected lower < upper"),
    ],
)
def test_what_mjlab_files_do_not_fit_is_named(tmp_path, changes, words):
    with pytest.raises(VmError, match=words) as caught:
        read_mjlab(mjlab(tmp_path / "m.onnx", **changes))
    assert str(caught.value).startswith("m.onnx: ") and "\n" not in str(caught.value)


def test_fewer_joints_are_held_only_in_waist_and_wrists(tmp_path):
    for wrong, words in (("wrist", None), ("knee", "does not move left_knee_joint, right_knee_joint; only joints of")):
        kept = [name for name in REVERSED if wrong not in name]
        numbers = csv([1.0] * len(kept))
        keys = ("joint_stiffness", "joint_damping", "default_joint_pos", "action_scale")
        path = mjlab(tmp_path / "m.onnx", joint_names=csv(kept), **dict.fromkeys(keys, numbers))
        if words is None:
            assert set(read_mjlab(path).contract.held_joints) == {n for n in REVERSED if wrong in n}
        else:
            with pytest.raises(VmError, match=words):
                read_mjlab(path)


def test_another_robot_is_told_by_its_torso(tmp_path, monkeypatch):
    tables = motion_tables(REVERSED)
    tables["body_pos_w"][:, 2, 2] += 0.05
    monkeypatch.setattr("foreign_policies.motion_tables", lambda names: tables)
    with pytest.raises(VmError, match="torso is up to 0.050 m and 0.000 rad from where this G1's waist puts it"):
        read_beyondmimic(beyondmimic(tmp_path / "b.onnx"))


def test_an_action_that_depends_on_time_is_refused(tmp_path):
    model = onnx.load_model_from_string(beyondmimic(tmp_path / "b.onnx").read_bytes())
    late = onnx.helper.make_node("Add", ["actions", "time_step"], ["late"])
    model.graph.node.append(late)
    for value in model.graph.output:
        if value.name == "actions":
            value.name = "late"
    for node in model.graph.node:
        for k, name in enumerate(node.output):
            node.output[k] = {"late": "actions", "actions": "early"}.get(name, name)
        for k, name in enumerate(node.input):
            node.input[k] = {"actions": "early"}.get(name, name)
    for value in model.graph.output:
        if value.name == "late":
            value.name = "actions"
    (tmp_path / "t.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(VmError, match="actions depend on obs, time_step; expected on the observation alone"):
        read_beyondmimic(tmp_path / "t.onnx")


def test_weights_outside_the_file_are_refused(tmp_path):
    model = read_model(network(4, 2, {}), "n")
    tensor = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, "../../secret")
    with pytest.raises(VmError, match="the weights w lie outside the file"):
        read_model(model.SerializeToString(), "n")


def test_metadata_that_are_no_text_are_refused(tmp_path):
    data = beyondmimic(tmp_path / "b.onnx").read_bytes()
    (tmp_path / "b.onnx").write_bytes(data.replace(b"somebody/run", b"somebody\xff\xferu"))
    with pytest.raises(VmError, match="b.onnx: damaged metadata"):
        read_beyondmimic(tmp_path / "b.onnx")


@pytest.mark.parametrize("reader", [read_mjlab, read_beyondmimic, import_holosoma])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no metadata|lack"),
        (b"\x80\x04pickle", "a pickle or PyTorch file"),
        (b"PK\x03\x04zip", "a pickle or PyTorch file"),
        (b"\xff" * 50, "damaged or not an ONNX"),
    ],
)
def test_other_files_are_refused(tmp_path, reader, content, words):
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(VmError, match=words):
        reader(path)
    with pytest.raises(VmError, match="no such policy file"):
        reader(tmp_path / "none.onnx")


def test_torchscript_is_converted_and_answers_alike(tmp_path):
    torch = pytest.importorskip("torch")
    import yaml

    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(73, 16), torch.nn.ELU(), torch.nn.Linear(16, 29))
    torch.jit.script(module).save(str(tmp_path / "p.pt"))
    (tmp_path / "deploy.yaml").write_text(yaml.safe_dump(deploy(), sort_keys=False))
    contract = import_torchscript(tmp_path / "p.pt", tmp_path / "deploy.yaml").write(tmp_path / "out.onnx")
    policy = OnnxPolicy.load(tmp_path / "out.onnx")
    observation = np.random.default_rng(1).normal(size=73).astype(np.float32)
    wanted = module(torch.from_numpy(observation[None])).detach().numpy()[0]
    np.testing.assert_allclose(policy.act(observation), wanted, atol=1e-5)
    (tmp_path / "c.json").write_text(contract.to_json())
    torch.save(module.state_dict(), tmp_path / "checkpoint.pt")
    with pytest.raises(VmError, match="checkpoint.pt: not TorchScript"):
        import_torchscript(tmp_path / "checkpoint.pt", tmp_path / "c.json")


def test_the_command_says_what_it_wrote_and_ends_with_2_on_errors(tmp_path):
    call = [sys.executable, "-c", "from vm_policy_node.importers.command import main; main()"]
    source = holosoma(tmp_path / "h.onnx")
    good = subprocess.run(
        [*call, "holosoma", str(source), "--out", str(tmp_path / "o.onnx")], capture_output=True, text=True, check=False
    )
    assert good.returncode == 0, good.stderr
    assert "h: 29 joints at 50 Hz, needs the robot state" in good.stdout
    bad = subprocess.run(
        [*call, "mjlab", str(source), "--out", str(tmp_path / "o.onnx")], capture_output=True, text=True, check=False
    )
    assert bad.returncode == 2
    assert "error: h.onnx: the ONNX metadata lack joint_names; they have command_ranges, dof_names" in bad.stderr
    same = subprocess.run(
        [*call, "holosoma", str(source), "--out", str(source)], capture_output=True, text=True, check=False
    )
    assert "would overwrite" in same.stderr and same.returncode == 2


def test_damaged_files_of_every_format_are_read_or_refused():
    result = fuzz_importers.fuzz(400, seed=1)
    assert result["crashes"] == 0
    assert result["refused"] > 100 and result["written"] > 10
