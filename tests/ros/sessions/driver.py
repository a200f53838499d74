"""What sits at the other end of a session: a node that waits for things, calls services and tells what it saw."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from std_srvs.srv import Trigger

from vm_core import g1, unitree_cdr
from vm_msgs.msg import PolicyStatus

PATIENCE_S = 60.0
"""A machine that others share may hold every process up: waits end with what they wait for, this is for failures."""

HELD_UP = ("late cycle", "stale state")
"""Causes of a stop that an overloaded machine has, too."""


class Driver:
    """One node, spun only while something is waited for.

    Attributes:
        node: rclpy's.
        status: state and cause in every message of `/policy_status`, oldest first.
        report: what the test will read.
    """

    def __init__(self) -> None:
        rclpy.init()
        self.node = rclpy.create_node("driver")
        self.status: list[tuple[int, str]] = [(PolicyStatus.IDLE, "")]
        self.report: dict[str, Any] = {}
        self._clients: dict[str, Any] = {}
        self.node.create_subscription(
            PolicyStatus, "/policy_status", lambda m: self.status.append((m.state, m.cause)), 10
        )

    def until(self, condition: Callable[[], bool], seconds: float = PATIENCE_S) -> bool:
        """Whether it came true in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return True
            rclpy.spin_once(self.node, timeout_sec=0.02)
        return False

    def spin(self, seconds: float) -> None:
        """Listens for so long: to see that nothing happens, or to ask less often."""
        self.until(lambda: False, seconds)

    def hear(self, count: int) -> None:
        """Waits until the policy node has reported so often again: what was sent before has reached it, then."""
        end = len(self.status) + count
        assert self.until(lambda: len(self.status) >= end), "the policy node reports no more"

    def in_state(self, number: int, seconds: float = PATIENCE_S) -> bool:
        """Whether the policy node comes to that state of PolicyStatus in time."""
        return self.until(lambda: self.status[-1][0] == number, seconds)

    def ask(self, kind: Any, name: str, request: Any) -> Any:
        """A service's answer."""
        client = self._clients.setdefault(name, self.node.create_client(kind, name))
        assert client.wait_for_service(PATIENCE_S), name
        future = client.call_async(request)
        assert self.until(future.done), name
        return future.result()

    def call(self, name: str) -> list:
        """Success and message of a Trigger."""
        answer = self.ask(Trigger, name, Trigger.Request())
        return [answer.success, answer.message]

    def call_until(self, name: str, wanted: Callable[[list], bool] = lambda answer: answer[0]) -> list:
        """The Trigger's first answer that is wanted, or its last when patience ends."""
        end = time.monotonic() + PATIENCE_S
        while not wanted(answer := self.call(name)) and time.monotonic() < end:
            self.spin(0.25)
        return answer

    def stand(self) -> bool:
        """Whether the robot stands up once it may."""
        return self.call_until("/policy/stand")[0] and self.in_state(PolicyStatus.STANDING)

    def undisturbed(self, scene: Callable[[], None], expected: str = "") -> None:
        """Plays a scene, again where it ended because the machine held a process up beyond the widest limits.

        Args:
            scene: from IDLE on.
            expected: the cause that it is to end with.
        """
        for _ in range(10):
            before = len(self.status)
            scene()
            causes = {cause for _, cause in self.status[before:] if cause.startswith(HELD_UP)}
            if all(expected and cause.startswith(expected) for cause in causes):
                return
            self.idle()

    def idle(self) -> bool:
        """Whether the latched damping is released."""
        return self.call_until("/policy/release")[0] and self.in_state(PolicyStatus.IDLE)

    def tell(self) -> None:
        """Hands the report to the test."""
        print("REPORT " + json.dumps(self.report))


class StandingRobot:
    """States of a robot that stands still; its clock is ours."""

    def __init__(self) -> None:
        self._record = unitree_cdr.new_low_state()
        self._record["mode_machine"], self._record["imu"]["quaternion"][0] = 5, 1.0
        unitree_cdr.set_motors(self._record, "q", np.asarray(g1.DEFAULT_STAND_POSE))
        self._began_s = time.monotonic()

    @property
    def tick(self) -> int:
        """Of the newest state [ms]."""
        return int(self._record["tick"])

    def state(self) -> bytes:
        """The LowState of this moment."""
        self._record["tick"] = 1 + int(1000 * (time.monotonic() - self._began_s))
        self._record["crc"] = unitree_cdr.low_state_crc(self._record)
        return self._record.tobytes()
