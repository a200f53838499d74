"""The list of nodes with its names, the supervisor's order, and what the starter refuses; without ROS."""

import ast
import pickle
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset
from vm_heightmap.node_parameters import PARAMETERS as MAP_PARAMETERS
from vm_policy_node.bringup import network, start
from vm_policy_node.bringup.demo import DEMO_POLICY
from vm_policy_node.bringup.nodes import NodeSpec, node_list
from vm_policy_node.bringup.readiness import Readiness, parse_expected
from vm_policy_node.bringup.start import Sim, completed, launch_folder, start_sim
from vm_policy_node.bringup.system import System, option_help, system_from_text
from vm_policy_node.bringup.topics import SERVICES, TOPICS
from vm_policy_node.visual.visual_policy import load_policy

SOURCES = Path(__file__).parents[2] / "src"


def listed(**given) -> dict[str, NodeSpec]:
    return {node.name: node for node in node_list(System(policy="p.onnx", **given), "/launch")}


def test_simulation_moves_by_itself_and_a_robot_never():
    simulated = listed(scene="s")
    assert list(simulated) == ["vm_sim", "vm_heightmap", "vm_policy_node", "vm_supervisor"]
    assert simulated["vm_policy_node"].parameters["auto_stand"] is True
    assert "start_clip" not in simulated["vm_sim"].parameters
    robot = listed(sim=False, auto=True, supervise=False)
    assert list(robot) == ["vm_heightmap", "vm_policy_node"]
    assert robot["vm_policy_node"].parameters["auto_stand"] is False
    assert robot["vm_policy_node"].parameters["auto_run"] is False


def test_a_visual_policy_in_simulation_has_no_height_map_beside_it():
    """It reads no grid, and map and scans took half a core; on a robot the map is also the odometry."""
    assert list(listed(task="kick_box")) == ["vm_sim", "vm_policy_node", "vm_supervisor"]
    robot = listed(task="kick_box", sim=False)
    assert robot["vm_heightmap"].optional and robot["vm_heightmap"].parameters["odometry_source"] == "own"


def test_odometry_comes_from_the_simulator_the_map_or_a_topic():
    for given, source, topic in (
        ({}, "topic", "/ground_truth/odometry"),
        ({"sim": False}, "own", "/odometry"),
        ({"sim": False, "odometry_topic": "/vio"}, "topic", "/vio"),
    ):
        nodes = listed(foxglove=True, **given)
        height_map = nodes["vm_heightmap"].parameters
        assert (height_map["odometry_source"], height_map["odometry_topic"]) == (source, topic)
        assert nodes["vm_policy_node"].parameters["odometry_topic"] == topic
        # with its own odometry the height map publishes the pelvis's frame; two publishers of a frame make it jump
        assert nodes["vm_robot_state"].parameters["publish_base"] is (source == "topic")


def test_the_height_map_makes_the_grid_that_the_policy_reads():
    """A walker of two paces looks further ahead; of a file that nobody can read the policy node speaks."""
    policies = DEMO_POLICY.parent
    for name, expected in (
        ("g1_generalist.onnx", {"grid_size_x": 18, "grid_center_x_m": pytest.approx(0.35), "grid_samples_per_side": 3}),
        ("g1_walk.onnx", {}),
        ("missing.onnx", {}),
        ("kick_ball", {}),
        ("push_box", {}),
        ("kick_box", {}),
    ):
        nodes = {node.package: node for node in node_list(System(policy=str(policies / name)))}
        given = nodes["vm_heightmap"].parameters
        assert {key: value for key, value in given.items() if key.startswith("grid_")} == expected
        assert all(key in MAP_PARAMETERS for key in given)


def test_viewers_come_only_when_asked_for():
    nodes = listed(rviz=True, foxglove=True, record="bag", teleop="joystick", dry_run=True)
    assert "vm_view_robot" not in nodes and listed(view=True)["vm_view_robot"].optional
    assert {"vm_robot_state", "vm_record", "vm_foxglove", "rviz", "joy", "teleop_twist_joy"} <= set(nodes)
    assert nodes["joy"].params_file == nodes["teleop_twist_joy"].params_file == "/launch/teleop/joystick.yaml"
    assert nodes["rviz"].arguments == ("-d", "/launch/rviz/g1.rviz")
    assert nodes["vm_policy_node"].parameters["dry_run"] is True
    assert nodes["vm_record"].parameters["out"] == "bag"
    assert "vm_record" not in listed(record="run.mp4")
    assert listed(record="run.mp4")["vm_sim"].parameters["record"] == "run.mp4"


def test_a_namespace_moves_all_names_but_a_robots_own():
    simulated, robot = (listed(namespace="r1", sim=sim)["vm_policy_node"] for sim in (True, False))
    assert simulated.namespace == "r1"
    assert simulated.remappings["/lowcmd"] == "/r1/lowcmd"
    assert "/lowcmd" not in robot.remappings and "/livox/lidar" not in robot.remappings
    assert robot.remappings["/policy/stand"] == "/r1/policy/stand"
    assert listed()["vm_policy_node"].remappings == {}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"namespace": "/r1"}, "namespace '/r1'; expected letters"),
        ({"teleop": "mouse"}, "teleop 'mouse'; there are none, joystick"),
        ({"duration_s": -1.0}, "expected 0"),
    ],
)
def test_systems_that_make_no_sense_are_refused(given, words):
    with pytest.raises(VmError, match=words):
        System(policy="p.onnx", **given)


def test_launch_arguments_are_texts():
    system = system_from_text({"policy": "p", "sim": "False", "seed": "3", "duration_s": "1.5", "record": "true"})
    assert system == System(policy="p", sim=False, seed=3, duration_s=1.5, record="true")
    for given in ({"policy": "p", "sim": "yes"}, {"policy": "p", "seed": "x"}):
        with pytest.raises(VmError, match="expected a value of type"):
            system_from_text(given)


def test_every_argument_is_described():
    assert set(option_help()) == set(System.__dataclass_fields__)
    assert all(text.endswith(".") for text in option_help().values())


def names_in(path: Path) -> set[str]:
    """Whole texts in a node's source that look like names of topics or services."""
    tree = ast.parse(path.read_text())
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in parts}
    return {text for text in texts if isinstance(text, str) and re.fullmatch(r"(/[a-z][a-z_]*)+", text)}


NO_TOPICS = {"/policy/events", "/vm_sim"}  # of the flight recorder alone; a node
NODE_FILES = [*SOURCES.glob("*/*/*_node.py"), *SOURCES.glob("*/*/*parameters.py")]


@pytest.mark.parametrize("path", sorted(NODE_FILES), ids=lambda path: path.name)
def test_a_namespace_knows_every_name_of_the_nodes(path):
    known = {topic.name for topic in TOPICS} | set(SERVICES) | NO_TOPICS
    assert names_in(path) <= known, f"{path.name}: bringup/topics.py lacks {names_in(path) - known}"


def test_dds_speaks_on_the_robots_interface_and_announces_no_types(tmp_path, monkeypatch):
    for name in (*network.FAST_DDS_VARIABLES, network.CYCLONE_VARIABLE, "ROS_DISTRO"):
        monkeypatch.delenv(name, raising=False)
    everywhere = network.dds_environment("", tmp_path, launch_folder())
    assert set(everywhere) == {"FASTDDS_DEFAULT_PROFILES_FILE"}
    profile = ElementTree.parse(everywhere["FASTDDS_DEFAULT_PROFILES_FILE"])
    assert "interfaceWhiteList" not in ElementTree.tostring(profile.getroot(), encoding="unicode")
    monkeypatch.setenv("ROS_DISTRO", "humble")
    given = network.dds_environment("lo", tmp_path, launch_folder())
    text = Path(given["FASTRTPS_DEFAULT_PROFILES_FILE"]).read_text()
    assert "<address>127.0.0.1</address>" in text and "<value>disabled</value>" in text
    assert ElementTree.fromstring(given["CYCLONEDDS_URI"]).find(".//NetworkInterface").get("name") == "lo"
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "/mine.xml")
    assert set(network.dds_environment("lo", tmp_path, launch_folder())) == {"CYCLONEDDS_URI"}
    with pytest.raises(VmError, match="network interface 'nonsense'; there are .*lo"):
        network.dds_environment("nonsense", tmp_path, launch_folder())


def test_the_system_is_up_node_by_node():
    expected = parse_expected("a=/x,/y;b=;c=/z")
    readiness = Readiness(expected, timeout_s=10.0)
    assert readiness.advance(set()) == [] and readiness.missing() == ["/x", "/y"]
    readiness.heard |= {"/x", "/z"}
    assert readiness.advance(set()) == []  # c's message does not let it pass a
    assert readiness.complaint(9.0) is None
    assert readiness.complaint(11.0) == "a is not up after 11 s: no message on /y"
    readiness.heard.add("/y")
    assert readiness.advance(set()) == ["a"]
    assert "nothing, not even its name" in readiness.complaint(11.0)
    assert readiness.advance({"b"}) == ["b", "c"]
    assert readiness.current is None and readiness.complaint(99.0) is None
    with pytest.raises(VmError, match="expected NODE=TOPIC"):
        parse_expected("a,b")


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


@pytest.mark.parametrize(("sim", "given", "wanted"), [(False, None, "0"), (False, "7", "7"), (True, "7", "7")])
def test_a_robot_is_looked_for_in_its_own_domain(tmp_path, monkeypatch, sim, given, wanted):
    seen = {}
    monkeypatch.setattr(start, "run_nodes", lambda nodes, *, variables: seen.update(variables) or 0)
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    if given:
        monkeypatch.setenv("ROS_DOMAIN_ID", given)
    start.run_system(System(policy="p.onnx", sim=sim), tmp_path)
    assert seen["ROS_DOMAIN_ID"] == wanted


def test_a_clip_is_followed_from_where_it_begins_on_the_scene_beside_it(tmp_path):
    policies = SOURCES / "vm_policy_node/vm_policy_node/policies"
    own = load_policy(str(policies / "demo_steps.onnx")).clip
    assert own is not None
    replace(own, joint_pos=0.9 * own.joint_pos).save(tmp_path / "clip.npz")
    given = System(str(policies / "demo_steps.onnx"), clip=str(tmp_path / "clip.npz"))
    flat = completed(given, tmp_path / "work")
    assert Path(flat.scene).name == "flat"
    np.testing.assert_array_equal(MotionClip.load(flat.start).joint_pos, 0.9 * own.joint_pos)
    SceneAsset(boxes=(), source="beside the clip").save(tmp_path / "scene")
    assert completed(given, tmp_path / "work").scene == str(tmp_path / "scene")
    elsewhere = replace(given, scene=flat.scene, start=str(tmp_path / "clip.npz"))
    assert completed(elsewhere, tmp_path / "work").scene == flat.scene
    assert node_list(given)[2].parameters["reference"] == given.clip
    assert "reference" not in listed()["vm_policy_node"].parameters
    with pytest.raises(VmError, match="follows no clip"):
        completed(replace(given, policy=str(policies / "g1_walk.onnx")), tmp_path / "work")
    with pytest.raises(VmError, match=r"missing\.npz"):
        completed(replace(given, clip=str(tmp_path / "missing.npz")), tmp_path / "work")
