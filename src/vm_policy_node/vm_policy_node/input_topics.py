"""The messages that the controller is told, taken from their queues by the control loop itself.

All queues are emptied once a period, right before the step that acts on them; no executor is woken by them. The flight
recorder gets every message; of what the controller would only overwrite, it gets the newest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry, Path
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Bool
from unitree_hg.msg import BmsState, LowState

from vm_core.polled_topics import NoExecutor, PolledTopic
from vm_msgs.msg import HeightGrid
from vm_policy_node import ros_conversions
from vm_policy_node.controller import Controller
from vm_policy_node.emergency_stop import EmergencyStop

Record = Callable[[str, str, int, bytes], None]
"""Topic, type, system time of arrival [ns], CDR bytes."""
STATES, OTHERS, PICTURES = 50, 10, 2
"""Depths of the queues: a tenth of a second of states, and of everything else what two late periods bring."""
_STAMP_END = 12  # of a message that begins with a header: 4 bytes of encapsulation, 8 of time


class InputTopics:
    """Subscribes to everything and feeds the controller when `drain` is called.

    Attributes:
        newest_state_s: when the newest LowState reached this process, on the monotonic clock; 0 before the first.
        handlers: by type, such as nav_msgs/msg/Odometry, what is done with a message's bytes and the moment it came.
    """

    def __init__(
        self, node: Node, values: Mapping[str, Any], controller: Controller, estop: EmergencyStop, record: Record
    ) -> None:
        """Args: the node that owns the subscriptions, its parameters' values, and who is told."""
        self._node, self._controller, self._estop, self._record = node, controller, estop, record
        self._group = NoExecutor()
        self._odometry_frame = ""
        self._camera = b""
        self.handlers: dict[str, Callable[[bytes, float], None]] = {}
        self.newest_state_s = 0.0
        quality = {
            depth: QoSProfile(depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT)
            for depth in (STATES, OTHERS, PICTURES)
        }
        # states first: odometry is paired with the newest of them
        self._states = self._poll(LowState, values["lowstate_topic"], self._on_low_state, quality[STATES])
        self._others = [
            self._poll(Odometry, values["odometry_topic"], self._on_odometry, quality[OTHERS], newest=True),
            self._poll(Twist, values["cmd_vel_topic"], self._on_cmd_vel, OTHERS),
            self._poll(Path, values["path_topic"], self._on_path, OTHERS, newest=True),
            self._poll(Bool, values["estop_topic"], self._on_estop, OTHERS),
            self._poll(BmsState, values["bms_topic"], self._on_battery, quality[OTHERS], newest=True),
        ]
        if controller.needs.grid is not None:
            grids = self._poll(HeightGrid, values["grid_topic"], self._on_grid, quality[OTHERS], newest=True)
            self._others.append(grids)
        if controller.depth_input is not None:
            topics = (values["depth_info_topic"], values["depth_topic"])
            self._others.append(self._poll(CameraInfo, topics[0], self._on_camera, quality[OTHERS], newest=True))
            # 200 kB a picture: the flight recorder would hold gigabytes
            self._others.append(
                self._poll(Image, topics[1], self._on_picture, quality[PICTURES], newest=True, kept=False)
            )

    def drain(self) -> None:
        """Hands over all that has come since the last call."""
        self._states()
        for drain in self._others:
            drain()

    def drain_states(self) -> None:
        """Only the robot's states."""
        self._states()

    def _poll(
        self,
        kind: Any,
        topic: str,
        callback: Callable[[bytes, float], None],
        qos: Any,
        *,
        newest: bool = False,
        kept: bool = True,
    ) -> Callable[[], None]:
        """What empties a topic's queue; the callback gets every message or the newest, the recorder what is kept."""
        name, type_name = self._node.resolve_topic_name(topic), ros_conversions.type_name(kind)
        guarded = ros_conversions.guarded(callback, lambda text: self._complain(f"{name}: {text}"))
        self.handlers[type_name] = guarded
        waiting: list[tuple[bytes, float]] = []

        def take(data: bytes, came_s: float) -> None:
            if kept:
                self._record(name, type_name, time.time_ns() - round(1e9 * (time.monotonic() - came_s)), data)
            waiting.append((data, came_s))

        subscribe: Any = self._node.create_subscription  # its types do not know that raw=True hands over bytes
        polled = PolledTopic(subscribe(kind, topic, _never, qos, callback_group=self._group, raw=True), take)

        def drain() -> None:
            if polled.drain():
                for data, came_s in waiting[-1:] if newest else waiting:
                    guarded(data, came_s)
                waiting.clear()

        return drain

    def _complain(self, text: str) -> None:
        self._node.get_logger().warning(text, throttle_duration_sec=1.0)

    def _on_low_state(self, data: bytes, came_s: float) -> None:
        self._controller.on_low_state(data, came_s)
        self.newest_state_s = came_s

    def _on_odometry(self, data: bytes, came_s: float) -> None:
        message = deserialize_message(data, Odometry)
        self._odometry_frame = message.header.frame_id
        self._controller.on_odometry(*ros_conversions.pelvis_from_msg(message), came_s)

    def _on_grid(self, data: bytes, came_s: float) -> None:
        self._controller.on_grid(ros_conversions.grid_from_msg(deserialize_message(data, HeightGrid)), came_s)

    def _on_camera(self, data: bytes, _: float) -> None:
        assert self._controller.depth_input is not None
        if data[_STAMP_END:] == self._camera:
            return
        self._camera = data[_STAMP_END:]
        self._controller.depth_input.on_info(ros_conversions.camera_from_msg(deserialize_message(data, CameraInfo)))

    def _on_picture(self, data: bytes, came_s: float) -> None:
        assert self._controller.depth_input is not None
        picture = ros_conversions.picture_from_msg(deserialize_message(data, Image))
        self._controller.depth_input.on_picture(picture, came_s)
        if self._controller.depth_input.problem:
            self._complain(f"depth picture refused: {self._controller.depth_input.problem}")

    def _on_cmd_vel(self, data: bytes, came_s: float) -> None:
        twist = deserialize_message(data, Twist)
        self._controller.command.on_cmd_vel(twist.linear.x, twist.linear.y, twist.angular.z, came_s)

    def _on_path(self, data: bytes, _: float) -> None:
        refusal = ros_conversions.take_path(self._controller.command, data, self._odometry_frame)
        if refusal:
            self._node.get_logger().warning(f"not followed: {refusal}", throttle_duration_sec=1.0)

    def _on_estop(self, data: bytes, came_s: float) -> None:
        self._estop.on_message(deserialize_message(data, Bool).data, came_s)
        self._controller.on_estop(self._estop.reason(came_s), came_s)

    def _on_battery(self, data: bytes, _: float) -> None:
        self._controller.charge_percent = float(deserialize_message(data, BmsState).soc)


def _never(_: object) -> None:
    """Stands where rclpy wants a callback; no executor takes messages of these topics."""
