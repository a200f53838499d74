"""`vm-robot-state` as a process: what RViz and Foxglove would receive from it, in a namespace and without one."""

import json
import subprocess
import sys

import pytest

from vm_core import ros_environment
from vm_core.errors import VmError
from vm_policy_node.bringup.nodes import NodeSpec
from vm_policy_node.bringup.processes import node_command

VIEWER = """
import json, sys, time
import numpy as np, rclpy
from livox_ros_driver2.msg import CustomMsg
from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState, PointCloud2
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage
from unitree_hg.msg import LowState
from visualization_msgs.msg import MarkerArray
from vm_core import g1, livox_cdr, unitree_cdr
from vm_msgs.msg import PolicyStatus

rclpy.init()
node = rclpy.create_node("viewer")
seen = {name: [] for name in ("joints", "tf", "tf_static", "description", "cloud", "markers")}
kept = QoSProfile(depth=5, durability=DurabilityPolicy.TRANSIENT_LOCAL)
for name, kind, topic, qos in (
    ("joints", JointState, "/joint_states", 5),
    ("tf", TFMessage, "/tf", 20), ("tf_static", TFMessage, "/tf_static", kept),
    ("description", String, "/robot_description", kept), ("cloud", PointCloud2, "/view/cloud", 2),
    ("markers", MarkerArray, "/view/policy", 2),
):
    node.create_subscription(kind, topic, seen[name].append, qos)
state = unitree_cdr.new_low_state()
angles = np.linspace(-0.2, 0.2, 29).astype(np.float32)
unitree_cdr.set_motors(state, "q", angles)
odometry, status = Odometry(), PolicyStatus(state=2, command=[0.5, 0.0, 0.3])
odometry.header.frame_id, odometry.child_frame_id = "map", "pelvis"
odometry.pose.pose.position.x = 1.5
points = np.zeros(3, dtype=livox_cdr.POINT)
points["x"][:2], points["reflectivity"][:2] = (1.0, 2.0), (10, 200)
scan = livox_cdr.encode_custom_msg(livox_cdr.LivoxScan(5_000_000_007, "livox_frame", 0, points))
publishers = [
    (node.create_publisher(LowState, "/lowstate", 1), lambda: state.tobytes()),
    (node.create_publisher(Odometry, "/ground_truth/odometry", 1), lambda: odometry),
    (node.create_publisher(CustomMsg, "/livox/lidar", 1), lambda: scan),
    (node.create_publisher(PolicyStatus, "/policy_status", 1), lambda: status),
]
def told():
    moved = {t.child_frame_id for m in seen["tf"] for t in m.transforms}
    return all(seen.values()) and {"pelvis", "left_wrist_yaw_link"} <= moved

end = time.monotonic() + 90.0
while not told() and time.monotonic() < end:
    for publisher, message in publishers:
        publisher.publish(message())
    due = time.monotonic() + 0.02
    while time.monotonic() < due:
        rclpy.spin_once(node, timeout_sec=0.01)
frames = {t.child_frame_id: t for m in seen["tf"] + seen["tf_static"] for t in m.transforms}
cloud = seen["cloud"][-1]
print("REPORT " + json.dumps({
    "missing": [name for name, messages in seen.items() if not messages],
    "parents": {name: t.header.frame_id for name, t in frames.items()},
    "base_x": frames["pelvis"].transform.translation.x,
    "names": list(seen["joints"][-1].name) == list(g1.MOTOR_NAMES),
    "angles": float(np.abs(np.array(seen["joints"][-1].position) - angles).max()),
    "description": seen["description"][-1].data[:40],
    "cloud": [cloud.width, cloud.header.frame_id, cloud.header.stamp.nanosec],
    "intensity": np.frombuffer(cloud.data, "<f4").reshape(-1, 4)[:, 3].tolist(),
    "text": seen["markers"][-1].markers[0].text,
}))
"""


@pytest.fixture
def environment(ros_domain: int) -> dict[str, str]:
    try:
        env = ros_environment.ros_environment()
    except VmError as error:
        pytest.skip(str(error))
    return env | {"ROS_DOMAIN_ID": str(ros_domain), "OMP_NUM_THREADS": "1"}


def test_all_that_a_viewer_needs(environment):
    node = subprocess.Popen(node_command(NodeSpec("vm_robot_state", "vm_sim", "vm-robot-state")), env=environment)
    try:
        viewer = subprocess.run(
            [sys.executable, "-c", VIEWER], env=environment, capture_output=True, text=True, timeout=150
        )
    finally:
        node.terminate()
        node.wait(60)
    lines = [line for line in viewer.stdout.splitlines() if line.startswith("REPORT ")]
    assert lines, viewer.stderr
    report = json.loads(lines[0][7:])
    assert report["missing"] == []
    parents = report["parents"]
    assert len(parents) == 29 + 3  # links; odom, pelvis and the LiDAR
    assert (parents["odom"], parents["pelvis"], parents["livox_frame"]) == ("map", "odom", "torso_link")
    chain, link = [], "left_wrist_yaw_link"
    while link != "map":
        link = parents[link]
        chain.append(link)
    assert chain[-3:] == ["pelvis", "odom", "map"]
    assert report["base_x"] == 1.5
    assert report["names"] and report["angles"] < 1e-6
    assert report["description"].startswith('<robot name="g1">')
    assert report["cloud"] == [2, "livox_frame", 7]  # the third direction returned nothing
    assert report["intensity"] == [10.0, 200.0]
    assert report["text"] == "RUNNING  +0.50 +0.00 m/s +0.30 rad/s"


def test_a_rate_out_of_range_is_refused(environment):
    command = node_command(NodeSpec("vm_robot_state", "vm_sim", "vm-robot-state", {"rate_hz": 1000.0}))
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90)
    assert ended.returncode == 2
    assert "error: " in ended.stderr and "rate_hz" in ended.stderr
