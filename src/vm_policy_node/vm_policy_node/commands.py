"""The console commands that are ROS nodes; each finds the ROS environment by itself."""

from functools import partial

from vm_core.ros_environment import run_in_ros

policy_node = partial(run_in_ros, "vm_policy_node.policy_node")
teleop = partial(run_in_ros, "vm_policy_node.keyboard_teleop_node")
motion_mode = partial(run_in_ros, "vm_policy_node.motion_mode_node")
supervisor = partial(run_in_ros, "vm_policy_node.bringup.supervisor_node")
record = partial(run_in_ros, "vm_policy_node.viewing.record_node")
foxglove = partial(run_in_ros, "vm_policy_node.viewing.foxglove_node")
