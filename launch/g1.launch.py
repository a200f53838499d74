"""`ros2 launch vm_policy_node g1.launch.py sim:=true policy:=FILE`: the list of vm_policy_node.bringup.nodes.

`ros2 launch vm_policy_node g1.launch.py --show-args` lists the arguments; they are the fields of `System`.
"""

import contextlib
import tempfile
from dataclasses import fields
from pathlib import Path

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription
from vm_policy_node.bringup.cores import place, shared_cores
from vm_policy_node.bringup.network import dds_environment
from vm_policy_node.bringup.nodes import node_list
from vm_policy_node.bringup.processes import goes_on
from vm_policy_node.bringup.start import completed
from vm_policy_node.bringup.system import System, option_help, system_from_text

FOLDER = Path(__file__).resolve().parent
HELD = contextlib.ExitStack()  # until this process ends


def _nodes(context):
    given = {item.name: LaunchConfiguration(item.name).perform(context) for item in fields(System)}
    folder = Path(tempfile.mkdtemp(prefix="vm-launch-"))
    system = completed(system_from_text(given), folder)
    variables = dds_environment(system.network_interface, folder, FOLDER)
    specs = node_list(system, str(FOLDER))
    cores = HELD.enter_context(shared_cores(specs))
    return [
        *(SetEnvironmentVariable(name, value) for name, value in variables.items()),
        *(action for spec in specs for action in _node(spec, cores)),
    ]


def _node(spec, cores):
    node = Node(
        package=spec.package,
        executable=spec.executable,
        name=spec.name,
        namespace=spec.namespace,
        arguments=list(spec.arguments),
        remappings=list(spec.remappings.items()),
        parameters=[*([spec.params_file] if spec.params_file else []), _typed(spec.parameters)],
        output="screen",
        emulate_tty=True,
    )

    def ended(event, context):
        if context.is_shutdown:
            return None
        if goes_on(spec, event.returncode):
            return [LogInfo(msg=f"{spec.name} ended with exit code {event.returncode}; the others go on")]
        reason = f"{spec.name} ended with exit code {event.returncode}; ending the others"
        return [LogInfo(msg=reason), EmitEvent(event=Shutdown(reason=reason))]

    return (
        node,
        RegisterEventHandler(
            OnProcessStart(target_action=node, on_start=lambda event, _: place(event.pid, spec, cores))
        ),
        RegisterEventHandler(OnProcessExit(target_action=node, on_exit=ended)),
    )


def _typed(parameters):
    """Keeps texts what they are: launch would read "1.0" as a number."""
    return {name: ParameterValue(value, value_type=type(value)) for name, value in parameters.items()}


def generate_launch_description():
    """Declares the arguments and starts the list; the end of one node ends all."""
    texts = option_help()
    declared = [
        DeclareLaunchArgument(item.name, default_value=_default(item), description=texts[item.name])
        for item in fields(System)
    ]
    # with one thread a library leaves the cores to the other nodes
    return LaunchDescription(
        [*declared, SetEnvironmentVariable("OMP_NUM_THREADS", "1"), OpaqueFunction(function=_nodes)]
    )


def _default(item):
    if item.name == "sim":
        return "false"  # here: a robot, unless told otherwise
    return "" if item.name == "policy" else str(item.default).lower()
