"""`vm-foxglove`: the system's topics and services for Foxglove at ws://localhost:8765, bytes passed through unread.

A topic is subscribed to only while somebody looks at it. A viewer may publish what `publish_topics` lists, call the
system's services, and fetch the robot's meshes; nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import foxglove
import rclpy
from foxglove import Channel, Context, MessageSchema, Schema, Service, ServiceRequest, ServiceSchema
from foxglove.websocket import Capability, ChannelView, Client, ClientChannel, ServerListener
from rcl_interfaces.msg import IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from std_srvs.srv import Trigger

from vm_core import node_process
from vm_core.errors import VmError
from vm_core.g1_files import MESH_URI, mesh_files
from vm_core.ros_parameters import declare_parameter
from vm_policy_node.bringup.message_types import message_definition, message_type, service_definitions
from vm_policy_node.bringup.topics import SERVICES, TOPICS, Topic

PARAMETERS: dict[str, tuple[Any, str]] = {
    "host": ("127.0.0.1", "address to listen at; 0.0.0.0 lets every machine of the network look, publish and call"),
    "port": (8765, "port to listen at; 0: any that is free"),
    "publish_topics": ("/cmd_vel", "topics that a viewer may publish, with commas between them"),
    "call_services": (True, "whether a viewer may call the system's services"),
}
_LOOK_S, _ANSWER_S = 0.1, 5.0
_TRIGGER = "std_srvs/srv/Trigger"


@dataclass(frozen=True)
class Outlet:
    """A topic that viewers may publish: its message class and our publisher."""

    kind: Any
    publisher: Any


class FoxgloveNode(Node):
    """One channel a topic; the server's own threads never touch ROS but to publish and to call."""

    def __init__(self) -> None:
        super().__init__("vm_foxglove")
        for name, (default, description) in PARAMETERS.items():
            descriptor = ParameterDescriptor(description=description, read_only=True)
            if name == "port":
                descriptor.integer_range = [IntegerRange(from_value=0, to_value=65535)]
            declare_parameter(self, name, default, descriptor)
        self._sinks = Context()
        self._known = {self.resolve_topic_name(topic.name): topic for topic in TOPICS}
        self._channels: dict[str, Channel] = {}
        self._looking: dict[str, Any] = {}
        self._latest: dict[str, bytes] = {}
        self._newcomers: set[str] = set()
        self._callers = {name: self.create_client(Trigger, name) for name in SERVICES}
        self._outlets = self._make_outlets()
        self._server = self._start()
        self.create_timer(_LOOK_S, self._look)
        self.get_logger().info(f"open Foxglove with ws://{self._get('host')}:{self._server.port}")

    def _get(self, name: str):
        return self.get_parameter(name).value

    def _start(self) -> Any:
        capabilities = [Capability.ClientPublish, *([Capability.Services] if self._get("call_services") else [])]
        try:
            return foxglove.start_server(
                name="G1",
                host=self._get("host"),
                port=self._get("port"),
                capabilities=capabilities,
                supported_encodings=["cdr"],
                server_listener=Listener(self._newcomers, self._outlets, self._say),
                services=self._make_services() if self._get("call_services") else None,
                asset_handler=read_mesh,
                context=self._sinks,
            )
        except Exception as error:  # the library raises its own and Python's
            raise VmError(f"cannot listen at {self._get('host')}:{self._get('port')}: {error}") from None

    def _say(self, text: str) -> None:
        self.get_logger().warning(text)

    def _make_outlets(self) -> dict[str, Outlet]:
        outlets = {}
        for name in filter(None, (part.strip() for part in self._get("publish_topics").split(","))):
            topic = self._known.get(self.resolve_topic_name(name))
            if topic is None:
                raise VmError(f"parameter publish_topics: {name}; there are {', '.join(self._known)}")
            kind = message_type(topic.type)
            outlets[self.resolve_topic_name(name)] = Outlet(kind, self.create_publisher(kind, name, 1))
        return outlets

    def _make_services(self) -> list[Service]:
        request, response = (
            MessageSchema(
                encoding="cdr", schema=Schema(name=f"{_TRIGGER}_{part}", encoding="ros2msg", data=text.encode())
            )
            for part, text in zip(("Request", "Response"), service_definitions(_TRIGGER), strict=True)
        )
        schema = ServiceSchema(_TRIGGER, request=request, response=response)
        return [
            Service(self.resolve_service_name(name), schema=schema, handler=partial(self._call, name))
            for name in SERVICES
        ]

    def _call(self, name: str, _: ServiceRequest) -> bytes:
        """Runs in a thread of the server; the executor's thread brings the answer."""
        client, done = self._callers[name], threading.Event()
        if not client.service_is_ready():
            raise VmError(f"{name}: no node offers it")
        future = client.call_async(Trigger.Request())
        future.add_done_callback(lambda _: done.set())
        answer = future.result() if done.wait(_ANSWER_S) else None
        if answer is None:
            raise VmError(f"{name}: no answer within {_ANSWER_S:.0f} s")
        return serialize_message(answer)

    def _look(self) -> None:
        """Announces topics that have appeared, and listens to those that somebody looks at."""
        for name, types in self.get_topic_names_and_types():
            topic = self._known.get(name)
            if topic is not None and name not in self._channels:
                self._announce(name, types[0], topic)
        for name, channel in self._channels.items():
            wanted = channel.has_sinks() or self._known[name].latched
            if wanted and name not in self._looking:
                self._looking[name] = self._subscribe(name, self._known[name])
            elif not wanted and name in self._looking:
                self.destroy_subscription(self._looking.pop(name))
        while self._newcomers:
            name = self._newcomers.pop()
            if name in self._latest:
                self._channels[name].log(self._latest[name], log_time=self.get_clock().now().nanoseconds)

    def _announce(self, name: str, type_name: str, topic: Topic) -> None:
        try:
            schema = Schema(name=type_name, encoding="ros2msg", data=message_definition(type_name).encode())
        except VmError as error:
            self.get_logger().warning(f"{name} is not shown: {error}")
            del self._known[name]
            return
        self._channels[name] = Channel(name, schema=schema, message_encoding="cdr", context=self._sinks)

    def _subscribe(self, name: str, topic: Topic) -> Any:
        qos = QoSProfile(
            depth=5,
            reliability=ReliabilityPolicy.RELIABLE if topic.latched else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if topic.latched else DurabilityPolicy.VOLATILE,
        )
        return self.create_subscription(message_type(topic.type), name, partial(self._pass_on, name), qos, raw=True)

    def _pass_on(self, name: str, data: Any) -> None:
        if self._known[name].latched:
            self._latest[name] = data
        self._channels[name].log(data, log_time=self.get_clock().now().nanoseconds)

    def end(self) -> None:
        """Closes the port."""
        self._server.stop()


class Listener(ServerListener):
    """What viewers do, in the server's threads."""

    def __init__(self, newcomers: set[str], outlets: dict[str, Outlet], say: Callable[[str], None]) -> None:
        self._newcomers, self._outlets, self._say = newcomers, outlets, say
        self._advertised: dict[tuple[int, int], Outlet] = {}

    def on_subscribe(self, client: Client, channel: ChannelView) -> None:
        """A late viewer gets what is said once only."""
        self._newcomers.add(channel.topic)

    def on_client_advertise(self, client: Client, channel: ClientChannel) -> None:
        """Takes the topics that a viewer may publish, as CDR."""
        outlet = self._outlets.get(channel.topic)
        if outlet is None or channel.encoding != "cdr":
            may = ", ".join(self._outlets)
            self._say(f"a viewer may not publish {channel.topic} as {channel.encoding}; as cdr: {may}")
            return
        self._advertised[client.id, channel.id] = outlet

    def on_client_unadvertise(self, client: Client, client_channel_id: int) -> None:
        """Forgets a viewer's channel."""
        self._advertised.pop((client.id, client_channel_id), None)

    def on_message_data(self, client: Client, client_channel_id: int, data: bytes) -> None:
        """Passes a viewer's message on, if it is one: nodes must not meet bytes that are none."""
        outlet = self._advertised.get((client.id, client_channel_id))
        if outlet is None:
            return
        try:
            outlet.publisher.publish(deserialize_message(bytes(data), outlet.kind))
        except Exception as error:  # rclpy's typesupport raises several
            self._say(f"a viewer's message is no {outlet.kind.__name__}: {error}")


def read_mesh(uri: str) -> bytes | None:
    """A mesh of the robot by the address that its description gives; no other file whatever is asked for."""
    folder, _, name = uri.rpartition("/")
    path = mesh_files().get(name) if folder == MESH_URI else None
    return None if path is None else path.read_bytes()


def main() -> None:
    """Console entry point."""
    node_process.run(rclpy, FoxgloveNode, end=FoxgloveNode.end)


if __name__ == "__main__":
    main()
