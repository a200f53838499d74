"""The velocity that the operator wants: sticks before cmd_vel before a path, limited, timed out and smoothed."""

from vm_policy_node.root_command.arbitration import RootCommandMixer
from vm_policy_node.root_command.config import CommandConfig
from vm_policy_node.root_command.path_follower import PathFollower
from vm_policy_node.root_command.path_message import MAX_POINTS, PathMessage, read_path
from vm_policy_node.root_command.sticks import scale_to_range, with_deadzone

__all__ = [
    "MAX_POINTS",
    "CommandConfig",
    "PathFollower",
    "PathMessage",
    "RootCommandMixer",
    "read_path",
    "scale_to_range",
    "with_deadzone",
]
