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
import sys, time, rclpy
from std_msgs.msg import String
rclpy.init()
node, heard = rclpy.create_node(sys.argv[1]), []
out = node.create_publisher(String, sys.argv[1], 1)
node.create_subscription(String, sys.argv[2], heard.append, 1)
end = time.monotonic() + 15
after = 5
while time.monotonic() < end and after:
    out.publish(String(data="x" * 100_000))
    rclpy.spin_once(node, timeout_sec=0.1)
    after -= bool(heard)  # the other one has to hear us, too
print("HEARD", len(heard[0].data) if heard else 0)
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
    other = subprocess.Popen([*command, "b", "a"], env=env, stdout=subprocess.PIPE, text=True)
    heard = subprocess.run([*command, "a", "b"], env=env, capture_output=True, text=True, timeout=60)
    said, _ = other.communicate(timeout=60)
    assert (heard.stdout, said) == ("HEARD 100000\n", "HEARD 100000\n"), heard.stderr
    assert "deprecated" not in heard.stderr
