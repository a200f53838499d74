"""`vm-motion-mode check|release|select`: who moves the robot, the vendor's controller or motor commands from here.

A G1 starts with a controller of its own; while one is active, commands on /lowcmd compete with it. Release it before
/policy/stand, with the robot hanging or sitting: it sinks. `select ai` gives it back.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import rclpy
import tyro
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from unitree_api.msg import Request, Response

from vm_core import command_line, node_process
from vm_core.errors import VmError
from vm_core.motion_switcher import (
    CHECK_MODE,
    G1_MODES,
    OK,
    RELEASE_MODE,
    REQUEST_TOPIC,
    RESPONSE_TOPIC,
    SELECT_MODE,
    mode_of,
)
from vm_policy_node.motion_mode_watch import MotionModeWatch
from vm_policy_node.ros_conversions import guarded

_RELEASE_TRIES = 5


@dataclass(frozen=True)
class MotionMode:
    """Asks the robot's motion switcher.

    Attributes:
        action: check says which mode is active; release ends it; select begins one.
        mode: for select: ai, normal or advanced.
        timeout_s: to wait for each answer.
    """

    action: Annotated[Literal["check", "release", "select"], tyro.conf.Positional]
    mode: Annotated[str, tyro.conf.Positional] = "ai"
    timeout_s: float = 6.0


class MotionModeNode(Node):
    """A client of the motion switcher."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__("vm_motion_mode")
        self._timeout_s = timeout_s
        self._answers: dict[int, Response] = {}
        self._requests = self.create_publisher(Request, REQUEST_TOPIC, 1)
        self.create_subscription(Response, RESPONSE_TOPIC, self._on_response, 10)

    def check(self) -> str:
        """The active mode; empty if none is."""
        mode = mode_of(self._call(CHECK_MODE, "{}"))
        if mode is None:
            raise VmError("the robot's motion switcher answered something else than a mode")
        return mode

    def release(self) -> None:
        """Ends the active mode; the robot's controller may need more than one request."""
        for _ in range(_RELEASE_TRIES):
            if not self.check():
                return
            self._call(RELEASE_MODE, "{}")
            time.sleep(0.2)
        raise VmError(f"the robot keeps its mode {self.check()!r} after {_RELEASE_TRIES} requests to release it")

    def select(self, mode: str) -> None:
        """Begins a mode."""
        if mode not in G1_MODES:
            raise VmError(f"mode {mode!r} is unknown; there are {', '.join(G1_MODES)}")
        self._call(SELECT_MODE, f'{{"name": "{mode}"}}')

    def _on_response(self, response: Response) -> None:
        self._answers[response.header.identity.id] = response

    def _call(self, api_id: int, parameter: str) -> str:
        request = Request(parameter=parameter)
        request.header.identity.id, request.header.identity.api_id = time.monotonic_ns(), api_id
        until_s = time.monotonic() + self._timeout_s
        while self._requests.get_subscription_count() == 0 or self.count_publishers(RESPONSE_TOPIC) == 0:
            self._wait(until_s, "no motion switcher answers")
        self._requests.publish(request)
        while request.header.identity.id not in self._answers:
            self._wait(until_s, "the motion switcher does not answer")
        response = self._answers.pop(request.header.identity.id)
        if response.header.status.code != OK:
            raise VmError(f"the motion switcher refused request {api_id} with code {response.header.status.code}")
        return response.data

    def _wait(self, until_s: float, problem: str) -> None:
        if time.monotonic() > until_s:
            raise VmError(
                f"{problem} on {REQUEST_TOPIC}; is the robot on, on this network and in ROS_DOMAIN_ID's domain?"
            )
        rclpy.spin_once(self, timeout_sec=0.05)


class MotionModeAsker:
    """Asks from within another node, without waiting: `update` now and then, while the robot is idle.

    Attributes:
        handle: what is done with the bytes of a response and the moment of its arrival.
    """

    def __init__(self, node: Node) -> None:
        self._watch = MotionModeWatch()
        self._requests = node.create_publisher(Request, REQUEST_TOPIC, 1)

        def complain(text: str) -> None:
            node.get_logger().warning(f"{RESPONSE_TOPIC}: {text}", throttle_duration_sec=1.0)

        # as bytes: what an executor cannot read would end the node
        handle = guarded(self._on_response, complain)
        self.handle = handle
        subscribe: Any = node.create_subscription  # its types do not know that raw=True hands over bytes
        subscribe(Response, RESPONSE_TOPIC, lambda data: handle(data, time.monotonic()), 10, raw=True)

    def update(self, now_s: float, idle: bool) -> str:
        """Why the robot must not be commanded, or nothing; asks again if it is time."""
        request_id = self._watch.question(now_s) if idle else None
        if request_id is not None:
            request = Request(parameter="{}")
            request.header.identity.id, request.header.identity.api_id = request_id, CHECK_MODE
            self._requests.publish(request)
        return self._watch.obstacle(now_s, there=self._requests.get_subscription_count() > 0)

    def _on_response(self, data: bytes, came_s: float) -> None:
        response = deserialize_message(data, Response)
        identity, code = response.header.identity, response.header.status.code
        self._watch.on_response(identity.id, identity.api_id, code, response.data, came_s)


def _main() -> None:
    request = tyro.cli(MotionMode, prog="vm-motion-mode", description=__doc__)
    rclpy.init(args=[])
    try:
        node = MotionModeNode(request.timeout_s)
        if request.action == "release":
            node.release()
        elif request.action == "select":
            node.select(request.mode)
        mode = node.check()
        print(f"motion mode: {mode or 'none, motor commands from here count'}")
    finally:
        with node_process.closing():
            rclpy.try_shutdown()


def main() -> None:
    """Console entry point."""
    command_line.run(_main)
