"""Who steers, over DDS: a path, cmd_vel before it; no start while a controller of the robot's own is active."""

import importlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vm_core import g1, ros_environment
from vm_core.errors import VmError
from vm_policy_node.bringup.nodes import NodeSpec
from vm_policy_node.bringup.processes import node_command

sys.path.append(str(Path(__file__).parents[1] / "unit"))
files = importlib.import_module("test_vm_policy_node_onnx_policy")

DRIVER = """
import json, time
import rclpy
from geometry_msgs.msg import PoseStamped, Twist
from nav_msgs.msg import Odometry, Path
from std_srvs.srv import Trigger
from unitree_hg.msg import LowState
from vm_core import g1, unitree_cdr
from vm_core.motion_switcher import RELEASE_MODE, MotionSwitcher
from vm_msgs.msg import RootCommand
from vm_sim.motion_switcher_node import serve

rclpy.init()
node = rclpy.create_node("driver")
switcher, heard = MotionSwitcher("ai"), []
serve(node, switcher)
states = node.create_publisher(LowState, "/lowstate", 1)
poses = node.create_publisher(Odometry, "/ground_truth/odometry", 1)
paths = node.create_publisher(Path, "/path", 1)
twists = node.create_publisher(Twist, "/cmd_vel", 1)
node.create_subscription(RootCommand, "/root_command", lambda m: heard.append([m.source, m.vx, m.yaw_rate]), 10)
clients = {name: node.create_client(Trigger, f"/policy/{name}") for name in ("stand", "run")}
assert clients["run"].wait_for_service(20.0)
began = time.monotonic()
pose = Odometry()
pose.header.frame_id, pose.child_frame_id, pose.pose.pose.orientation.w = "map", "pelvis", 1.0

def publish():
    state = unitree_cdr.new_low_state()
    state["tick"], state["mode_machine"] = 1 + int(1000 * (time.monotonic() - began)), 5
    state["imu"]["quaternion"][0] = 1.0
    unitree_cdr.set_motors(state, "q", g1.DEFAULT_STAND_POSE)
    state["crc"] = unitree_cdr.low_state_crc(state)
    states.publish(state.tobytes())
    poses.publish(pose)

node.create_timer(0.01, publish)

def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=0.05)

def call(name):
    future = clients[name].call_async(Trigger.Request())
    rclpy.spin_until_future_complete(node, future, timeout_sec=5.0)
    return [future.result().success, future.result().message]

def call_until(name, done):
    for _ in range(40):
        answer = call(name)
        if done(answer):
            break
        spin(0.25)
    return answer

def send_path(frame):
    path = Path()
    path.header.frame_id = frame
    for k in range(5):
        step = PoseStamped()
        step.pose.position.x, step.pose.position.y = 0.5 * k, 0.2 * k
        step.pose.orientation.w = 1.0
        path.poses.append(step)
    paths.publish(path)

report = {"vendor": call_until("stand", lambda answer: "'ai'" in answer[1])}
switcher.answer(RELEASE_MODE, "{}")
report["stand"] = call_until("stand", lambda answer: answer[0])
report["run"] = call_until("run", lambda answer: answer[0])
send_path("odom")
spin(0.7)
report["foreign"] = heard[-1]
send_path("map")
spin(1.0)
report["path"] = heard[-1]
for _ in range(20):
    message = Twist()
    message.linear.x = -0.2
    twists.publish(message)
    spin(0.05)
report["cmd_vel"] = heard[-1]
pose.header.frame_id = "map"
send_path("map")
paths.publish(Path())
spin(2.5)
report["end"] = heard[-1]
print("REPORT " + json.dumps(report))
"""


@pytest.fixture
def environment(ros_domain: int, tmp_path: Path) -> dict[str, str]:
    try:
        env = ros_environment.ros_environment()
    except VmError as error:
        pytest.skip(str(error))
    if subprocess.run([sys.executable, "-c", "import vm_msgs.msg, unitree_api.msg"], env=env).returncode:
        pytest.skip("the built messages do not import")
    return env | {"ROS_DOMAIN_ID": str(ros_domain), "OMP_NUM_THREADS": "1", "ROS_HOME": str(tmp_path / "ros")}


def test_path_cmd_vel_and_silence(environment, tmp_path):
    moved = [g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]
    policy = files.write(tmp_path / "p.onnx", files.contract(default_joint_pos=tuple(g1.DEFAULT_STAND_POSE[moved])))
    parameters = {
        "policy": str(policy),
        "stand_duration_s": 0.5,
        "state_timeout_s": 0.5,  # a shared machine may hold a process up
        "odometry_timeout_s": 1.0,
        "late_cycle_s": 0.5,
        "late_share": 1.0,
    }
    spec = NodeSpec("vm_policy_node", "vm_policy_node", "vm-policy-node", parameters)
    node = subprocess.Popen(
        node_command(spec), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        driver = subprocess.run(
            [sys.executable, "-c", DRIVER], env=environment, capture_output=True, text=True, timeout=90
        )
    finally:
        node.send_signal(signal.SIGINT)
        log, _ = node.communicate(timeout=20)
    lines = [line for line in driver.stdout.splitlines() if line.startswith("REPORT ")]
    assert lines, driver.stderr + log
    report = json.loads(lines[0][7:])
    assert not report["vendor"][0] and "the robot's own controller 'ai' is active" in report["vendor"][1]
    assert report["stand"][0] and report["run"][0], report
    assert report["foreign"] == ["none", 0.0, 0.0]
    assert "path in the frame 'odom'; the odometry's is 'map'" in log
    assert report["path"][0] == "path" and report["path"][1] > 0.2 and report["path"][2] > 0.02
    assert report["cmd_vel"][0] == "cmd_vel" and report["cmd_vel"][1] < 0.0
    assert report["end"] == ["none", 0.0, 0.0]
