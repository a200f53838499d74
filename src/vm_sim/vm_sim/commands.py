"""The console commands that are ROS nodes; each finds the ROS environment by itself."""

from functools import partial

from vm_core.ros_environment import run_in_ros

sim = partial(run_in_ros, "vm_sim.robot_node")
fault = partial(run_in_ros, "vm_sim.fault_node")
robot_state = partial(run_in_ros, "vm_sim.robot_state_node")
view_robot = partial(run_in_ros, "vm_sim.live_view_node")
