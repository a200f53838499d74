"""The list of nodes, the starter of processes and the demo's verdict, without ROS."""

import ast
import pickle
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_policy_node.bringup import processes
from vm_policy_node.bringup.demo import DEMO_POLICY, top_line
from vm_policy_node.bringup.nodes import NodeSpec, System, node_list
from vm_policy_node.bringup.start import Sim, start_sim

LAUNCH_FILE = Path(__file__).parents[2] / "launch/g1.launch.py"


def test_simulation_moves_by_itself_and_a_robot_never():
    simulated = {node.name: node for node in node_list(System(policy="p.onnx", scene="s"))}
    assert list(simulated) == ["vm_sim", "vm_heightmap", "vm_policy_node"]
    assert simulated["vm_policy_node"].parameters["auto_stand"] is True
    assert "start_clip" not in simulated["vm_sim"].parameters
    robot = {node.name: node for node in node_list(System(policy="p.onnx", sim=False, auto=True))}
    assert list(robot) == ["vm_heightmap", "vm_policy_node"]
    assert robot["vm_policy_node"].parameters["auto_stand"] is False
    assert robot["vm_policy_node"].parameters["auto_run"] is False


def test_the_launch_file_offers_only_what_the_list_takes():
    """launch and launch_ros come with a full ROS 2 only, so the file is read, not run."""
    tree = ast.parse(LAUNCH_FILE.read_text())
    arguments = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "ARGUMENTS"
    )
    assert isinstance(arguments, ast.Dict)
    names = {key.value for key in arguments.keys if isinstance(key, ast.Constant)}
    assert names <= set(System.__dataclass_fields__)


def script(tmp_path: Path, name: str, body: str) -> NodeSpec:
    path = tmp_path / name
    path.write_text(f"#!{sys.executable}\nimport sys, time\n{body}\n")
    path.chmod(0o755)
    return NodeSpec(name, "p", name, {}, ends_all=name == "ender")


@pytest.fixture
def on_path(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(processes, "ros_environment", lambda: dict(processes.os.environ))
    return tmp_path


FOREVER = "while True: time.sleep(0.05)"


def test_a_good_end_ends_all(on_path, capfd):
    start = time.monotonic()
    nodes = [script(on_path, "ender", "print('hello')"), script(on_path, "other", FOREVER)]
    assert processes.run_nodes(nodes) == 0
    assert time.monotonic() - start < 6.0
    assert "[ender] hello" in capfd.readouterr().out


def test_a_failure_ends_all_with_its_code(on_path):
    nodes = [script(on_path, "failing", "sys.exit(7)"), script(on_path, "other", FOREVER)]
    assert processes.run_nodes(nodes) == 7
    assert processes.run_nodes([script(on_path, "early", ""), nodes[1]]) == 1  # a node has no business to end


def test_the_time_limit_ends_all(on_path):
    assert processes.run_nodes([script(on_path, "other", FOREVER)], timeout_s=0.3) == 0


def test_parameters_keep_their_types(on_path):
    node = script(on_path, "other", "")
    node.parameters.update(path="/tmp/1.0", flag=True, number=0.5)
    assert processes.node_command(node)[1:] == [
        *("--ros-args", "-p", 'path:="/tmp/1.0"', "-p", "flag:=true", "-p", "number:=0.5")
    ]


def test_a_missing_executable_is_named(on_path):
    with pytest.raises(VmError, match="vm-nothing is not installed"):
        processes.node_command(NodeSpec("n", "p", "vm-nothing"))


def test_the_domain_is_the_users_or_free(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "42")
    assert processes.pick_domain_id() == "42"
    monkeypatch.delenv("ROS_DOMAIN_ID")
    assert 1 <= int(processes.pick_domain_id()) <= 100


def test_bad_inputs_are_refused_before_anything_starts(tmp_path):
    with pytest.raises(VmError, match="no such policy file"):
        start_sim(Sim(policy=tmp_path / "none.onnx"))
    scene, clip = tmp_path / "scene", tmp_path / "clip.npz"
    SceneAsset().save(scene)
    (scene / "terrain.npz").unlink()
    clip.write_bytes(pickle.dumps([1]))
    with pytest.raises(VmError, match="scene folder lacks terrain.npz"):
        start_sim(Sim(policy=DEMO_POLICY, scene=scene))
    with pytest.raises(VmError, match="expected .npz arrays without pickle"):
        start_sim(Sim(policy=DEMO_POLICY, start=clip))


STEPS = SceneAsset(boxes=(SceneBox((1.0, 0.0, 0.05), (0.5, 0.5, 0.05)), SceneBox((2.0, 0.0, 0.1), (0.5, 0.5, 0.1))))


@pytest.mark.parametrize(
    ("pelvis", "reached", "words"),
    [
        ([2.0, 0.0, 0.95], True, "stands on a surface at 0.20 m; the top is reached"),
        ([1.0, 0.0, 0.85], False, "at 0.20 m, is NOT reached"),
        ([2.0, 0.0, 0.35], False, "lies on a surface"),
        ([0.0, 0.0, 0.75], False, "NOT reached"),
    ],
)
def test_the_top_is_judged_by_place_and_posture(pelvis, reached, words):
    text, verdict = top_line(STEPS, np.array(pelvis))
    assert verdict is reached
    assert words in text
    assert top_line(STEPS, None)[1] is False
