"""What comes in: topics whose queues are emptied every other millisecond, in the order in which the mapper needs them.

An executor of rclpy spends about half a millisecond on each message that wakes it; at 500 joint states and 200 inertial
samples a second it would keep the interpreter from the grid's thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from livox_ros_driver2.msg import CustomMsg
from nav_msgs.msg import Odometry
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Imu, PointCloud2
from unitree_hg.msg import LowState

from vm_core.errors import VmError
from vm_core.polled_topics import NoExecutor, PolledTopic
from vm_heightmap import ros_conversions
from vm_heightmap.mapper import HeightMapper

PERIOD_S = 0.002
Get = Callable[[str], Any]


class InputTopics:
    """Feeds a mapper with what waits in the queues.

    Attributes:
        lock: held while the mapper takes messages; whoever reads its map from another thread takes it too.
        frame_id: of the poses that come in.
        entities: subscriptions, for whoever destroys them.
    """

    def __init__(
        self, node: LifecycleNode, get: Get, mapper: HeightMapper, clock_s: Callable[[float], float], on_pose: Any
    ) -> None:
        """Args: the node; its parameters by name; the mapper; what the clock says at a moment of the monotonic one;
        what is called after every inertial sample."""
        self._node, self._mapper, self._clock_s, self._on_pose = node, mapper, clock_s, on_pose
        self.lock, self.frame_id, self._default_frame = threading.Lock(), get("map_frame"), get("map_frame")
        self.entities: list[Any] = []
        self._taking = False
        self._group = NoExecutor()
        self._topics = [self._topic(LowState, get("lowstate_topic"), self._on_low_state, 2, raw=True)]
        if get("odometry_source") == "topic":
            self._topics.append(self._topic(Odometry, get("odometry_topic"), self._on_odometry, 20))
        else:
            self._topics.append(self._topic(Imu, get("imu_topic"), self._on_imu, 50))
        if get("cloud_topic"):
            self._topics.append(self._topic(PointCloud2, get("cloud_topic"), self._on_cloud, 2))
        else:
            self._topics.append(self._topic(CustomMsg, get("lidar_topic"), self._on_scan, 2, raw=True))

    def discard(self) -> None:
        """Throws away what has come so far: it was meant for nobody."""
        self._taking = False
        for topic in self._topics:
            topic.drain()
        self._taking = True

    def drain(self) -> None:
        """Hands over all that waits: joints and poses first, for scans need them."""
        with self.lock:
            for topic in self._topics:
                topic.drain()

    def learn(self) -> None:
        """Lets the mapper do what could wait."""
        with self.lock:
            self._mapper.learn()

    def _topic(self, kind: type, topic: str, take: Any, depth: int, *, raw: bool = False) -> PolledTopic:
        def when_taking(message: Any, came_s: float) -> None:
            if self._taking:
                take(message, self._clock_s(came_s))

        quality = QoSProfile(depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT)
        made = self._node.create_subscription(
            kind,
            topic,
            lambda _: None,
            quality,
            raw=raw,
            callback_group=self._group,  # type: ignore[arg-type]
        )
        self.entities.append(made)
        return PolledTopic(made, when_taking)

    def _on_low_state(self, data: bytes, _: float) -> None:
        self._mapper.on_low_state(data)

    def _on_scan(self, data: bytes, now_s: float) -> None:
        self._mapper.on_scan(data, now_s)

    def _on_cloud(self, msg: PointCloud2, now_s: float) -> None:
        try:
            scan = ros_conversions.scan_from_msg(msg)
        except VmError as error:
            self._mapper.refuse_scan(str(error))
            return
        self._mapper.on_points(scan, now_s)

    def _on_imu(self, msg: Imu, now_s: float) -> None:
        self._mapper.on_imu(*ros_conversions.imu_from_msg(msg), now_s)
        self._on_pose()

    def _on_odometry(self, msg: Odometry, now_s: float) -> None:
        self.frame_id = msg.header.frame_id or self._default_frame
        self._mapper.on_odometry(*ros_conversions.pose_from_msg(msg), now_s)
