"""The topics and services of the whole system, once: namespaces, recordings, viewers and the README read this."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """One topic as its publisher offers it.

    Attributes:
        name: default name.
        type: ROS type.
        publisher: node, or nodes with commas between them; empty: the operator's tools or the robot alone.
        depth: of the publisher's queue.
        latched: a late subscriber receives the last message (transient local); else volatile.
        hardware: the robot's own name, which a namespace moves in simulation only.
        record: whether a recording holds it.
    """

    name: str
    type: str
    publisher: str
    depth: int = 10
    latched: bool = False
    hardware: bool = False
    record: bool = True


TOPICS: tuple[Topic, ...] = (
    Topic("/lowstate", "unitree_hg/msg/LowState", "vm_sim", 1, hardware=True),
    Topic("/lowcmd", "unitree_hg/msg/LowCmd", "vm_command_stream", 1, hardware=True),
    Topic("/lowcmd_dry_run", "unitree_hg/msg/LowCmd", "vm_command_stream", 1),
    Topic("/lf/bmsstate", "unitree_hg/msg/BmsState", "", hardware=True),
    Topic("/livox/lidar", "livox_ros_driver2/msg/CustomMsg", "vm_sim", 5, hardware=True),
    Topic("/livox/imu", "sensor_msgs/msg/Imu", "vm_sim", 50, hardware=True),
    Topic("/camera/depth/image_rect_raw", "sensor_msgs/msg/Image", "vm_sim", 5, hardware=True, record=False),
    Topic("/camera/depth/camera_info", "sensor_msgs/msg/CameraInfo", "vm_sim", 5, hardware=True),
    Topic("/ground_truth/object", "nav_msgs/msg/Odometry", "vm_sim"),
    Topic("/ground_truth/object/marker", "visualization_msgs/msg/Marker", "vm_sim", 1, record=False),
    Topic("/ground_truth/odometry", "nav_msgs/msg/Odometry", "vm_sim"),
    Topic("/odometry", "nav_msgs/msg/Odometry", "vm_heightmap"),
    Topic("/height_grid", "vm_msgs/msg/HeightGrid", "vm_heightmap", 5),
    Topic("/height_grid/points", "sensor_msgs/msg/PointCloud2", "vm_heightmap", 1, record=False),
    Topic("/height_grid/markers", "visualization_msgs/msg/MarkerArray", "vm_heightmap", 1, record=False),
    *(
        Topic(f"/height_grid/{layer}", "nav_msgs/msg/OccupancyGrid", "vm_heightmap", 1, record=False)
        for layer in ("map", "map_std", "map_age", "map_source")
    ),
    Topic("/api/motion_switcher/request", "unitree_api/msg/Request", "", hardware=True),
    Topic("/api/motion_switcher/response", "unitree_api/msg/Response", "vm_sim", hardware=True),
    Topic("/cmd_vel", "geometry_msgs/msg/Twist", ""),
    Topic("/estop", "std_msgs/msg/Bool", ""),
    Topic("/path", "nav_msgs/msg/Path", ""),
    Topic("/root_command", "vm_msgs/msg/RootCommand", "vm_policy_node", 1),
    Topic("/policy_status", "vm_msgs/msg/PolicyStatus", "vm_policy_node"),
    Topic("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", "vm_sim, vm_heightmap, vm_policy_node"),
    Topic("/joint_states", "sensor_msgs/msg/JointState", "vm_robot_state"),
    Topic("/tf", "tf2_msgs/msg/TFMessage", "vm_robot_state, vm_heightmap", 20),
    Topic("/tf_static", "tf2_msgs/msg/TFMessage", "vm_robot_state", 1, latched=True),
    Topic("/robot_description", "std_msgs/msg/String", "vm_robot_state", 1, latched=True),
    Topic("/view/cloud", "sensor_msgs/msg/PointCloud2", "vm_robot_state", 2, record=False),
    Topic("/view/policy", "visualization_msgs/msg/MarkerArray", "vm_robot_state", 1, record=False),
)

SERVICES: tuple[str, ...] = (
    *(f"/policy/{name}" for name in ("stand", "run", "damp", "release", "switch", "estop", "record", "task", "pause")),
    "/gantry/release",
    "/fault/clear",
)
"""All std_srvs/Trigger."""


def remappings(namespace: str, sim: bool) -> dict[str, str]:
    """What puts every topic and service under a namespace; a real robot's own topics keep their names."""
    if not namespace:
        return {}
    names = [topic.name for topic in TOPICS if sim or not topic.hardware]
    return {name: f"/{namespace}{name}" for name in (*names, *SERVICES)}


def markdown_table() -> str:
    """The table of topics in launch/README.md, which a test holds against this one."""
    rows = ["| topic | type | published by | quality |", "|---|---|---|---|"]
    for topic in TOPICS:
        kind = topic.type.replace("/msg/", "/")
        kept = "reliable, latched" if topic.latched else "reliable"
        who = topic.publisher or ("the robot" if topic.hardware else "operator's tools")
        rows.append(
            f"| `{topic.name}`{' ʰ' if topic.hardware else ''} | {kind} | {who} | {kept}, keep last {topic.depth} |"
        )
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(markdown_table(), end="")
