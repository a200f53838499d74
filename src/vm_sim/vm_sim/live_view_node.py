"""`vm-view-robot`: the robot live at http://localhost:8080, with buttons for stand, run, damp and release."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import rclpy
from livox_ros_driver2.msg import CustomMsg
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_srvs.srv import Trigger
from unitree_hg.msg import LowState
from visualization_msgs.msg import Marker

from vm_core import g1, node_process
from vm_core.errors import VmError
from vm_core.livox_cdr import decode_custom_msg
from vm_core.polled_topics import NoExecutor, PolledTopic
from vm_core.ros_parameters import declare_parameter
from vm_core.unitree_cdr import get_motors, parse_low_state
from vm_msgs.msg import HeightGrid, PolicyStatus
from vm_sim import ros_conversions
from vm_sim.link_frames import cloud_xyzi
from vm_sim.live_view import BUTTONS, LiveView

PARAMETERS: dict[str, tuple[Any, str]] = {
    "lowstate_topic": ("/lowstate", "unitree_hg/LowState in"),
    "odometry_topic": ("/ground_truth/odometry", "nav_msgs/Odometry of the pelvis in"),
    "object_topic": ("/ground_truth/object/marker", "visualization_msgs/Marker of an object in"),
    "lidar_topic": ("/livox/lidar", "livox_ros_driver2/CustomMsg in"),
    "grid_topic": ("/height_grid", "vm_msgs/HeightGrid in"),
    "status_topic": ("/policy_status", "vm_msgs/PolicyStatus in"),
    "host": ("127.0.0.1", "address to listen at; 0.0.0.0 lets every machine of the network look and press buttons"),
    "port": (8080, "port to listen at"),
}
_SERVICES = {name: f"/policy/{name}" for name in BUTTONS}
_FAST_S, _SLOW_S, _ANSWER_S = 0.05, 0.4, 5.0
_MOST_POINTS = 4000
"""Of a scan: what browsers without a graphics card still draw."""


class LiveViewNode(Node):
    """Keeps the newest of everything and shows it at a rate that a browser can use."""

    def __init__(self) -> None:
        super().__init__("vm_view_robot")
        for name, (default, description) in PARAMETERS.items():
            descriptor = ParameterDescriptor(description=description, read_only=True)
            if name == "port":
                descriptor.integer_range = [IntegerRange(from_value=1, to_value=65535)]
            declare_parameter(self, name, default, descriptor)
        self._newest: dict[str, Any] = {}
        self._callers = {name: self.create_client(Trigger, service) for name, service in _SERVICES.items()}
        self.view = LiveView(self._get("host"), self._get("port"), self._press)
        topics = {"lowstate": LowState, "odometry": Odometry, "object": Marker, "lidar": CustomMsg, "grid": HeightGrid}
        group = NoExecutor()
        self._polled = [self._poll(name, kind, group) for name, kind in (topics | {"status": PolicyStatus}).items()]
        self.create_timer(_FAST_S, self._show_robot)
        self.create_timer(_SLOW_S, self._show_rest)
        self.get_logger().info(f"open http://localhost:{self.view.server.get_port()} in a browser")

    def end(self) -> None:
        """Closes the page."""
        self.view.stop()

    def _get(self, name: str):
        return self.get_parameter(name).value

    def _poll(self, name: str, kind: Any, group: NoExecutor) -> PolledTopic:
        """Its newest message is taken when the robot is drawn: 500 states a second would keep an executor busy."""
        qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        subscribe: Any = self.create_subscription
        raw = kind in (LowState, CustomMsg)
        made = subscribe(kind, self._get(f"{name}_topic"), lambda _: None, qos, callback_group=group, raw=raw)
        return PolledTopic(made, lambda message, _: self._newest.__setitem__(name, message))

    def _press(self, name: str) -> str:
        """Runs in a thread of the server; the executor's thread brings the answer."""
        if not self._callers[name].service_is_ready():
            return "no policy node offers it"
        future, done = self._callers[name].call_async(Trigger.Request()), threading.Event()
        future.add_done_callback(lambda _: done.set())
        answer = future.result() if done.wait(_ANSWER_S) else None
        if answer is None:
            return f"no answer within {_ANSWER_S:.0f} s"
        return answer.message or ("done" if answer.success else "refused")

    def _show_robot(self) -> None:
        for topic in self._polled:
            topic.drain()
        odometry, state = self._newest.pop("odometry", None), self._newest.pop("lowstate", None)
        if odometry is not None:
            base = ros_conversions.base_transform(odometry, "odom").transform
            move, turn = base.translation, base.rotation
            pos, quat = (move.x, move.y, move.z), (turn.w, turn.x, turn.y, turn.z)
            self.view.show_pelvis(np.array(pos), np.array(quat))
        if (thing := self._newest.pop("object", None)) is not None:
            self._show_object(thing)
        if state is not None:
            try:
                joints = get_motors(parse_low_state(state), "q")[: g1.NUM_MOTORS].astype(float)
            except VmError as error:
                self.get_logger().warning(str(error), throttle_duration_sec=5.0)
                return
            if np.isfinite(joints).all():
                self.view.show_joints(joints)

    def _show_object(self, thing: Marker) -> None:
        move, turn, size, color = thing.pose.position, thing.pose.orientation, thing.scale, thing.color
        pose = np.array([move.x, move.y, move.z, turn.w, turn.x, turn.y, turn.z])
        size, color = np.array([size.x, size.y, size.z]), np.array([color.r, color.g, color.b])
        self.view.show_object(thing.type == Marker.SPHERE, size, color, pose)

    def _show_rest(self) -> None:
        scan, grid, status = (self._newest.pop(name, None) for name in ("lidar", "grid", "status"))
        if scan is not None:
            self._show_scan(scan)
        if grid is not None:
            self._show_grid(grid)
        if status is not None:
            text, *_ = ros_conversions.markers_msg(status).markers
            self.view.show_status(f"**{text.text}**  \n{status.policy}", np.array(status.command))

    def _show_scan(self, data: bytes) -> None:
        try:
            points = cloud_xyzi(decode_custom_msg(data))[:, :3]
            self.view.show_cloud(points[:: 1 + len(points) // _MOST_POINTS])
        except VmError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)

    def _show_grid(self, msg: HeightGrid) -> None:
        try:
            points, source = ros_conversions.cells_of(msg)
        except VmError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)
            return
        self.view.show_grid(points, source, float(msg.resolution))


def main() -> None:
    """Console entry point."""
    node_process.run(rclpy, LiveViewNode, end=LiveViewNode.end)


if __name__ == "__main__":
    main()
