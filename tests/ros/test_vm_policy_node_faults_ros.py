"""The running node and the simulated robot: e-stop, faults by service, recordings, and a node that is killed."""

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

from vm_core import g1, ros_environment
from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_policy_node.bringup.nodes import NodeSpec
from vm_policy_node.bringup.processes import node_command

sys.path.append(str(Path(__file__).parents[1] / "unit"))
files = importlib.import_module("test_vm_policy_node_onnx_policy")

DRIVER = """
import glob, json, os, signal, sys, time
import rclpy
from rclpy.node import Node
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from unitree_hg.msg import LowCmd, LowState
from vm_msgs.msg import PolicyStatus
from vm_core import unitree_cdr
from vm_sim.fault_node import play_fault

rclpy.init()
node = Node("driver")
commands, status, sim = [], [(0, "")], [""]
def on_command(data):
    record = unitree_cdr.parse_low_cmd(data)
    commands.append((time.monotonic(), float(unitree_cdr.get_motors(record, "kp").max())))
def on_diagnostics(message):
    for one in message.status:
        if one.name == "vm_sim":
            sim[0] = {v.key: v.value for v in one.values}["command_state"]
node.create_subscription(LowCmd, "/lowcmd", on_command, 50, raw=True)
node.create_subscription(PolicyStatus, "/policy_status", lambda m: status.append((m.state, m.cause)), 10)
node.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, 10)
estop = node.create_publisher(Bool, "/estop", 10)
report = {}

def until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        rclpy.spin_once(node, timeout_sec=0.02)
    return False

def call(name):
    client = node.create_client(Trigger, name)
    assert client.wait_for_service(20.0), name
    future = client.call_async(Trigger.Request())
    rclpy.spin_until_future_complete(node, future, timeout_sec=10.0)
    return [future.result().success, future.result().message]

def in_state(number):
    return lambda: status[-1][0] == number

def stand():
    return until(lambda: call("/policy/stand")[0], 40.0) and until(in_state(1))

def release():
    return until(lambda: call("/policy/release")[0]) and until(in_state(0))

report["stands"] = stand()
estop.publish(Bool(data=True))
report["estop"] = [until(in_state(3), 5.0), status[-1][1]]
report["release_while_engaged"] = call("/policy/release")
estop.publish(Bool(data=False))
report["released"] = release()
for kind, topic in ((Twist, "/cmd_vel"), (Odometry, "/ground_truth/odometry"), (LowState, "/lowstate")):
    publisher = node.create_publisher(kind, topic, 1)
    until(lambda: publisher.get_subscription_count() > 0, 5.0)
    for size in (0, 3, 17, 30):  # bytes that are no message
        publisher.publish(bytes([0, 1, 0, 0]) + bytes([255]) * size)
    node.destroy_publisher(publisher)
until(lambda: False, 0.5)
report["after broken bytes"] = call("/policy/release")
for fault in sys.argv[2:]:
    report["stands before " + fault] = stand()
    play_fault(node, fault)
    report[fault] = [until(in_state(3), 10.0), status[-1][1]]
    play_fault(node, "")
    report["released after " + fault] = release()
report["record"] = [until(lambda: call("/policy/record")[0], 20.0)]
report["last stand"] = stand()
until(lambda: len(glob.glob(os.environ["ROS_HOME"] + "/flight_records/*.mcap")) >= 5, 20.0)
commands.clear()
killed = time.monotonic()
os.kill(int(sys.argv[1]), signal.SIGKILL)
until(lambda: False, 4.0)
until(lambda: sim[0] == "damping", 10.0)
report["stiff_after_s"] = max([t - killed for t, kp in commands if kp > 0.0], default=0.0)
report["damping_commands"] = sum(kp == 0.0 for t, kp in commands)
report["last_command_s"] = max([t - killed for t, kp in commands], default=0.0)
report["sim"] = sim[0]
print("REPORT " + json.dumps(report))
"""
FAULTS = ("motor_hot", "state_silent", "second_publisher")


@pytest.fixture(scope="module")
def environment(module_domain: int, tmp_path_factory) -> dict[str, str]:
    try:
        env = ros_environment.ros_environment()
    except VmError as error:
        pytest.skip(str(error))
    home = tmp_path_factory.mktemp("ros")
    return env | {"ROS_DOMAIN_ID": str(module_domain), "OMP_NUM_THREADS": "1", "ROS_HOME": str(home)}


@pytest.fixture(scope="module")
def report(environment, tmp_path_factory) -> dict:
    """One session with everything in it, because processes take long to start."""
    folder = tmp_path_factory.mktemp("faults")
    SceneAsset().save(folder / "scene")
    moved = [g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]
    pose = tuple(g1.DEFAULT_STAND_POSE[moved])
    policy = files.write(folder / "p.onnx", files.contract(default_joint_pos=pose))
    patient = {"state_timeout_s": 0.5, "late_cycle_s": 0.5, "late_share": 1.0, "state_lag_s": 5.0}  # a shared machine
    sim = NodeSpec("vm_sim", "vm_sim", "vm-sim", {"scene": str(folder / "scene")})
    node = NodeSpec("vm_policy_node", "vm_policy_node", "vm-policy-node", {"policy": str(policy)} | patient)
    processes = [_start(spec, environment) for spec in (sim, node)]
    try:
        command = [sys.executable, "-c", DRIVER, str(processes[1].pid), *FAULTS]
        driver = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150)
    finally:
        outputs = []
        for process in reversed(processes):
            process.send_signal(signal.SIGINT)
            outputs.append(process.communicate(timeout=20)[0])
    lines = [line for line in driver.stdout.splitlines() if line.startswith("REPORT ")]
    assert lines, driver.stderr + "".join(outputs)
    print(lines[0])
    return json.loads(lines[0][7:])


def _start(spec: NodeSpec, environment: dict[str, str]) -> subprocess.Popen:
    pipe = subprocess.PIPE
    return subprocess.Popen(node_command(spec), env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True)


def test_the_estop_topic_stops_and_keeps_it_stopped(report):
    assert report["stands"]
    assert report["estop"] == [True, "e-stop: engaged by topic"]
    assert report["release_while_engaged"] == [False, "cannot release, the e-stop is engaged (engaged by topic)"]
    assert report["released"]


def test_bytes_that_are_no_message_do_not_end_the_node(report):
    assert "after broken bytes" in report  # it still answers; the tests below see it go on


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("motor_hot", "temperature: left_knee"),
        ("state_silent", "stale state"),
        ("second_publisher", "another publisher"),
    ],
)
def test_the_simulated_robot_plays_faults_by_service(report, fault, cause):
    assert report[f"stands before {fault}"]
    assert report[fault][0], report[fault]
    assert report[fault][1].startswith(cause)
    assert report[f"released after {fault}"]


def test_a_killed_node_ends_in_damping(report):
    """First by its own stream, which outlives it for two seconds, then by the robot's timeout."""
    assert report["last stand"]
    assert report["stiff_after_s"] < 0.6
    assert report["damping_commands"] > 100
    assert 1.0 < report["last_command_s"] < 3.5
    assert report["sim"] == "damping"


def test_each_trip_leaves_a_recording(report, environment):
    folder = Path(environment["ROS_HOME"]) / "flight_records"
    names = [path.stem.split("_", 2)[2] for path in sorted(folder.glob("*.mcap"))]
    assert {"e_stop", "temperature", "stale_state", "another_publisher", "request"} <= set(names), names
    assert report["record"][0]
    path = next(folder.glob("*_temperature.mcap"))
    seen: dict[str, int] = {}
    events = []
    with path.open("rb") as stream:
        reader = make_reader(stream, decoder_factories=[DecoderFactory()])
        for schema, channel, _ in reader.iter_messages():
            assert schema is not None and schema.encoding == "ros2msg"
            seen[channel.topic] = seen.get(channel.topic, 0) + 1
        own = ["/policy/events", "/policy_status", "/lowcmd"]  # others may have sent broken bytes
        for _, channel, _, message in reader.iter_decoded_messages(topics=own):
            if channel.topic == "/policy/events":
                events.append(message.msg)
    assert {"/lowstate", "/lowcmd", "/policy_status", "/policy/events", "/ground_truth/odometry"} <= set(seen)
    assert seen["/lowstate"] > 20  # a busy machine hands over a part of them
    assert any(event.startswith("DAMPING: temperature") for event in events)
    assert os.path.getsize(path) < 40 * 2**20
