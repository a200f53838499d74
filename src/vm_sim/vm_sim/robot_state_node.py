"""`vm-robot-state`: what viewers need of the robot, from its own topics.

TF (map → odom → pelvis → links), joint states, the description, the scan as a cloud, command and state as markers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import rclpy
from livox_ros_driver2.msg import CustomMsg
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState, PointCloud2
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage
from unitree_hg.msg import LowState
from visualization_msgs.msg import MarkerArray

from vm_core import g1, node_process
from vm_core.errors import VmError
from vm_core.g1_files import MESH_URI
from vm_core.livox_cdr import decode_custom_msg
from vm_core.polled_topics import NoExecutor, PolledTopic
from vm_core.ros_parameters import declare_parameter
from vm_core.unitree_cdr import parse_low_state
from vm_msgs.msg import PolicyStatus
from vm_sim import ros_conversions
from vm_sim.robot_description import LIDAR_FRAME, robot_description

PARAMETERS: dict[str, tuple[Any, str]] = {
    "lowstate_topic": ("/lowstate", "unitree_hg/LowState in"),
    "odometry_topic": ("/ground_truth/odometry", "nav_msgs/Odometry of the pelvis in"),
    "publish_base": (True, "publish map → odom → pelvis from the odometry; off where the odometry's source does"),
    "lidar_topic": ("/livox/lidar", "livox_ros_driver2/CustomMsg in, for the cloud"),
    "status_topic": ("/policy_status", "vm_msgs/PolicyStatus in, for the markers"),
    "rate_hz": (30.0, "rate of joint states and transforms [Hz]"),
    "map_frame": ("map", "fixed frame"),
    "odom_frame": ("odom", "frame between it and the pelvis"),
    "mesh_uri": (MESH_URI, "what stands before /NAME.STL in the description"),
}
_RANGES = {"rate_hz": (1.0, 200.0)}
_MARKER_PERIOD_S, _VIEWER_CHECK_S = 0.1, 0.5


class RobotStateNode(Node):
    """Keeps the newest state and publishes it at a rate that a viewer can use."""

    def __init__(self) -> None:
        super().__init__("vm_robot_state")
        for name, (default, description) in PARAMETERS.items():
            descriptor = ParameterDescriptor(description=description, read_only=True)
            if name in _RANGES:
                low, high = _RANGES[name]
                descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
            declare_parameter(self, name, default, descriptor)
        self._state: bytes | None = None
        self._odometry: Odometry | None = None
        self._status: PolicyStatus | None = None
        self._scans: Any = None
        self._group = NoExecutor()
        self._links = ros_conversions.link_transforms()
        description = String(data=robot_description(self._get("mesh_uri")))
        self._make_topics()
        self._description.publish(description)
        self._fixed.publish(TFMessage(transforms=self._fixed_transforms()))
        self.get_logger().info(f"{g1.NUM_MOTORS} joints at {self._get('rate_hz'):.0f} Hz")

    def _get(self, name: str):
        return self.get_parameter(name).value

    def _make_topics(self) -> None:
        newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        kept = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._polled = [
            self._poll(LowState, "lowstate_topic", self._on_low_state, newest, raw=True),
            self._poll(PolicyStatus, "status_topic", self._on_status, newest),
        ]
        if self._get("publish_base"):
            self._polled.append(self._poll(Odometry, "odometry_topic", self._on_odometry, newest))
        self._joints = self.create_publisher(JointState, "/joint_states", 10)
        self._transforms = self.create_publisher(TFMessage, "/tf", 20)
        self._fixed = self.create_publisher(TFMessage, "/tf_static", kept)
        self._description = self.create_publisher(String, "/robot_description", kept)
        self._cloud = self.create_publisher(PointCloud2, "/view/cloud", 2)
        self._markers = self.create_publisher(MarkerArray, "/view/policy", 1)
        self.create_timer(1.0 / self._get("rate_hz"), self._on_timer)
        self.create_timer(_MARKER_PERIOD_S, self._on_markers)
        self.create_timer(_VIEWER_CHECK_S, self._on_viewers)

    def _fixed_transforms(self) -> list:
        mount = (g1.LIDAR_POS_IN_TORSO, g1.LIDAR_QUAT_IN_TORSO_WXYZ)
        fixed = [ros_conversions.transform_msg(g1.TORSO_BODY, LIDAR_FRAME, *mount)]
        if self._get("publish_base"):
            ends = (self._get("map_frame"), self._get("odom_frame"))
            fixed.append(ros_conversions.transform_msg(*ends, np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])))
        return fixed

    def _poll(self, kind: Any, topic: str, take: Any, qos: QoSProfile, *, raw: bool = False) -> PolledTopic:
        """A topic whose newest message is taken when it is shown: 500 states a second would keep an executor busy."""
        subscribe: Any = self.create_subscription  # its types do not know that raw=True hands over bytes
        name = self._get(topic)
        return PolledTopic(subscribe(kind, name, take, qos, callback_group=self._group, raw=raw), take)

    # `Any` below: with raw=True rclpy hands over bytes, which its types do not say
    def _on_low_state(self, data: Any, _: float) -> None:
        self._state = data

    def _on_odometry(self, msg: Odometry, _: float) -> None:
        self._odometry = msg

    def _on_status(self, msg: PolicyStatus, _: float) -> None:
        self._status = msg

    def _on_timer(self) -> None:
        for topic in self._polled:
            topic.drain()
        transforms = []
        if self._odometry is not None:
            transforms.append(ros_conversions.base_transform(self._odometry, self._get("odom_frame")))
            self._odometry = None
        if self._state is not None:
            transforms += self._joints_moved(self._state)
            self._state = None
        if transforms:
            self._transforms.publish(TFMessage(transforms=transforms))

    def _joints_moved(self, data: bytes) -> list:
        try:
            joints = ros_conversions.joint_state_msg(parse_low_state(data), self.get_clock().now().to_msg())
        except VmError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)
            return []
        if not np.isfinite(joints.position).all():
            self.get_logger().warning("a joint angle is no number", throttle_duration_sec=5.0)
            return []
        self._joints.publish(joints)
        ros_conversions.turn_links(self._links, np.array(joints.position), joints.header.stamp)
        return self._links

    def _on_viewers(self) -> None:
        """Scans are taken only while somebody looks at the cloud."""
        wanted = self._cloud.get_subscription_count() > 0
        if wanted and self._scans is None:
            subscribe: Any = self.create_subscription
            qos = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)
            self._scans = subscribe(CustomMsg, self._get("lidar_topic"), self._on_scan, qos, raw=True)
        elif not wanted and self._scans is not None:
            self.destroy_subscription(self._scans)
            self._scans = None

    def _on_scan(self, data: Any) -> None:
        try:
            self._cloud.publish(ros_conversions.cloud_msg(decode_custom_msg(data)))
        except VmError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)

    def _on_markers(self) -> None:
        if self._status is not None and self._markers.get_subscription_count():
            self._markers.publish(ros_conversions.markers_msg(self._status))


def main() -> None:
    """Console entry point."""
    node_process.run(rclpy, RobotStateNode)


if __name__ == "__main__":
    main()
