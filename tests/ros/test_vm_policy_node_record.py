"""`vm-record` as a process: what it writes is read by rosbags, and the height map plays it back."""

import importlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vm_core import ros_environment, unitree_cdr
from vm_core.errors import VmError
from vm_heightmap.replay import Replay, read_messages, replay
from vm_policy_node.bringup.nodes import NodeSpec
from vm_policy_node.bringup.processes import node_command

FAKE_ROBOT = Path(__file__).with_name("fake_robot.py")
ENOUGH_BYTES = 3_000_000  # some seconds of it; written in pieces of a megabyte
TOLD_TO_END_IN_A_MESSAGE = """
import itertools
import signal

from rosbags.rosbag2.writer import Writer

from vm_policy_node.viewing import record_node

append, number = Writer.write, itertools.count(1)
def write(writer, *message):
    append(writer, *message)
    if next(number) == 203:
        signal.raise_signal(signal.SIGINT)
Writer.write = write
record_node.main()
"""


@pytest.fixture(scope="module")
def environment(module_domain: int) -> dict[str, str]:
    try:
        env = ros_environment.ros_environment()
    except VmError as error:
        pytest.skip(str(error))
    return env | {"ROS_DOMAIN_ID": str(module_domain), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def recorder(environment: dict[str, str], out: Path, *names: str) -> subprocess.Popen:
    remappings = {name: f"/r1{name}" for name in names}
    spec = NodeSpec("vm_record", "vm_policy_node", "vm-record", {"out": str(out)}, remappings=remappings)
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    node = subprocess.Popen(node_command(spec), env=environment, **pipe)
    assert any("recording to" in line for line in node.stdout)
    return node


@pytest.fixture(scope="module")
def bag(environment, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("bags") / "stand"
    node = recorder(environment, out)
    robot = subprocess.Popen([sys.executable, str(FAKE_ROBOT)], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert robot.stdout.readline() == "up\n"
        partial = out.with_name("stand.partial") / "stand/stand.mcap"
        end = time.monotonic() + 90.0
        while time.monotonic() < end and (not partial.is_file() or partial.stat().st_size < ENOUGH_BYTES):
            time.sleep(0.1)
        assert not out.exists() and out.with_name("stand.partial").is_dir()
        node.send_signal(signal.SIGINT)
        said, _ = node.communicate(timeout=60)
    finally:
        robot.terminate()
        robot.wait(60)
    assert node.returncode == 130
    assert f"messages to {out}" in said
    return out


def test_a_recording_is_whole_and_its_bytes_are_the_robots(bag):
    assert {path.name for path in bag.iterdir()} == {"stand.mcap", "metadata.yaml"}
    assert not bag.with_name("stand.partial").exists()
    topics = ["/lowstate", "/ground_truth/odometry", "/livox/lidar"]
    counts = dict.fromkeys(topics, 0)
    ticks = []
    for topic, _, message in read_messages(bag, topics):
        counts[topic] += 1
        if topic == "/lowstate":
            state = unitree_cdr.parse_low_state(message)
            assert state["crc"] == unitree_cdr.low_state_crc(state)
            ticks.append(int(state["tick"]))
    assert (
        min(counts["/lowstate"], counts["/ground_truth/odometry"]) > 20 and counts["/livox/lidar"] > 5
    )  # busy machines
    assert ticks == sorted(set(ticks))


def test_who_is_told_to_end_in_the_middle_of_a_message_writes_each_once(environment, tmp_path):
    out = tmp_path / "cut"
    command = [sys.executable, "-c", TOLD_TO_END_IN_A_MESSAGE, "--ros-args", "-p", f"out:={out}"]
    with subprocess.Popen([sys.executable, str(FAKE_ROBOT)], env=environment, stdout=subprocess.DEVNULL) as robot:
        try:
            ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90)
        finally:
            robot.terminate()
    assert ended.returncode == 130, ended.stderr
    states = [unitree_cdr.parse_low_state(data) for _, _, data in read_messages(out, ["/lowstate"])]
    ticks = [int(state["tick"]) for state in states]
    assert len(ticks) > 20 and ticks == sorted(set(ticks))


def test_other_programs_find_every_definition_in_it(bag):
    """Foxglove and rosbag2 know our messages only from the file."""
    reader_class = importlib.import_module("rosbags.highlevel").AnyReader
    with reader_class([bag]) as reader:
        kinds = {connection.topic: connection.msgtype for connection in reader.connections}
        assert kinds["/policy_status"] == "vm_msgs/msg/PolicyStatus"
        connection = next(c for c in reader.connections if c.topic == "/policy_status")
        *_, data = next(reader.messages(connections=[connection]))
        assert reader.deserialize(data, connection.msgtype).policy == "fake"
        assert connection.digest.startswith("RIHS01_")


def test_the_height_map_plays_it_back(bag, tmp_path):
    summary = replay(Replay(bag, tmp_path / "out"))
    assert summary["scans"] > 5 and summary["scans_refused"] == 0
    assert summary["known_share"] > 0.5
    assert summary["mount"] == "OK"


def test_where_something_lies_nothing_is_overwritten(bag, environment):
    spec = NodeSpec("vm_record", "vm_policy_node", "vm-record", {"out": str(bag)})
    ended = subprocess.run(node_command(spec), env=environment, capture_output=True, text=True, timeout=90)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: recording {bag} exists already")


def test_silence_leaves_nothing_behind(environment, tmp_path):
    node = recorder(environment, tmp_path / "none", "/diagnostics")
    node.terminate()
    said, _ = node.communicate(timeout=60)
    assert "nothing was recorded" in said
    assert list(tmp_path.iterdir()) == []
