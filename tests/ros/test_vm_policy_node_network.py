"""Two processes on one machine hear each other under the profile that the starters set for a robot's interface."""

import socket
import subprocess
import sys

import pytest

from vm_core import ros_environment
from vm_core.errors import VmError
from vm_policy_node.bringup.network import dds_environment, interface_address
from vm_policy_node.bringup.start import launch_folder

TALK = """
import sys, threading, time, rclpy
from std_msgs.msg import String
rclpy.init()
node, heard = rclpy.create_node(sys.argv[1]), []
out = node.create_publisher(String, sys.argv[1], 1)
node.create_subscription(String, sys.argv[2], heard.append, 1)
end = time.monotonic() + 60
while not heard and time.monotonic() < end:
    out.publish(String(data="x" * 100_000))
    rclpy.spin_once(node, timeout_sec=0.1)
print("HEARD", len(heard[0].data) if heard else 0, flush=True)
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
while not over.is_set():  # the other one has to hear us, too
    out.publish(String(data="x" * 100_000))
    rclpy.spin_once(node, timeout_sec=0.1)
"""


def interfaces() -> list[str]:
    found = [""]
    for _, name in socket.if_nameindex():
        try:
            found += [name] if not interface_address(name).startswith("127.") else []
        except VmError:
            continue
    return found[:2]


@pytest.mark.parametrize("interface", interfaces())
def test_messages_pass(interface, ros_domain, tmp_path):
    try:
        env = ros_environment.ros_environment() | {"ROS_DOMAIN_ID": str(ros_domain)}
    except VmError as error:
        pytest.skip(str(error))
    env |= dds_environment(interface, tmp_path, launch_folder())
    command = [sys.executable, "-c", TALK]
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    two = [subprocess.Popen([*command, *names], env=env, **pipe) for names in (("a", "b"), ("b", "a"))]
    try:
        said = [one.stdout.readline() for one in two]
    finally:
        complaints = [one.communicate(timeout=60)[1] for one in two]
    assert said == ["HEARD 100000\n"] * 2, complaints
    assert "deprecated" not in "".join(complaints)
