"""From the node's parameter values to a controller, and back from changed values to limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vm_core.errors import VmError
from vm_core.file_access import allowed_path
from vm_core.motion_clip import MotionClip
from vm_policy_node.controller import Controller, ControllerConfig
from vm_policy_node.parameters import LIMITS
from vm_policy_node.root_command import CommandConfig
from vm_policy_node.safety import SafetyLimits
from vm_policy_node.visual.visual_policy import VisualPolicy, load_policy

_FILES = ("policy", "second_policy", "reference", "report", "flight_folder")
"""Parameters that name files and folders; all are read-only while the node runs."""


def make_controller(values: Mapping[str, Any]) -> Controller:
    """Loads what the parameters name and puts it together.

    Raises:
        VmError: no policy, a file that cannot be used, or a value out of its range.
    """
    if not values["policy"]:
        raise VmError("no policy: give `--ros-args -p policy:=FILE.onnx`")
    try:
        config = ControllerConfig(
            **{name: values[name] for name in ("stand_duration_s", "switch_s", "damping_kd", "object_lost_s")},
            **{name: values[name] for name in ("align_reference", "echo_tick")},
        )
        modes = tuple(int(mode) for mode in values["mode_machines"])
        limits = SafetyLimits(
            **{name: values[name] for name in LIMITS},
            mode_machines=modes,
            ignored_motor_faults=values["ignored_motor_faults"],
        )
        command = CommandConfig(
            deadzone=values["stick_deadzone"],
            timeout_s=values["cmd_vel_timeout_s"],
            **{name: values[name] for name in ("path_speed", "look_ahead_m")},
        )
    except ValueError as error:
        raise VmError(f"parameter {error}") from None
    for name in _FILES:
        if values[name]:
            allowed_path(values[name], f"parameter {name}:")
    policy = load_policy(values["policy"])
    if values["reference"]:
        if isinstance(policy, VisualPolicy):
            raise VmError(f"{policy.name} follows no clip; leave the reference away")
        policy = policy.following(MotionClip.load(values["reference"]))
    second = load_policy(values["second_policy"]) if values["second_policy"] else None
    return Controller(policy, config, limits, command, second)


def changed_limits(limits: SafetyLimits, values: Mapping[str, Any]) -> SafetyLimits:
    """The limits with some of them changed.

    Raises:
        ValueError: a name that is no limit, one that holds from the start on, or a value out of its range.
    """
    strangers = [name for name in values if name not in LIMITS or not LIMITS[name].changeable]
    if strangers:
        raise ValueError(f"{', '.join(strangers)}: cannot change while the node runs")
    return replace(limits, **values)
