"""The policy node's parameters: default, meaning and range of each; safety's come from its limits."""

from __future__ import annotations

from dataclasses import dataclass

from vm_policy_node.safety import SafetyLimits

Value = str | float | int | bool | list[int]


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
        default: its value if none is given; its type is the parameter's.
        text: what it is for, with the unit.
        low, high: range of a number.
        changeable: may be set while the node runs, if the robot is idle.
    """

    default: Value
    text: str
    low: float | None = None
    high: float | None = None
    changeable: bool = False


def _number(default: float, low: float, high: float, text: str) -> Parameter:
    return Parameter(default, text, low, high)


_NODE: dict[str, Parameter] = {
    "policy": Parameter("", "path of the policy's ONNX file, or folder of a visual policy's generator and tracker"),
    "second_policy": Parameter("", "path of a policy to switch to while running, by /policy/switch or the remote's Y"),
    "reference": Parameter("", "path of a clip (.npz) that the policy follows in place of the one in its file"),
    "lowstate_topic": Parameter("/lowstate", "unitree_hg/LowState in"),
    "lowcmd_topic": Parameter("/lowcmd", "unitree_hg/LowCmd out"),
    "depth_topic": Parameter("/camera/depth/image_rect_raw", "sensor_msgs/Image of the depth camera in"),
    "depth_info_topic": Parameter("/camera/depth/camera_info", "sensor_msgs/CameraInfo of the depth camera in"),
    "grid_topic": Parameter("/height_grid", "vm_msgs/HeightGrid in"),
    "odometry_topic": Parameter("/ground_truth/odometry", "nav_msgs/Odometry of the pelvis in"),
    "cmd_vel_topic": Parameter("/cmd_vel", "geometry_msgs/Twist in"),
    "path_topic": Parameter("/path", "nav_msgs/Path in the odometry's frame, walked when nobody steers"),
    "root_command_topic": Parameter("/root_command", "vm_msgs/RootCommand out: what the policy is asked, and by whom"),
    "estop_topic": Parameter("/estop", "std_msgs/Bool in: true stops, and keeps a release from being taken"),
    "bms_topic": Parameter("/lf/bmsstate", "unitree_hg/BmsState in: the battery's charge, where it is published"),
    "report": Parameter("", "JSON file to write when the node ends"),
    "auto_stand": Parameter(False, "stand as soon as nothing trips; for simulation"),
    "auto_run": Parameter(False, "run as soon as the start pose is reached; for simulation"),
    "auto_task": Parameter(False, "begin a visual policy's task two seconds after it runs; for simulation"),
    "dry_run": Parameter(False, "compute everything, send commands to <lowcmd_topic>_dry_run"),
    "echo_tick": Parameter(False, "write the state's tick into LowCmd.reserve[0]"),
    "align_reference": Parameter(False, "start the reference clip where the robot stands"),
    "flight_recorder": Parameter(True, "keep the last 30 s in memory and write them at every trip"),
    "flight_folder": Parameter("", "folder of the flight recorder's files; empty: $ROS_HOME/flight_records"),
    "command_rate_hz": _number(500.0, 20.0, 1000.0, "rate at which the newest command is repeated to the robot [Hz]"),
    "stand_duration_s": _number(2.0, 0.2, 20.0, "time to the start pose [s]"),
    "switch_s": _number(0.5, 0.02, 10.0, "least time from one policy to the other [s]"),
    "object_lost_s": _number(5.0, 0.5, 600.0, "a visual policy stands still with nothing in view for so long [s]"),
    "damping_kd": _number(5.0, 0.5, 20.0, "velocity gain while damping [Nm s/rad]"),
    "estop_heartbeat_s": _number(
        0.0, 0.0, 10.0, "the e-stop engages if its topic is silent for so long [s]; 0: silence means nothing"
    ),
    "cmd_vel_timeout_s": _number(0.5, 0.05, 5.0, "oldest velocity command [s]"),
    "path_speed": _number(0.4, 0.05, 2.0, "speed along a path [m/s]"),
    "look_ahead_m": _number(0.5, 0.1, 3.0, "distance to the point of a path that is walked towards [m]"),
    "stick_deadzone": _number(0.05, 0.0, 0.9, "stick deflection that counts as centred"),
    "mode_machines": Parameter(
        list(SafetyLimits.mode_machines), "robot types (LowState.mode_machine) that may be driven"
    ),
    "ignored_motor_faults": Parameter(SafetyLimits.ignored_motor_faults, "bits of a motor's state that trip nothing"),
}
_FROM_CONTRACT = ("grid_timeout_s", "depth_timeout_s")
"""Limits that the policy's file sets."""
_FOR_THE_STREAM = ("late_cycle_s",)
"""Limits that the process of the command stream is told when it starts."""
LIMITS: dict[str, Parameter] = {
    name: Parameter(getattr(SafetyLimits, name), text, low, high, changeable=name not in _FOR_THE_STREAM)
    for name, (low, high, text) in SafetyLimits.describe().items()
    if name not in _FROM_CONTRACT
}
PARAMETERS: dict[str, Parameter] = _NODE | LIMITS
