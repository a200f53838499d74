"""The loop without ROS: the demo's video is reconstructed, and the committed policy takes the G1 up its steps."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset
from vm_core.unitree_cdr import new_low_cmd
from vm_policy_node.bringup import demo
from vm_policy_node.bringup.demo_result import top_line
from vm_policy_node.controller import Controller
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.safety import State
from vm_sim.robot import STEP_S, SimulatedG1
from vm_sim.start_pose import clip_qpos

STEPS_A_PERIOD = 10


@pytest.fixture(scope="module")
def reconstruction(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    _call("vm-reconstruct", str(demo.DEMO_VIDEO), "--height", str(demo.DEMO_HEIGHT_M), "--out", str(out))
    return out


def _call(script: str, *arguments: str) -> None:
    subprocess.run([str(Path(sys.executable).parent / script), *arguments], check=True)


class Trial:
    """The simulated robot under the controller that the node runs, in lockstep; commands come one physics step late."""

    def __init__(self, policy: OnnxPolicy, scene: SceneAsset, seed: int) -> None:
        assert policy.clip is not None
        self.robot = SimulatedG1(scene, start_qpos=clip_qpos(policy.clip)[0], seed=seed)
        self.controller = Controller(policy)
        self.command = new_low_cmd()
        self.held_by_gantry: list[float] = []

    def run(self, seconds: float) -> None:
        for k in range(round(seconds / STEP_S)):
            now = self.robot.time_s
            if k % STEPS_A_PERIOD == 1 and self.controller.machine.state != State.IDLE:
                assert self.robot.command(self.command)
            if k % STEPS_A_PERIOD == 0:
                self._control(now)
            self.robot.step()

    def _control(self, now: float) -> None:
        data, controller = self.robot.data, self.controller
        controller.on_odometry(data.qpos[:3].copy(), data.qpos[3:7].copy(), data.qvel[:3].copy(), now)
        controller.on_low_state(self.robot.low_state().tobytes(), now)
        if controller.machine.state == State.IDLE:
            controller.step(now)
            controller.request("stand", now)
        if controller.at_start_pose(now):
            controller.request("run", now)
        command = controller.step(now)
        if controller.machine.state == State.IDLE:
            return  # it still swings on the gantry
        assert command is not None and controller.machine.state != State.DAMPING, controller.machine.cause
        self.command = command.copy()
        if controller.run_step > 0:
            self.held_by_gantry.append(self.robot.gantry_share)


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
    report = demo.run_in_scene(demo.DEMO_POLICY, reconstruction / "scene", tmp_path, seed=0)
    assert report["policy"] == "demo_steps" and report["state"] != "IDLE", report  # it stood up
    assert report["lowcmd"] > 50 and report["lowcmd_refused"] == 0, report
    assert report["scans"] > 20 and report["lowstate"] > 2000, report
    assert (tmp_path / "robot_run.npz").is_file()
