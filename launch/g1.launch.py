"""`ros2 launch vm_policy_node g1.launch.py sim:=true policy:=FILE`: the list of vm_policy_node.bringup.nodes."""

from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription
from vm_policy_node.bringup.nodes import System, node_list

ARGUMENTS = {
    "sim": ("false", "simulate the robot instead of using its drivers"),
    "policy": ("", "policy file (.onnx with its contract)"),
    "scene": ("", "scene folder for the simulator"),
    "start": ("", "clip whose first frame the simulated robot starts in"),
    "record": ("", "mp4 that the simulator writes"),
    "report": ("", "JSON that the policy node writes when it ends"),
    "duration_s": ("0.0", "simulated time after which all ends; 0: never"),
    "auto": ("true", "in simulation: stand and run without an operator"),
    "odometry_topic": ("/ground_truth/odometry", "nav_msgs/Odometry of the pelvis"),
}


def _nodes(context):
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    flags = {name: given.pop(name).lower() == "true" for name in ("sim", "auto")}
    actions = []
    for spec in node_list(System(duration_s=float(given.pop("duration_s")), **flags, **given)):
        node = Node(
            package=spec.package,
            executable=spec.executable,
            name=spec.name,
            parameters=[spec.parameters],
            output="screen",
        )
        over = EmitEvent(event=Shutdown(reason=f"{spec.name} ended"))
        actions += [node, RegisterEventHandler(OnProcessExit(target_action=node, on_exit=[over]))]
    return actions


def generate_launch_description():
    """Declares the arguments and starts the list; the end of one node ends all."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_nodes)])
