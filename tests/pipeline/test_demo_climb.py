"""The loop without ROS: the demo's video is reconstructed, and the committed policy takes the G1 up its steps."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from session import PATIENT
from trial import Trial

from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset
from vm_policy_node.bringup import demo
from vm_policy_node.bringup.demo_result import top_line
from vm_policy_node.onnx_policy import OnnxPolicy


@pytest.fixture(scope="module")
def reconstruction(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    _call("vm-reconstruct", str(demo.DEMO_VIDEO), "--height", str(demo.DEMO_HEIGHT_M), "--out", str(out))
    return out


def _call(script: str, *arguments: str) -> None:
    subprocess.run([str(Path(sys.executable).parent / script), *arguments], check=True)


def test_reconstruction_meets_its_goals(reconstruction):
    _call("vm-evaluate-reconstruction", str(reconstruction), "--truth", str(demo.DEMO_TRUTH))
    errors = json.loads((reconstruction / "evaluation.json").read_text())
    assert errors["pelvis_error_m"] <= 0.10
    assert errors["joint_error_m"] <= 0.08
    assert errors["scale_error"] <= 0.05
    scene = SceneAsset.load(reconstruction / "scene")
    assert sum(box.label.startswith("step") for box in scene.boxes) == 3
    assert MotionClip.load(reconstruction / "clip.npz").num_frames > 100


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_policy_reaches_the_top_of_the_reconstructed_steps(reconstruction, seed):
    scene = SceneAsset.load(reconstruction / "scene")
    trial = Trial(OnnxPolicy.load(demo.DEMO_POLICY), scene, seed)
    assert trial.controller.policy.clip is not None
    trial.run(trial.controller.policy.clip.duration_s + 4.0)
    pelvis = trial.robot.data.qpos[:3].copy()
    text, reached = top_line(scene, pelvis)
    assert reached, text
    first_step = round(1.0 / 0.02)  # the clip stands for a second
    assert max(trial.held_by_gantry[first_step:]) == 0.0
    trial.run(2.0)
    assert np.linalg.norm(trial.robot.data.qpos[:3] - pelvis) < 0.02  # it stands still up there


def test_all_nodes_run_together(reconstruction, tmp_path):
    """Real nodes over DDS in real time; how well, on an idle machine, is the benchmark's question."""
    patient = tmp_path / "patient.yaml"
    patient.write_text(json.dumps({"/**/vm_policy_node": {"ros__parameters": PATIENT}}))
    report = demo.run_in_scene(demo.DEMO_POLICY, reconstruction / "scene", tmp_path, seed=0, params_file=patient)
    assert report["policy"] == "demo_steps" and report["state"] != "IDLE", report  # it stood up
    assert report["lowcmd"] > 50 and report["lowcmd_refused"] == 0, report
    assert report["scans"] > 20 and report["lowstate"] > 2000, report
    assert (tmp_path / "robot_run.npz").is_file()
