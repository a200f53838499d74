"""What sits at the other end of a session: a node that waits for things, calls services and tells what it saw."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import rclpy
from std_srvs.srv import Trigger

from vm_core import g1, unitree_cdr
from vm_msgs.msg import PolicyStatus

PATIENCE_S = 60.0
"""A machine that others share may hold every process up: waits end with what they wait for, this is for failures."""

HELD_UP = ("late cycle", "stale state", "stale depth")
"""Causes of a stop that an overloaded machine has, too."""

TRIES = 10
"""How often a scene is played where the machine holds processes up in it."""


class HeldUp(Exception):
    """A policy node stopped in a scene because the machine held a process up beyond the widest limits."""


class Driver:
    """One node, spun only while something is waited for.

    Attributes:
        node: rclpy's.
        statuses: by a policy node's namespace, state and cause in every message of its `policy_status`, oldest first.
        status: those of the first.
        report: what the test will read.
    """

    def __init__(self, *spaces: str) -> None:
        """For policy nodes in these namespaces, or one in none."""
        rclpy.init()
        self.node = rclpy.create_node("driver")
        self.statuses = {space: [(int(PolicyStatus.IDLE), "")] for space in spaces or ("",)}
        self.status = next(iter(self.statuses.values()))
        self.report: dict[str, Any] = {}
        self._clients: dict[str, Any] = {}
        self._excused: tuple[str, ...] = ()
        for space, heard in self.statuses.items():
            topic = f"/{space}/policy_status" if space else "/policy_status"
            self.node.create_subscription(PolicyStatus, topic, partial(self._on_status, heard), 10)

    @staticmethod
    def _on_status(heard: list[tuple[int, str]], message: PolicyStatus) -> None:
        heard.append((message.state, message.cause))

    def until(self, condition: Callable[[], bool], seconds: float = PATIENCE_S) -> bool:
        """Whether it came true in time; a scene that `undisturbed` plays ends here where it is to be played again."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return True
            rclpy.spin_once(self.node, timeout_sec=0.02)
            if self._held_up():
                raise HeldUp
        return False

    def _held_up(self) -> bool:
        newest = [heard[-1] for heard in self.statuses.values()]
        return any(cause.startswith(self._excused) for state, cause in newest if state == PolicyStatus.DAMPING)

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
        """A service's answer; asked again where none comes, for an answer can be lost while a process is held up."""
        client = self._clients.setdefault(name, self.node.create_client(kind, name))
        assert client.wait_for_service(PATIENCE_S), name
        for _ in range(TRIES):
            future = client.call_async(request)
            if self.until(future.done, PATIENCE_S / TRIES):
                return future.result()
        raise AssertionError(f"{name} does not answer: {self.statuses}")

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

    def undisturbed(self, scene: Callable[[], None]) -> None:
        """Plays a scene, from IDLE on; again where a node stopped in it because the machine held a process up."""
        for _ in range(TRIES):
            self._excused = HELD_UP
            try:
                return scene()
            except HeldUp:
                pass
            finally:
                self._excused = ()
            assert self.idle(), self.statuses
        raise HeldUp

    def expect_silence(self, fault: str) -> None:
        """From here on in a scene, a stop by what that fault silences is what is looked for: `state_silent`."""
        cause = f"stale {fault.removesuffix('_silent')}"
        self._excused = tuple(excused for excused in self._excused if excused != cause)

    def idle(self) -> bool:
        """Whether every node is idle: latched dampings are released, whoever still stands or runs is damped first."""
        return all([self._released(space) for space in self.statuses])

    def _released(self, space: str) -> bool:
        policy, heard = f"/{space}/policy" if space else "/policy", self.statuses[space]
        if heard[-1][0] in (PolicyStatus.STANDING, PolicyStatus.RUNNING):
            self.call(f"{policy}/damp")
        return self.call_until(f"{policy}/release")[0] and self.until(lambda: heard[-1][0] == PolicyStatus.IDLE)

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
