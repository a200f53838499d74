"""A visual policy through the running nodes: a simulated D435i's pictures, the run bit by service, and bad pictures."""

import importlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from vm_core import ros_environment
from vm_core.errors import VmError
from vm_policy_node.bringup.nodes import NodeSpec
from vm_policy_node.bringup.processes import node_command

sys.path.append(str(Path(__file__).parents[1] / "unit"))
cases = importlib.import_module("visual_cases")

DRIVER = """
import json, sys, time
import rclpy
from rclpy.node import Node
from diagnostic_msgs.msg import DiagnosticArray
from std_srvs.srv import Trigger
from unitree_hg.msg import LowCmd
from vm_msgs.msg import PolicyStatus
from vm_core import unitree_cdr
from vm_sim.fault_node import play_fault

rclpy.init()
node = Node("driver")
status, task, seen, echoed, report = [(0, "")], [""], [""], set(), {}
def on_diagnostics(message):
    for one in message.status:
        if one.name == "vm_policy_node: control":
            values = {v.key: v.value for v in one.values}
            task[0], seen[0] = values.get("task", "?"), {k: v for k, v in values.items() if k.startswith("picture")}
node.create_subscription(LowCmd, "/lowcmd",
    lambda data: echoed.add(int(unitree_cdr.parse_low_cmd(data)["reserve"][1])), 50, raw=True)
node.create_subscription(PolicyStatus, "/policy_status", lambda m: status.append((m.state, m.cause)), 10)
node.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, 10)

def until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        rclpy.spin_once(node, timeout_sec=0.02)
    return False

clients = {}
def call(name):
    client = clients.setdefault(name, node.create_client(Trigger, name))
    assert client.wait_for_service(20.0), name
    future = client.call_async(Trigger.Request())
    rclpy.spin_until_future_complete(node, future, timeout_sec=10.0)
    return [future.result().success, future.result().message]

def in_state(number):
    return lambda: status[-1][0] == number

report["task before it runs"] = call("/policy/task")
# the gantry holds the robot for its first two seconds of standing: from a fault in them it can stand up again
for fault in sys.argv[1:3]:
    report["stood before " + fault] = until(lambda: call("/policy/stand")[0], 40.0) and until(in_state(1))
    play_fault(node, fault)
    report[fault] = [until(in_state(3), 8.0), status[-1][1]]
    play_fault(node, "")
    until(lambda: False, 0.5)
    until(lambda: call("/policy/release")[0])
report["stands"] = until(lambda: call("/policy/stand")[0], 40.0) and until(in_state(1))
report["runs"] = until(lambda: call("/policy/run")[0], 20.0) and until(in_state(2), 5.0)
report["task at first"] = until(lambda: task[0] == "off", 5.0)
report["task"] = call("/policy/task") + [until(lambda: task[0] == "on", 5.0)]
report["pause"] = call("/policy/pause") + [until(lambda: task[0] == "off", 5.0)]
call("/policy/task")
play_fault(node, "depth_empty")
report["lost"] = [until(lambda: task[0].startswith("off nothing in view"), 12.0), status[-1][0], task[0], seen[0]]
play_fault(node, "")
report["pictures echoed"] = len(echoed)
fault = sys.argv[3]
play_fault(node, fault)
report[fault] = [until(in_state(3), 8.0), status[-1][1], seen[0]]
print("REPORT " + json.dumps(report))
"""
FAULTS = {
    "depth_silent": "stale depth",
    "depth_wrong_encoding": "depth: pictures come as 'rgb8'",
    "depth_upside_down": "depth: ",
}

SESSIONS = 3


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
    """One session with everything in it, because processes take long to start.

    The robot balances in real time: where the machine is held up it falls, which says nothing about pictures, and the
    session is played again.
    """
    tracker = cases.tracker_bytes(scale=0.0)
    generator = cases.generator_bytes(tracker, depth=replace(cases.SPEC, max_age_s=1.0))  # a shared machine
    policy = cases.write_bundle(tmp_path_factory.mktemp("visual") / "push", tracker, generator)
    patient = {"state_timeout_s": 0.5, "late_cycle_s": 0.5, "late_share": 1.0, "state_lag_s": 5.0}
    node = NodeSpec(
        "vm_policy_node", "vm_policy_node", "vm-policy-node", {"policy": str(policy), "echo_tick": True} | patient
    )
    for _ in range(SESSIONS):
        told = _session(node, environment)
        if told["runs"] and "tilt" not in json.dumps(told):
            break
    return told


def _session(node: NodeSpec, environment: dict[str, str]) -> dict:
    sim = NodeSpec("vm_sim", "vm_sim", "vm-sim", {"object": "kick_ball"})  # much floor to be seen
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen(node_command(spec), env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True)
        for spec in (sim, node)
    ]
    try:
        command = [sys.executable, "-c", DRIVER, *FAULTS]
        driver = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)
    finally:
        outputs = []
        for process in reversed(processes):
            process.send_signal(signal.SIGINT)
            outputs.append(process.communicate(timeout=20)[0])
    lines = [line for line in driver.stdout.splitlines() if line.startswith("REPORT ")]
    assert lines, driver.stderr + "".join(outputs)
    print(lines[0], "".join(outputs))
    return json.loads(lines[0][7:])


def test_it_stands_by_what_the_tracker_says_and_the_run_bit_is_an_operator_s(report):
    assert report["stands"] and report["runs"]
    assert not report["task before it runs"][0]
    assert report["task at first"]
    assert report["task"] == [True, "doing the task", True]
    assert report["pause"] == [True, "standing still", True]
    assert report["pictures echoed"] > 30  # commands come from pictures, each from its own


def test_an_object_out_of_view_makes_it_stand_still(report):
    seen, state, *said = report["lost"]
    assert seen and state == 2, said


@pytest.mark.parametrize(("fault", "cause"), FAULTS.items())
def test_bad_pictures_damp_standing_and_running(report, fault, cause):
    assert report.get(f"stood before {fault}", True)
    assert report[fault][0] and report[fault][1].startswith(cause), report[fault]


def test_a_folder_whose_halves_disagree_does_not_start(environment, tmp_path):
    mixed = cases.write_bundle(
        tmp_path / "mixed", cases.tracker_bytes(0.0), cases.generator_bytes(cases.tracker_bytes())
    )
    command = node_command(NodeSpec("vm_policy_node", "vm_policy_node", "vm-policy-node", {"policy": str(mixed)}))
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2 and "the two halves disagree" in ended.stderr


def test_bringup_takes_a_task_and_names_one_that_has_no_policy(environment):
    command = [str(Path(sys.executable).parent / "vm-bringup"), "sim", "--task", "tidy_up"]
    ended = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2 and "no policy for the task 'tidy_up'" in ended.stderr
