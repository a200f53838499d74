"""The policy node as a process: services, safety and timing over DDS, with a robot that stands still."""

import importlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vm_core import g1, ros_environment
from vm_core.errors import VmError
from vm_policy_node.bringup.nodes import NodeSpec
from vm_policy_node.bringup.processes import node_command

sys.path.append(str(Path(__file__).parents[1] / "unit"))
files = importlib.import_module("test_vm_policy_node_onnx_policy")

DRIVER = """
import json, sys, time
import numpy as np, rclpy
from rclpy.node import Node
from std_srvs.srv import Trigger
from unitree_hg.msg import LowCmd, LowState
from vm_msgs.msg import PolicyStatus
from vm_core import g1, unitree_cdr

rclpy.init()
node = Node("driver")
out = node.create_publisher(LowState, "/lowstate", 1)
commands, states, sent_at, latency = [], [], {}, []

def on_command(data):
    record = unitree_cdr.parse_low_cmd(data)
    commands.append(record.copy())
    tick = int(record["reserve"][0])
    if tick in sent_at:  # the stream repeats each command until the next
        latency.append(time.monotonic() - sent_at.pop(tick))

node.create_subscription(LowCmd, "/lowcmd", on_command, 1, raw=True)
node.create_subscription(PolicyStatus, "/policy_status", lambda m: states.append((m.state, m.cause, m.period_ms)), 10)
clients = {name: node.create_client(Trigger, f"/policy/{name}") for name in ("stand", "run", "damp", "release")}
assert clients["release"].wait_for_service(20.0)
tick, began = [0], time.monotonic()

def publish():
    tick[0] = 1 + int(1000 * (time.monotonic() - began))
    state = unitree_cdr.new_low_state()
    state["tick"], state["mode_machine"] = tick[0], 5
    state["imu"]["quaternion"][0] = 1.0
    unitree_cdr.set_motors(state, "q", g1.DEFAULT_STAND_POSE)
    state["crc"] = unitree_cdr.low_state_crc(state)
    sent_at[tick[0]] = time.monotonic()
    out.publish(state.tobytes())

timer = node.create_timer(0.002, publish)

def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=0.05)

def call(name):
    future = clients[name].call_async(Trigger.Request())
    rclpy.spin_until_future_complete(node, future, timeout_sec=5.0)
    return [future.result().success, future.result().message]

report = {"early_run": call("run")}
spin(0.5)
report["idle_commands"] = len(commands)
for _ in range(10):  # the robot must have been seen still for a while
    report["stand"] = call("stand")
    if report["stand"][0]:
        break
    spin(0.3)
spin(1.5)
report["run"] = call("run")
spin(3.0)
report["state_running"] = states[-1][0]
report["period_error_ms"] = float(np.median(np.abs(np.array([s[2] for s in states[-140:]]) - 20.0)))
report["latency_ms"] = [float(np.percentile(latency, p) * 1000) for p in (50, 99)]
report["mode_machine"] = int(commands[-1]["mode_machine"])
report["crc_ok"] = bool(commands[-1]["crc"] == unitree_cdr.low_cmd_crc(commands[-1]))
timer.cancel()
spin(0.5)
report["state_silent"], report["cause_silent"] = states[-1][0], states[-1][1]
report["damping_kp"] = float(unitree_cdr.get_motors(commands[-1], "kp").max())
report["run_while_damping"] = call("run")
timer.reset()
spin(0.3)
report["state_still"] = states[-1][0]
report["release"] = call("release")
spin(0.2)
report["state_end"] = states[-1][0]
print("REPORT " + json.dumps(report))
"""


@pytest.fixture(scope="module")
def environment(module_domain: int, tmp_path_factory) -> dict[str, str]:
    try:
        env = ros_environment.ros_environment()
    except VmError as error:
        pytest.skip(str(error))
    if subprocess.run([sys.executable, "-c", "import rclpy, vm_msgs.msg"], env=env, capture_output=True).returncode:
        pytest.skip("rclpy and the built messages do not import")
    return env | {
        "ROS_DOMAIN_ID": str(module_domain),
        "OMP_NUM_THREADS": "1",
        "ROS_HOME": str(tmp_path_factory.mktemp("ros")),
    }


def start_node(environment: dict[str, str], **parameters) -> subprocess.Popen:
    command = node_command(NodeSpec("vm_policy_node", "vm_policy_node", "vm-policy-node", parameters))
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_the_whole_round_over_dds(environment, tmp_path):
    moved = [g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]
    policy = files.write(tmp_path / "p.onnx", files.contract(default_joint_pos=tuple(g1.DEFAULT_STAND_POSE[moved])))
    written = tmp_path / "report.json"
    slow = {
        "stand_duration_s": 1.0,
        "state_timeout_s": 0.3,
        "late_cycle_s": 0.3,
        "late_share": 1.0,
    }  # a shared machine may hold a process up for 0.1 s
    node = start_node(environment, policy=str(policy), echo_tick=True, report=str(written), **slow)
    try:
        driver = subprocess.run(
            [sys.executable, "-c", DRIVER], env=environment, capture_output=True, text=True, timeout=60
        )
    finally:
        node.send_signal(signal.SIGINT)
        output, _ = node.communicate(timeout=20)
    lines = [line for line in driver.stdout.splitlines() if line.startswith("REPORT ")]
    assert lines, driver.stderr + output
    report = json.loads(lines[0][7:])
    print(report)
    assert report["early_run"] == [False, "cannot run from IDLE; stand first"]
    assert report["idle_commands"] == 0
    assert report["stand"][0], report
    assert report["run"][0], report
    assert (report["state_running"], report["mode_machine"], report["crc_ok"]) == (2, 5, True)
    assert report["state_silent"] == 3
    assert report["cause_silent"].startswith("stale state")
    assert report["damping_kp"] == 0.0
    assert not report["run_while_damping"][0]
    assert (report["state_still"], report["state_end"]) == (3, 0)
    assert report["release"][0]
    # generous: the machine that runs the tests is shared; `make bench ONLY=loop` has the real limits
    assert report["latency_ms"][0] < 20.0
    assert report["period_error_ms"] < 20.0
    assert node.returncode == 130
    assert json.loads(written.read_text())["policy"] == "linear"


@pytest.mark.parametrize("policy", ["", "no_such_file.onnx"])
def test_without_a_sound_policy_the_node_does_not_start(environment, policy):
    node = start_node(environment, policy=policy)
    output, _ = node.communicate(timeout=20)
    assert node.returncode == 2, output
    assert [line for line in output.splitlines() if line.startswith("error: ")]


def test_terminate_ends_the_node(environment, tmp_path):
    node = start_node(environment, policy=str(files.write(tmp_path / "p.onnx")))
    assert node.stdout is not None
    while "golden pair matches" not in node.stdout.readline():
        assert node.poll() is None
    time.sleep(0.5)
    node.terminate()
    node.communicate(timeout=20)
    assert node.returncode == 130
