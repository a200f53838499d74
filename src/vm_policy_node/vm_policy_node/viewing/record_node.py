"""`vm-record`: all topics of the system into a rosbag2 folder (mcap) that Foxglove and `vm-heightmap replay` read."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from vm_core import node_process
from vm_core.errors import VmError
from vm_core.polled_topics import NoExecutor, PolledTopic
from vm_core.ros_parameters import declare_parameter
from vm_policy_node.bringup.message_types import message_definition, message_type
from vm_policy_node.bringup.topics import TOPICS, Topic
from vm_policy_node.viewing.recording import Recording

PARAMETERS: dict[str, tuple[Any, str]] = {
    "out": ("", "folder for the recording"),
    "topics": ("", "topics to record, with commas between them; empty: all of the system"),
}
_LOOK_S, _WRITE_S, _QUEUE = 0.5, 0.05, 200
"""Queues hold four times what the robot's fastest topic brings between two writes."""


class RecordNode(Node):
    """Subscribes to what appears and appends every message as the bytes that came, with the moment of its arrival."""

    def __init__(self) -> None:
        super().__init__("vm_record")
        for name, (default, description) in PARAMETERS.items():
            declare_parameter(self, name, default, ParameterDescriptor(description=description, read_only=True))
        if not self._get("out"):
            raise VmError("no folder: give `--ros-args -p out:=FOLDER`")
        self._wanted = self._wanted_topics()
        self.recording = Recording(Path(self._get("out")))
        self._group, self._polled = NoExecutor(), list[PolledTopic]()
        self._waiting: list[tuple[int, str, bytes]] = []
        self._look()
        self.create_timer(_LOOK_S, self._look)
        self.create_timer(_WRITE_S, self.write)

    def _get(self, name: str):
        return self.get_parameter(name).value

    def _wanted_topics(self) -> dict[str, Topic | None]:
        """Topics by the name that they have here; those not of this system have no entry in its table."""
        known = {self.resolve_topic_name(topic.name): topic for topic in TOPICS}
        named = [self.resolve_topic_name(part.strip()) for part in self._get("topics").split(",") if part.strip()]
        if named:
            return {name: known.get(name) for name in named}
        return {name: topic for name, topic in known.items() if topic.record}

    @node_process.uninterrupted()
    def _look(self) -> None:
        types = dict(self.get_topic_names_and_types())
        for name in [name for name in self._wanted if name in types and self.count_publishers(name)]:
            self._take(name, types[name][0], self._wanted.pop(name))

    def _take(self, name: str, type_name: str, topic: Topic | None) -> None:
        latched = topic is not None and topic.latched
        try:
            kind, definition = message_type(type_name), message_definition(type_name)
        except VmError as error:
            self.get_logger().warning(f"{name} is not recorded: {error}")
            return
        self.recording.add_topic(name, type_name, definition, latched=latched)
        subscribe: Any = self.create_subscription  # its types do not know that raw=True hands over bytes
        take = partial(self._on_message, name)
        made = subscribe(kind, name, take, self._qos(name, latched), callback_group=self._group, raw=True)
        self._polled.append(PolledTopic(made, take))

    def _qos(self, name: str, latched: bool) -> QoSProfile:
        """Reliable where every publisher is: a best-effort one would otherwise send nothing here."""
        offered = {end.qos_profile.reliability for end in self.get_publishers_info_by_topic(name)}
        reliable = latched or offered == {ReliabilityPolicy.RELIABLE}
        return QoSProfile(
            depth=_QUEUE,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )

    def _on_message(self, name: str, data: bytes, came_s: float) -> None:
        self._waiting.append((time.time_ns() - round(1e9 * (time.monotonic() - came_s)), name, data))

    @node_process.uninterrupted()
    def write(self) -> None:
        """Appends what has come since the last time, in the order in which it came; each message once and whole."""
        for topic in self._polled:
            topic.drain()
        for stamp_ns, name, data in sorted(self._waiting, key=lambda entry: entry[0]):
            self.recording.write(name, stamp_ns, data)
        self._waiting.clear()

    def end(self) -> None:
        """Writes what is still to be written and says what there is."""
        self.write()
        folder = self.recording.close()
        if folder is None:
            print("nothing was recorded")
        else:
            print(f"recorded {self.recording.messages} messages to {folder}")


def _work(node: RecordNode) -> None:
    node.get_logger().info(f"recording to {node.recording.folder}")
    node_process.spin(rclpy, node)


def main() -> None:
    """Console entry point."""
    node_process.run(rclpy, RecordNode, _work, RecordNode.end)


if __name__ == "__main__":
    main()
