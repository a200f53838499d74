"""SROS 2 policies of our nodes: who may publish, hear and call what, from the one list of topics.

`python -m vm_policy_node.bringup.enclaves > launch/security/policies.xml` writes the file that is shipped.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from vm_policy_node.bringup.topics import SERVICES, TOPICS

ROBOT, OPERATOR, VIEWER = "/videomimic/robot", "/videomimic/operator", "/videomimic/viewer"
_ODOMETRY = ("/odometry", "/ground_truth/odometry")
_CAMERA = ("/camera/depth/image_rect_raw", "/camera/depth/camera_info")
_MODE_QUESTION, _MODE_ANSWER = "/api/motion_switcher/request", "/api/motion_switcher/response"
_PARAMETERS = tuple(f"~/{verb}_parameters" for verb in ("describe", "get", "list", "set", "set_atomically")) + (
    "~/get_parameter_types",
    "~/get_type_description",
)
_LIFECYCLE = tuple(
    f"~/{name}"
    for name in (
        "change_state",
        "get_state",
        "get_available_states",
        "get_available_transitions",
        "get_transition_graph",
    )
)
_ALL = tuple(topic.name for topic in TOPICS)
_POLICY_SERVICES = tuple(service for service in SERVICES if service.startswith("/policy/"))


@dataclass(frozen=True)
class Profile:
    """What one node may do beside what every node may.

    Attributes:
        enclave: whose keys it holds.
        node: its name.
        hears: topics that it subscribes.
        says: topics that it publishes beside those that the list of topics gives it.
        answers: services that it offers.
        calls: services that it calls.
    """

    enclave: str
    node: str
    hears: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()


PROFILES = (
    Profile(
        ROBOT,
        "vm_policy_node",
        (
            "/lowstate",
            "/lf/bmsstate",
            *_ODOMETRY,
            "/height_grid",
            "/cmd_vel",
            "/path",
            "/estop",
            _MODE_ANSWER,
            *_CAMERA,
        ),
        says=(_MODE_QUESTION,),
        answers=_POLICY_SERVICES,
    ),
    Profile(ROBOT, "vm_command_stream"),
    Profile(
        ROBOT,
        "vm_heightmap",
        ("/lowstate", "/livox/lidar", "/livox/imu", *_ODOMETRY),
        says=("~/transition_event",),
        answers=_LIFECYCLE,
    ),
    Profile(
        ROBOT,
        "vm_robot_state",
        ("/lowstate", "/livox/lidar", "/policy_status", *_ODOMETRY),
    ),
    Profile(
        ROBOT,
        "vm_supervisor",
        _ALL,
        calls=("/vm_heightmap/change_state", "/vm_heightmap/get_state"),
    ),
    Profile(ROBOT, "vm_motion_mode", (_MODE_ANSWER,), says=(_MODE_QUESTION,)),
    Profile(OPERATOR, "vm_teleop", says=("/cmd_vel",), calls=_POLICY_SERVICES),
    Profile(OPERATOR, "operator", ("/policy_status", "/diagnostics"), says=("/estop", "/path"), calls=_POLICY_SERVICES),
    Profile(VIEWER, "vm_record", _ALL),
    Profile(VIEWER, "vm_foxglove", _ALL),
    Profile(VIEWER, "rviz", _ALL),
)
"""The simulator and its faults have none: a secured network has a robot."""


def policies_xml(profiles: tuple[Profile, ...] = PROFILES) -> str:
    """The policy file of `ros2 security create_enclave` / `create_permission`."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<!-- Made by: python -m vm_policy_node.bringup.enclaves > launch/security/policies.xml -->",
        '<policy version="0.2.0">',
        "  <enclaves>",
    ]
    for enclave in dict.fromkeys(profile.enclave for profile in profiles):
        lines += [f"    <enclave path={quoteattr(enclave)}>", "      <profiles>"]
        for profile in profiles:
            if profile.enclave == enclave:
                lines += _profile_lines(profile)
        lines += ["      </profiles>", "    </enclave>"]
    return "\n".join([*lines, "  </enclaves>", "</policy>", ""])


def _profile_lines(profile: Profile) -> list[str]:
    listed = [topic.name for topic in TOPICS if profile.node in topic.publisher.split(", ")]
    says = ("/rosout", "/parameter_events", *listed, *profile.says)
    hears = ("/parameter_events", "/clock", *profile.hears)
    return [
        f'        <profile ns="/" node={quoteattr(profile.node)}>',
        *_allowed("topics", "publish", "topic", says),
        *_allowed("topics", "subscribe", "topic", hears),
        *_allowed("services", "reply", "service", (*_PARAMETERS, *profile.answers)),
        *_allowed("services", "request", "service", profile.calls),
        "        </profile>",
    ]


def _allowed(group: str, action: str, item: str, names: tuple[str, ...]) -> list[str]:
    if not names:
        return []
    inside = [f"            <{item}>{name}</{item}>" for name in dict.fromkeys(names)]
    return [f'          <{group} {action}="ALLOW">', *inside, f"          </{group}>"]


if __name__ == "__main__":
    sys.stdout.write(policies_xml())
