"""The whole system by `vm-bringup`, in a namespace: its order, what it offers, and its end when a node dies."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from vm_core import ros_environment
from vm_core.errors import VmError
from vm_heightmap.replay import read_messages
from vm_policy_node.bringup.demo import DEMO_POLICY
from vm_policy_node.bringup.topics import SERVICES, TOPICS

SPACE = "r1"
UNKNOWN = "_NODE_NAME_UNKNOWN_"
OFFERED = [f"/{SPACE}{name}" for name in (*SERVICES, "/lowstate", "/height_grid", "/policy_status", "/tf")]
NOT_OURS = ("/rosout", "/parameter_events")
GRAPH = """
import json, sys, time, rclpy
rclpy.init()
node = rclpy.create_node("graph", namespace="watching")

def look():
    ends = {
        name: sorted(
            [kinds[0], end.node_name, end.qos_profile.durability.name, end.qos_profile.reliability.name]
            for end in node.get_publishers_info_by_topic(name)
        )
        for name, kinds in node.get_topic_names_and_types()
    }
    services = [name for name, kinds in node.get_service_names_and_types() if kinds == ["std_srvs/srv/Trigger"]]
    return ends, services

wanted, end, still_since, found = json.loads(sys.argv[1]), time.monotonic() + 60.0, time.monotonic(), look()
while time.monotonic() < end:  # discovery takes what it takes: until all is there and nothing is added any more
    time.sleep(0.2)
    before, found = found, look()
    if found != before:
        still_since = time.monotonic()
    if set(wanted) <= {*found[0], *found[1]} and time.monotonic() - still_since > 3.0:
        break
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def environment(module_domain: int) -> dict[str, str]:
    try:
        env = ros_environment.ros_environment()
    except VmError as error:
        pytest.skip(str(error))
    return env | {"ROS_DOMAIN_ID": str(module_domain), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def run(environment, tmp_path_factory) -> dict:
    """One start: what was said, the graph while all was up, and the end after the height map was killed."""
    folder = tmp_path_factory.mktemp("bringup")
    script = Path(sys.executable).with_name("vm-bringup")
    options = ["--policy", str(DEMO_POLICY), "--namespace", SPACE, "--manual", "--record", str(folder / "bag")]
    system = subprocess.Popen(
        [str(script), "sim", *options, "--foxglove", "--params-file", str(parameters(folder))],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.extend(system.stdout), daemon=True)
    reader.start()
    try:
        until(lambda: any("all is up" in line for line in said) or system.poll() is not None, 300.0)
        graph = subprocess.run(
            [sys.executable, "-c", GRAPH, json.dumps(OFFERED)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=150,
        )
        if system.poll() is None:
            os.kill(pid_of(environment, "vm-heightmap"), signal.SIGKILL)
        code = system.wait(120)
    finally:
        system.send_signal(signal.SIGINT)
        system.wait(120)
    reader.join(60)
    ends, services = json.loads(graph.stdout) if graph.stdout else ({}, [])
    return {"said": said, "ends": ends, "services": services, "code": code, "bag": folder / "bag"}


def parameters(folder: Path) -> Path:
    """A deployer's file: the bridge takes any port that is free; others share the machine with those that look on."""
    path = folder / "mine.yaml"
    ours = {"vm_foxglove": "port: 0", "vm_supervisor": "timeout_s: 240.0"}
    path.write_text("".join(f"/**/{node}:\n  ros__parameters:\n    {line}\n" for node, line in ours.items()))
    return path


def until(done, timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while not done() and time.monotonic() < end:
        time.sleep(0.1)


def pid_of(environment: dict[str, str], program: str) -> int:
    """The process of this test's domain that runs a program."""
    domain = f"ROS_DOMAIN_ID={environment['ROS_DOMAIN_ID']}\0".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, variables = ((folder / name).read_bytes() for name in ("cmdline", "environ"))
        except OSError:
            continue
        if program.encode() in command and b"--ros-args" in command and domain in variables:
            return int(folder.name)
    raise AssertionError(f"{program} does not run")


def test_all_come_up_in_order(run):
    up = [line.split("]: ")[1].split(" is up")[0] for line in run["said"] if " is up after" in line]
    expected = ["vm_sim", "vm_heightmap", "vm_policy_node", "vm_robot_state", "vm_record", "vm_foxglove", "all"]
    assert up == expected, "".join(run["said"])


def test_every_name_is_in_the_namespace(run):
    outside = [name for name in (*run["ends"], *run["services"]) if not name.startswith((f"/{SPACE}/", *NOT_OURS))]
    assert outside == []
    wanted = {f"/{SPACE}{name}" for name in SERVICES}
    assert wanted <= set(run["services"])


def test_topics_are_offered_as_the_table_says(run):
    table = {f"/{SPACE}{topic.name}": topic for topic in TOPICS}
    seen = {name: ends for name, ends in run["ends"].items() if ends and name not in NOT_OURS and name in table}
    assert len(seen) >= 14, sorted(seen)
    for name, ends in seen.items():
        topic = table[name]
        for kind, node, durability, reliability in ends:
            assert kind == topic.type, name
            assert not topic.publisher or node in (*topic.publisher.split(", "), UNKNOWN), f"{name} by {node}"
            assert durability == ("TRANSIENT_LOCAL" if topic.latched else "VOLATILE"), name
            assert reliability == "RELIABLE", name
    offered = {name for name, ends in run["ends"].items() if ends and not name.endswith("/transition_event")}
    assert offered - set(table) - set(NOT_OURS) == set()


def test_a_node_that_dies_names_itself_and_ends_all(run):
    text = "".join(run["said"])
    assert "[vm_heightmap] ended with exit code -9; ending the others" in text
    assert run["code"] == 128 + signal.SIGKILL
    assert "Traceback" not in text


def test_the_recording_was_closed(run):
    assert any("messages to" in line for line in run["said"])
    topics = [f"/{SPACE}/lowstate", f"/{SPACE}/ground_truth/odometry"]
    assert {topic for topic, *_ in read_messages(run["bag"], topics)} == set(topics)
