"""`vm-supervisor`: says when each node is up, brings lifecycle nodes up in order, and names what does not come.

It ends when all are up (exit code 0) or when the time is over (2, naming what is missing); the starter then ends all.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import rclpy
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from vm_core import node_process
from vm_core.errors import VmError
from vm_core.ros_parameters import declare_parameter
from vm_policy_node.bringup.message_types import message_type
from vm_policy_node.bringup.readiness import Readiness, parse_expected

PARAMETERS: dict[str, tuple[Any, str]] = {
    "expect": ("", "NODE=TOPIC,TOPIC;NODE=… in the order of the start"),
    "timeout_s": (180.0, "time for all to come up [s]"),
}
_POLL_S, _SERVICE_S = 0.1, 60.0
_REMINDER_S = 20.0
"""A busy computer takes long to start what looks on only; what is waited for is said meanwhile."""


class SupervisorNode(Node):
    """Listens for first messages and walks down the list."""

    def __init__(self) -> None:
        super().__init__("vm_supervisor")
        for name, (default, description) in PARAMETERS.items():
            descriptor = ParameterDescriptor(description=description, read_only=True)
            if isinstance(default, float):
                descriptor.floating_point_range = [FloatingPointRange(from_value=1.0, to_value=3600.0)]
            declare_parameter(self, name, default, descriptor)
        expected = parse_expected(self._get("expect"))
        self._readiness = Readiness(expected, self._get("timeout_s"))
        self._listening: dict[str, Any] = {}
        self._waiting: set[str] = set()
        self._plain: set[str] = set()

    def _get(self, name: str):
        return self.get_parameter(name).value

    def run(self) -> None:
        """Returns when all are up.

        Raises:
            VmError: something did not come in time, or a lifecycle node refused.
        """
        started, reminded_s = time.monotonic(), 0.0
        while self._readiness.current is not None:
            self._listen()
            rclpy.spin_once(self, timeout_sec=_POLL_S)
            elapsed_s = time.monotonic() - started
            for name in self._readiness.advance(self._present()):
                self.get_logger().info(f"{name} is up after {elapsed_s:.1f} s")
                reminded_s = elapsed_s
            if self._readiness.current is not None and elapsed_s - reminded_s > _REMINDER_S:
                self.get_logger().info(f"waiting for {self._readiness.current.name}: {self._readiness.lack()}")
                reminded_s = elapsed_s
            complaint = self._readiness.complaint(elapsed_s)
            if complaint:
                raise VmError(complaint)
        self.get_logger().info(f"all is up after {time.monotonic() - started:.1f} s")

    def _present(self) -> set[str]:
        """Nodes of this namespace; one with a lifecycle counts once it is active."""
        names = {name for name, space in self.get_node_names_and_namespaces() if space == self.get_namespace()}
        for node in self._readiness.expected:
            if node.name in names:
                self._bring_up(node.name)
        return names - self._waiting

    def _bring_up(self, name: str) -> None:
        """Configures a lifecycle node as soon as it is there, and activates it when its turn comes."""
        if name in self._plain:
            return
        current = self._readiness.current
        turn = current is not None and current.name == name
        if name in self._waiting and not turn:
            return
        services = dict(self.get_service_names_and_types_by_node(name, self.get_namespace()))
        if self.resolve_service_name(f"{name}/change_state") not in services:
            if turn:
                self._plain.add(name)
            return
        self._waiting.add(name)
        state = self._call(GetState, f"{name}/get_state", GetState.Request()).current_state.id
        if state == State.PRIMARY_STATE_UNCONFIGURED:
            self._change(name, Transition.TRANSITION_CONFIGURE, "configure")
        elif turn and state == State.PRIMARY_STATE_INACTIVE:
            self._change(name, Transition.TRANSITION_ACTIVATE, "activate")
        elif state == State.PRIMARY_STATE_ACTIVE:
            self._waiting.discard(name)
            self._plain.add(name)  # from here on it is a node like others

    def _change(self, name: str, number: int, word: str) -> None:
        request = ChangeState.Request(transition=Transition(id=number))
        if not self._call(ChangeState, f"{name}/change_state", request).success:
            raise VmError(f"{name} refused to {word}; its message is above")

    def _call(self, kind: Any, service: str, request: Any) -> Any:
        client = self.create_client(kind, service)
        future = client.call_async(request)
        rclpy.spin_until_future_complete(self, future, timeout_sec=_SERVICE_S)
        self.destroy_client(client)
        if future.result() is None:
            raise VmError(f"{service} did not answer within {_SERVICE_S:.0f} s")
        return future.result()

    def _listen(self) -> None:
        """Subscribes to what is missing and in the graph; lets go of what has been heard."""
        for topic in [topic for topic in self._listening if topic in self._readiness.heard]:
            self.destroy_subscription(self._listening.pop(topic))
        waiting = [topic for topic in self._readiness.missing() if topic not in self._listening]
        types = dict(self.get_topic_names_and_types()) if waiting else {}
        for topic in waiting:
            found = types.get(self.resolve_topic_name(topic))
            if found:
                qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
                heard = partial(self._on_message, topic)
                self._listening[topic] = self.create_subscription(message_type(found[0]), topic, heard, qos, raw=True)

    def _on_message(self, topic: str, _: Any) -> None:
        self._readiness.heard.add(topic)


def main() -> None:
    """Console entry point."""
    node_process.run(rclpy, SupervisorNode, SupervisorNode.run)


if __name__ == "__main__":
    main()
