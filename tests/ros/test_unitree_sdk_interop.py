"""Unitree's own Python SDK beside our nodes: it plays the robot for the policy node, and asks our motion switcher.

The SDK speaks Cyclone DDS and lives in an environment of its own; requirements/unitree_sdk.txt says how to make it.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import policy_files as files
import pytest
from session import END_S, PATIENT, policy_node, start

from vm_core import g1, ros_environment
from vm_core.errors import VmError
from vm_policy_node.bringup.network import dds_environment

ROOT = Path(__file__).resolve().parents[2]
SDK_PYTHON = ROOT / ".venv-unitree/bin/python"
pytestmark = pytest.mark.skipif(
    not SDK_PYTHON.is_file(), reason="no Unitree SDK: requirements/unitree_sdk.txt says how to make .venv-unitree"
)

SDK_ROBOT = """
import json, sys, threading, time
from unitree_sdk2py.core.channel import ChannelFactoryInitialize, ChannelPublisher, ChannelSubscriber
from unitree_sdk2py.idl.default import unitree_hg_msg_dds__LowState_
from unitree_sdk2py.idl.unitree_hg.msg.dds_ import LowCmd_, LowState_
from unitree_sdk2py.utils.crc import CRC

domain, pose = int(sys.argv[1]), json.loads(sys.argv[2])
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()  # until the test has seen enough
ChannelFactoryInitialize(domain)
crc, commands = CRC(), []
subscriber = ChannelSubscriber("rt/lowcmd", LowCmd_)
subscriber.Init(lambda message: commands.append(message), 10)
publisher = ChannelPublisher("rt/lowstate", LowState_)
publisher.Init()
state = unitree_hg_msg_dds__LowState_()
state.mode_machine, state.imu_state.quaternion = 5, [1.0, 0.0, 0.0, 0.0]
for motor, angle in zip(state.motor_state, pose):
    motor.q = angle
began = time.monotonic()
while not over.is_set():
    state.tick = 1 + int(1000 * (time.monotonic() - began))
    state.crc = crc.Crc(state)
    publisher.Write(state)
    time.sleep(0.005)
checked = commands[:: max(len(commands) // 50, 1)]
print("ROBOT " + json.dumps({
    "commands": len(commands),
    "checked": len(checked),
    "crc_ok": sum(int(crc.Crc(message) == message.crc) for message in checked),
    "mode_machine": sorted({message.mode_machine for message in checked}),
    "mode_pr": sorted({message.mode_pr for message in checked}),
    "enabled": sorted({motor.mode for motor in commands[-1].motor_cmd[:29]}) if commands else [],
    "stiff": max(motor.kp for message in checked for motor in message.motor_cmd) if checked else 0.0,
}))
"""

OPERATOR = """
import json, time
import rclpy
from std_srvs.srv import Trigger
from vm_msgs.msg import PolicyStatus

rclpy.init()
node = rclpy.create_node("operator")
states = []
node.create_subscription(PolicyStatus, "/policy_status", lambda m: states.append((m.state, m.cause)), 10)
clients = {name: node.create_client(Trigger, f"/policy/{name}") for name in ("stand", "run", "damp", "release")}
assert all(client.wait_for_service(60.0) for client in clients.values())

def until(reached, seconds=60.0):
    end = time.monotonic() + seconds
    while not reached() and time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=0.05)

def call(name):
    future = clients[name].call_async(Trigger.Request())
    rclpy.spin_until_future_complete(node, future, timeout_sec=60.0)
    return [future.result().success, future.result().message]

def runs():
    return [state for state, _ in states[-75:]] == [2] * 75

report, end = {"stand": [False], "run": [False]}, time.monotonic() + 120.0
while not runs() and time.monotonic() < end:
    state = states[-1][0] if states else 0
    if state == 3:  # a machine that others share may hold a process up beyond the widest limits
        call("release")
    elif state in (0, 1):
        name = ("stand", "run")[state]
        report[name] = max(report[name], call(name))
    until(runs, 0.25)
report["running"] = states[-1]
report["damp"] = call("damp")
print("OPERATOR " + json.dumps(report))
"""

SWITCHER = """
import sys, time
import rclpy
from vm_core.motion_switcher import MotionSwitcher
from vm_sim.motion_switcher_node import serve

rclpy.init()
node = rclpy.create_node("robot")
switcher = MotionSwitcher("ai")
serve(node, switcher)
print("READY", flush=True)
while True:
    rclpy.spin_once(node, timeout_sec=0.1)
"""

SDK_CLIENT = """
import json, sys, time
from unitree_sdk2py.comm.motion_switcher.motion_switcher_client import MotionSwitcherClient
from unitree_sdk2py.core.channel import ChannelFactoryInitialize

ChannelFactoryInitialize(int(sys.argv[1]))
client = MotionSwitcherClient()
client.SetTimeout(10.0)
client.Init()
report, end = [], time.monotonic() + 60.0
while time.monotonic() < end:
    code, mode = client.CheckMode()
    if code == 0:
        break
report.append([code, mode and mode["name"]])
report.append(client.ReleaseMode()[0])
report.append(client.CheckMode()[1]["name"])
report.append(client.SelectMode("ai")[0])
report.append(client.SelectMode("fly")[0])
report.append(client.CheckMode()[1]["name"])
print("CLIENT " + json.dumps(report))
"""


@pytest.fixture
def environment(ros_domain: int, tmp_path: Path) -> dict[str, str]:
    try:
        env = ros_environment.ros_environment()
    except VmError as error:
        pytest.skip(str(error))
    if subprocess.run([sys.executable, "-c", "import vm_msgs.msg, unitree_api.msg"], env=env).returncode:
        pytest.skip("the built messages do not import")
    own = {"ROS_DOMAIN_ID": str(ros_domain), "OMP_NUM_THREADS": "1", "ROS_HOME": str(tmp_path / "ros")}
    return env | dds_environment("", tmp_path, ROOT / "launch") | own


def sdk_environment() -> dict[str, str]:
    """Without anything of ours: the SDK must find its own libraries."""
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}


def said(output: str, word: str) -> dict | list:
    lines = [line for line in output.splitlines() if line.startswith(word + " ")]
    assert lines, output
    return json.loads(lines[-1][len(word) + 1 :])


def test_the_sdk_plays_the_robot_and_takes_our_commands(environment, ros_domain, tmp_path):
    moved = [g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]
    policy = files.write(tmp_path / "p.onnx", files.contract(default_joint_pos=tuple(g1.DEFAULT_STAND_POSE[moved])))
    node = start(policy_node(policy, stand_duration_s=0.5, **PATIENT), environment)
    robot = subprocess.Popen(
        [str(SDK_PYTHON), "-c", SDK_ROBOT, str(ros_domain), json.dumps(g1.DEFAULT_STAND_POSE.tolist())],
        env=sdk_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        operator = subprocess.run(
            [sys.executable, "-c", OPERATOR], env=environment, capture_output=True, text=True, timeout=400
        )
        heard, _ = robot.communicate(timeout=END_S)
    finally:
        robot.kill()
        node.send_signal(signal.SIGINT)
        log, _ = node.communicate(timeout=END_S)
    asked = said(operator.stdout + operator.stderr + log, "OPERATOR")
    took = said(heard + log, "ROBOT")
    print(asked, took)
    assert asked["stand"][0] and asked["run"][0] and asked["damp"][0], (asked, log)
    assert asked["running"][0] == 2
    assert took["commands"] > 50 and took["checked"] >= 25
    assert took["crc_ok"] == took["checked"]
    assert (took["mode_machine"], took["mode_pr"], took["enabled"]) == ([5], [0], [1])
    assert took["stiff"] >= 80.0


def test_the_sdk_releases_and_takes_the_simulated_robots_mode(environment, ros_domain):
    server = subprocess.Popen([sys.executable, "-c", SWITCHER], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert server.stdout.readline().strip() == "READY"
        client = subprocess.run(
            [str(SDK_PYTHON), "-c", SDK_CLIENT, str(ros_domain)],
            env=sdk_environment(),
            capture_output=True,
            text=True,
            timeout=150,
        )
        assert said(client.stdout + client.stderr, "CLIENT") == [[0, "ai"], 0, "", 0, 3204, "ai"]
        ours = str(Path(sys.executable).parent / "vm-motion-mode")
        for action, words in (("check", "motion mode: ai"), ("release", "motion mode: none"), ("check", "none, motor")):
            ask = [ours, action, "--timeout-s", "60"]
            done = subprocess.run(ask, env=environment, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0 and words in done.stdout, done.stdout + done.stderr
    finally:
        server.kill()
        server.communicate(timeout=END_S)


def test_without_a_robot_the_mode_is_not_known(environment):
    ours = str(Path(sys.executable).parent / "vm-motion-mode")
    done = subprocess.run(
        [ours, "check", "--timeout-s", "1"], env=environment, capture_output=True, text=True, timeout=END_S
    )
    assert done.returncode == 2
    assert "error: no motion switcher answers on /api/motion_switcher/request" in done.stderr
