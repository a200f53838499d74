"""The list of nodes, the starter of processes and the demo's verdict, without ROS."""

import ast
import os
import pickle
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_policy_node.bringup import network, processes, start
from vm_policy_node.bringup.demo import DEMO_POLICY
from vm_policy_node.bringup.nodes import NodeSpec, System, node_list, option_help, system_from_text
from vm_policy_node.bringup.readiness import Readiness, parse_expected
from vm_policy_node.bringup.start import Sim, launch_folder, start_sim
from vm_policy_node.bringup.topics import SERVICES, TOPICS

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


def script(tmp_path: Path, name: str, body: str) -> NodeSpec:
    path = tmp_path / name
    path.write_text(f"#!{sys.executable}\nimport sys, time\n{body}\n")
    path.chmod(0o755)
    return NodeSpec(name, "vm_p", name, {}, ends_all=name == "ender")


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


def test_an_end_that_is_planned_ends_nothing(on_path, capfd):
    done = replace(script(on_path, "done", ""), may_end=True)
    nodes = [done, script(on_path, "ender", "time.sleep(0.6)")]
    assert processes.run_nodes(nodes) == 0
    assert "done" not in capfd.readouterr().out
    failing = replace(script(on_path, "failing", "sys.exit(2)"), may_end=True)
    assert processes.run_nodes([failing, script(on_path, "other", FOREVER)]) == 2


def test_who_looks_on_stops_nobody(on_path, capfd):
    seen = on_path / "seen"
    viewer = replace(script(on_path, "viewer", f"open({str(seen)!r}, 'w'); sys.exit(3)"), optional=True)
    waits = f"import os\nwhile not os.path.exists({str(seen)!r}): time.sleep(0.05)\ntime.sleep(1.0)"
    assert processes.run_nodes([viewer, script(on_path, "ender", waits)]) == 0
    assert capfd.readouterr().out.count("[viewer] ended with exit code 3; the others go on") == 1
    assert {node.name for node in node_list(System("p", rviz=True, foxglove=True, record="b")) if node.optional} == {
        *("vm_robot_state", "vm_record", "vm_foxglove", "rviz")
    }


def test_who_looks_on_waits_for_those_who_walk(on_path, monkeypatch):
    stepped: list[int] = []
    monkeypatch.setattr(processes, "step_back", stepped.append)
    viewer = replace(script(on_path, "viewer", FOREVER), optional=True)
    assert processes.run_nodes([viewer, script(on_path, "ender", "time.sleep(0.2)")]) == 0
    assert len(stepped) == 1
    monkeypatch.undo()
    sleeper = subprocess.Popen(
        [sys.executable, "-c", FOREVER.replace("while", "import time\nwhile")], start_new_session=True
    )
    processes.step_back(sleeper.pid)
    nice = os.getpriority(os.PRIO_PROCESS, sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    assert nice == max(os.getpriority(os.PRIO_PROCESS, 0), processes.ONLOOKER_NICE)
    processes.step_back(sleeper.pid)  # one that has ended already is nobody's harm


def test_who_commands_the_motors_ends_first(on_path, tmp_path):
    """What it says last must reach a robot that still listens."""
    log = tmp_path / "ends"
    body = f"""
import signal
def end(*_):
    time.sleep(0.2 if {{slow}} else 0.0)
    open({str(log)!r}, "a").write(sys.argv[0].rsplit("/")[-1] + " ")
    sys.exit(0)
signal.signal(signal.SIGINT, end)
open(sys.argv[0] + ".up", "w").close()
{FOREVER}"""
    both_up = f"""
import glob
while len(glob.glob({str(tmp_path / "*.up")!r})) < 2: time.sleep(0.05)"""
    policy = replace(script(on_path, "policy", body.format(slow=True)), ends_first=True)
    robot, ender = script(on_path, "robot", body.format(slow=False)), script(on_path, "ender", both_up)
    assert processes.run_nodes([robot, policy, ender], timeout_s=60.0) == 0
    assert log.read_text() == "policy robot "


def test_parameters_keep_their_types(on_path):
    node = script(on_path, "other", "")
    node.parameters.update(path="/tmp/1.0", flag=True, number=0.5)
    assert processes.node_command(node)[1:] == [
        *("--ros-args", "-p", 'path:="/tmp/1.0"', "-p", "flag:=true", "-p", "number:=0.5")
    ]
    placed = replace(node, parameters={}, namespace="r1", remappings={"/a": "/r1/a"}, arguments=("-d", "x"))
    assert processes.node_command(placed)[1:] == [*("-d", "x", "--ros-args", "-r", "__ns:=/r1", "-r", "/a:=/r1/a")]


def test_programs_of_ros_packages_are_found(on_path, monkeypatch):
    program = on_path / "ros/lib/joy/joy_node"
    program.parent.mkdir(parents=True)
    program.touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(on_path / "ros"))
    command = [str(program), "--ros-args", "-r", "__node:=joy"]  # its own default is another name
    assert processes.node_command(NodeSpec("joy", "joy", "joy_node")) == command
    with pytest.raises(VmError, match="rviz2 is not installed; it comes with a full ROS 2"):
        processes.node_command(NodeSpec("rviz", "rviz2", "rviz2"))


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


@pytest.mark.parametrize(("sim", "given", "wanted"), [(False, None, "0"), (False, "7", "7"), (True, "7", "7")])
def test_a_robot_is_looked_for_in_its_own_domain(tmp_path, monkeypatch, sim, given, wanted):
    seen = {}
    monkeypatch.setattr(start, "run_nodes", lambda nodes, *, variables: seen.update(variables) or 0)
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    if given:
        monkeypatch.setenv("ROS_DOMAIN_ID", given)
    start.run_system(System(policy="p.onnx", sim=sim), tmp_path)
    assert seen["ROS_DOMAIN_ID"] == wanted
