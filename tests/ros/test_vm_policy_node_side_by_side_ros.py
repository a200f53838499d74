"""Two nodes side by side in namespaces, one of them dry: topics, limits set over ROS, and the end of all processes."""

import importlib
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from vm_core import g1, ros_environment
from vm_core.errors import VmError
from vm_policy_node.bringup.nodes import NodeSpec
from vm_policy_node.bringup.processes import node_command
from vm_policy_node.bringup.topics import remappings

sys.path.append(str(Path(__file__).parents[1] / "unit"))
files = importlib.import_module("test_vm_policy_node_onnx_policy")

DRIVER = """
import json, os, signal, sys, time
from pathlib import Path
import rclpy
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from std_srvs.srv import Trigger
from unitree_hg.msg import LowCmd, LowState
from vm_msgs.msg import PolicyStatus
from vm_core import g1, unitree_cdr

rclpy.init()
node = rclpy.create_node("driver")
robots = [node.create_publisher(LowState, f"/{space}/lowstate", 1) for space in "ab"]
commands, status, report = {}, {"a": 0, "b": 0}, {}
for topic in ("/a/lowcmd", "/b/lowcmd", "/b/lowcmd_dry_run", "/lowcmd"):
    keep = lambda data, topic=topic: commands.setdefault(topic, []).append(time.monotonic())
    node.create_subscription(LowCmd, topic, keep, 50, raw=True)
for space in "ab":
    tell = lambda m, space=space: status.update({space: m.state})
    node.create_subscription(PolicyStatus, f"/{space}/policy_status", tell, 10)
state = unitree_cdr.new_low_state()
state["mode_machine"], state["imu"]["quaternion"][0] = 5, 1.0
unitree_cdr.set_motors(state, "q", g1.DEFAULT_STAND_POSE)
began = time.monotonic()

def publish():
    state["tick"] = 1 + int(1000 * (time.monotonic() - began))
    state["crc"] = unitree_cdr.low_state_crc(state)
    for robot in robots:
        robot.publish(state.tobytes())

node.create_timer(0.01, publish)

def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        rclpy.spin_once(node, timeout_sec=0.02)
    return False

def ask(kind, name, request):
    client = node.create_client(kind, name)
    assert client.wait_for_service(20.0), name
    future = client.call_async(request)
    assert until(future.done), name
    return future.result()

def stand(space):
    return until(lambda: ask(Trigger, f"/{space}/policy/stand", Trigger.Request()).success) and until(
        lambda: status[space] == 1
    )

def change(name, value):
    kind = ParameterType.PARAMETER_STRING if isinstance(value, str) else ParameterType.PARAMETER_DOUBLE
    held = ParameterValue(type=kind, **{"string_value" if isinstance(value, str) else "double_value": value})
    request = SetParameters.Request(parameters=[Parameter(name=name, value=held)])
    answer = ask(SetParameters, "/a/vm_policy_node/set_parameters", request).results[0]
    return [answer.successful, answer.reason]

report["set"] = change("max_tilt_rad", 0.6)
got = ask(GetParameters, "/a/vm_policy_node/get_parameters", GetParameters.Request(names=["max_tilt_rad"]))
report["got"] = got.values[0].double_value
report["out of range"] = change("max_tilt_rad", 9.0)
report["read-only"] = change("policy", "/etc/passwd")
report["stood"] = [stand("a"), stand("b")]
report["set while standing"] = change("max_tilt_rad", 0.7)
until(lambda: len(commands.get("/b/lowcmd_dry_run", [])) > 20 and len(commands.get("/a/lowcmd", [])) > 20)
report["heard"] = {topic: len(times) for topic, times in commands.items()}
ask(Trigger, "/b/policy/damp", Trigger.Request())
until(lambda: status["b"] == 3)
until(lambda: False, 0.3)
report["after damping b"] = dict(status)
pid = sys.argv[1]
children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
killed = time.monotonic()
for one in (pid, *children):
    os.kill(int(one), signal.SIGKILL)
until(lambda: False, 1.0)
report["children"] = len(children)
report["last after kill"] = commands["/a/lowcmd"][-1] - killed
report["b lives"] = ask(Trigger, "/b/policy/release", Trigger.Request()).success
print("REPORT " + json.dumps(report))
"""
PATIENT = {"state_timeout_s": 0.5, "late_cycle_s": 0.5, "late_share": 1.0, "state_lag_s": 5.0}
"""For a machine that others share."""


@pytest.fixture(scope="module")
def report(module_domain: int, tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("two")
    try:
        env = ros_environment.ros_environment()
    except VmError as error:
        pytest.skip(str(error))
    env |= {"ROS_DOMAIN_ID": str(module_domain), "OMP_NUM_THREADS": "1", "ROS_HOME": str(folder)}
    moved = [g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]
    policy = files.write(folder / "p.onnx", files.contract(default_joint_pos=tuple(g1.DEFAULT_STAND_POSE[moved])))
    processes = []
    for space, dry in (("a", False), ("b", True)):
        node = NodeSpec(
            "vm_policy_node",
            "vm_policy_node",
            "vm-policy-node",
            {"policy": str(policy), "dry_run": dry} | PATIENT,
            namespace=space,
        )
        node = replace(node, remappings=remappings(space, sim=True))
        pipe = subprocess.PIPE
        processes.append(
            subprocess.Popen(node_command(node), env=env, stdout=pipe, stderr=subprocess.STDOUT, text=True)
        )
    try:
        driver = subprocess.run(
            [sys.executable, "-c", DRIVER, str(processes[0].pid)], env=env, capture_output=True, text=True, timeout=120
        )
    finally:
        outputs = []
        for process in processes:
            process.send_signal(signal.SIGINT)
            outputs.append(process.communicate(timeout=20)[0])
    lines = [line for line in driver.stdout.splitlines() if line.startswith("REPORT ")]
    assert lines, driver.stderr + "".join(outputs)
    print(lines[0])
    return json.loads(lines[0][7:])


def test_limits_change_while_idle_within_their_range_and_nothing_else_does(report):
    assert report["set"] == [True, ""] and report["got"] == pytest.approx(0.6)
    assert not report["out of range"][0]
    assert not report["read-only"][0]
    assert report["set while standing"] == [False, "limits change in IDLE only"]


def test_a_dry_run_commands_a_shadow(report):
    assert report["stood"] == [True, True]
    assert report["heard"]["/b/lowcmd_dry_run"] > 20
    assert "/b/lowcmd" not in report["heard"] and "/lowcmd" not in report["heard"]


def test_one_robot_damps_alone(report):
    assert report["after damping b"] == {"a": 1, "b": 3}


def test_commands_end_with_the_node_and_its_stream(report):
    """What is left is the robot's own timeout."""
    assert report["children"] == 1
    assert report["last after kill"] < 0.2
    assert report["b lives"]
