"""Broken messages of every kind that the policy node takes, each with the way in that the node has for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from fuzz_typed import TYPED, WildMessages, wild
from rclpy.serialization import serialize_message
from unitree_api.msg import Response

from vm_core import g1, unitree_cdr
from vm_policy_node import ros_conversions
from vm_policy_node.controller import Controller
from vm_policy_node.emergency_stop import EmergencyStop
from vm_policy_node.input_topics import InputTopics
from vm_policy_node.motion_mode_node import MotionModeAsker
from vm_policy_node.parameters import PARAMETERS

Deliver = Callable[[Controller, float], None]
Handler = Callable[[bytes, float], None]
TOPICS = {name: parameter.default for name, parameter in PARAMETERS.items() if name.endswith("_topic")}
_BOUNDARY = len(unitree_cdr.CDR_LITTLE_ENDIAN)


class NoRos:
    """Stands where a node is wanted: nothing arrives but by hand, nothing leaves."""

    def resolve_topic_name(self, name: str) -> str:
        return name

    def create_subscription(self, *_: Any, **__: Any) -> SimpleNamespace:
        return SimpleNamespace(qos_profile=SimpleNamespace(depth=1))

    def create_publisher(self, *_: Any) -> SimpleNamespace:
        return SimpleNamespace(publish=lambda _: None, get_subscription_count=lambda: 1)

    def get_logger(self) -> SimpleNamespace:
        return SimpleNamespace(warning=lambda *_, **__: None)


def sound_low_state(tick: int, rng: np.random.Generator) -> bytes:
    """A robot that stands."""
    record = unitree_cdr.new_low_state()
    record["tick"], record["mode_machine"] = tick, 5
    record["imu"]["quaternion"][0] = 1.0
    record["imu"]["gyroscope"] = rng.normal(0.0, 0.003, 3)
    unitree_cdr.set_motors(record, "q", g1.DEFAULT_STAND_POSE + rng.normal(0.0, 2e-4, g1.NUM_MOTORS))
    unitree_cdr.set_motors(record, "mode", np.ones(g1.NUM_MOTORS, dtype=np.uint8))
    record["crc"] = unitree_cdr.low_state_crc(record)
    return record.tobytes()


class FuzzedMessages:
    """Draws one kind after the other at random."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._ways: dict[int, dict[str, Handler]] = {}
        self._wild = WildMessages(rng)
        self._kinds: tuple[tuple[str, Callable[[], Deliver]], ...] = (
            ("lowstate: random bytes", self._noise),
            ("lowstate: some bytes changed", self._changed),
            ("lowstate: a lie with a right checksum", self._lie),
            ("remote", self._remote),
            *((kind.__name__, partial(self._typed, kind)) for kind in TYPED),
        )
        self._chosen = self._kinds

    def choose(self) -> None:
        """From now on one kind alone, or all of them: some kinds stop the robot at once and would hide the others."""
        one = self._kinds[int(self._rng.integers(len(self._kinds)))]
        self._chosen = self._kinds if self._rng.random() < 0.3 else (one,)

    def draw(self) -> tuple[str, Deliver]:
        """A kind's name and what delivers a message of it to a controller."""
        name, make = self._chosen[int(self._rng.integers(len(self._chosen)))]
        return name, make()

    def _noise(self) -> Deliver:
        exact = self._rng.random() < 0.5
        size = unitree_cdr.LOW_STATE.itemsize if exact else int(self._rng.integers(0, 4096))
        data = self._rng.bytes(size)
        if self._rng.random() < 0.5:
            data = unitree_cdr.CDR_LITTLE_ENDIAN + data[_BOUNDARY:]
        return lambda controller, now_s: controller.on_low_state(data, now_s)

    def _changed(self) -> Deliver:
        def deliver(controller: Controller, now_s: float) -> None:
            data = bytearray(sound_low_state(round(1000 * now_s) + 1, self._rng))
            for _ in range(int(self._rng.integers(1, 6))):
                data[int(self._rng.integers(len(data)))] = int(self._rng.integers(256))
            controller.on_low_state(bytes(data), now_s)

        return deliver

    def _lie(self) -> Deliver:
        def deliver(controller: Controller, now_s: float) -> None:
            rng = self._rng
            record = unitree_cdr.parse_low_state(sound_low_state(round(1000 * now_s) + 1, rng)).copy()
            name = str(rng.choice(["q", "dq", "tau_est", "vol", "temperature", "motorstate", "imu", "tick"]))
            if name == "imu":
                part = str(rng.choice(["quaternion", "gyroscope"]))
                record["imu"][part] = wild(rng, len(record["imu"][part]))
            elif name == "tick":
                record["tick"] = int(rng.integers(2**32))
            elif name == "temperature":
                record["motor"][name] = rng.integers(-(2**15), 2**15, record["motor"][name].shape)
            elif name == "motorstate":
                record["motor"][name] = rng.integers(0, 2**32, record["motor"][name].shape)
            else:
                with np.errstate(over="ignore"):
                    record["motor"][name][int(rng.integers(29))] = wild(rng, 1)[0]
            record["crc"] = unitree_cdr.low_state_crc(record)
            controller.on_low_state(record.tobytes(), now_s)

        return deliver

    def _remote(self) -> Deliver:
        def deliver(controller: Controller, now_s: float) -> None:
            record = unitree_cdr.parse_low_state(sound_low_state(round(1000 * now_s) + 2, self._rng)).copy()
            record["wireless_remote"] = np.frombuffer(self._rng.bytes(40), dtype=np.uint8)
            if self._rng.random() < 0.9:  # else any button goes down, those that stop among them
                record["wireless_remote"][2:4] = 0
            record["crc"] = unitree_cdr.low_state_crc(record)
            controller.on_low_state(record.tobytes(), now_s)

        return deliver

    def _typed(self, kind: Any) -> Deliver:
        """A message of wild numbers, as bytes; some of them changed or cut off, or bytes that are no message."""
        rng = self._rng
        data = bytearray(serialize_message(self._wild.make(kind)))
        if rng.random() < 0.1:
            data = bytearray(rng.bytes(int(rng.integers(0, 2 * len(data)))))
        elif rng.random() < 0.1:
            data = data[: int(rng.integers(len(data)))]
        for _ in range(int(rng.integers(1, 6)) if data and rng.random() < 0.3 else 0):
            data[int(rng.integers(len(data)))] = int(rng.integers(256))

        def deliver(controller: Controller, now_s: float) -> None:
            with np.errstate(all="ignore"):
                self._ways_into(controller)[ros_conversions.type_name(kind)](bytes(data), now_s)

        return deliver

    def _ways_into(self, controller: Controller) -> dict[str, Handler]:
        """What the node does with the bytes of each topic."""
        if id(controller) not in self._ways:
            inputs = InputTopics(cast(Any, NoRos()), TOPICS, controller, EmergencyStop(0.0, 0.0), lambda *_: None)
            asker = MotionModeAsker(cast(Any, NoRos()))
            self._ways[id(controller)] = inputs.handlers | {ros_conversions.type_name(Response): asker.handle}
        return self._ways[id(controller)]
