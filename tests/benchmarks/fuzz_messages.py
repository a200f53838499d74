"""Broken messages of every kind that the policy node takes, each with the way in that the node has for it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message, serialize_message

from vm_core import g1, unitree_cdr
from vm_msgs.msg import HeightGrid
from vm_policy_node import ros_conversions
from vm_policy_node.controller import Controller

Deliver = Callable[[Controller, float], None]
_WILD = (0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e38, -1e38, 1e-45, 3.4, 100.0, -7.3)
_BOUNDARY = len(unitree_cdr.CDR_LITTLE_ENDIAN)


def wild(rng: np.random.Generator, size: int) -> np.ndarray:
    """Numbers that programs stumble over, in float32's range."""
    values = rng.choice(_WILD, size)
    plain = rng.random(size) < 0.5
    return np.where(plain, rng.normal(0.0, 1.0, size), values)


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
        self._typed = (Odometry, HeightGrid, Twist)
        self._kinds: tuple[tuple[str, Callable[[], Deliver]], ...] = (
            ("lowstate: random bytes", self._noise),
            ("lowstate: some bytes changed", self._changed),
            ("lowstate: a lie with a right checksum", self._lie),
            ("odometry", self._odometry),
            ("height_grid", self._grid),
            ("cmd_vel", self._cmd_vel),
            ("remote", self._remote),
            ("bytes of typed messages", self._bytes),
            ("estop", lambda: lambda controller, now_s: None),
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

    def _odometry(self) -> Deliver:
        message, pose = Odometry(), wild(self._rng, 10)
        for target, values in (
            (message.pose.pose.position, pose[:3]),
            (message.twist.twist.linear, pose[3:6]),
        ):
            target.x, target.y, target.z = (float(v) for v in values)
        quat = message.pose.pose.orientation
        quat.w, quat.x, quat.y, quat.z = (float(v) for v in pose[6:])

        def deliver(controller: Controller, now_s: float) -> None:
            with np.errstate(all="ignore"):
                controller.on_odometry(*ros_conversions.pelvis_from_msg(message), now_s)

        return deliver

    def _grid(self) -> Deliver:
        rng, message = self._rng, HeightGrid()
        cells = int(rng.choice([0, 1, 121, 121, 121, 400]))
        message.size_x, message.size_y = int(rng.choice([0, 1, 11, 65535])), int(rng.choice([0, 1, 11, 65535]))
        message.resolution, message.center_x = (float(v) for v in np.clip(wild(rng, 2), -1e38, 1e38))
        message.height = [float(v) for v in wild(rng, cells)]
        message.grid_pose.position.z = float(wild(rng, 1)[0])
        message.scan_stamp.sec = int(rng.integers(-(2**31), 2**31))
        message.header.stamp.sec = int(rng.integers(-(2**31), 2**31))

        def deliver(controller: Controller, now_s: float) -> None:
            controller.on_grid(ros_conversions.grid_from_msg(message), now_s)

        return deliver

    def _bytes(self) -> Deliver:
        """Bytes that are no message, or one with some bytes changed, on the way that the node has for typed topics."""
        rng, kind = self._rng, self._typed[int(self._rng.integers(len(self._typed)))]
        data = bytearray(serialize_message(kind()))
        if rng.random() < 0.3:
            data = bytearray(rng.bytes(int(rng.integers(0, 2 * len(data)))))
        for _ in range(int(rng.integers(0, 6)) if data else 0):
            data[int(rng.integers(len(data)))] = int(rng.integers(256))

        def deliver(controller: Controller, now_s: float) -> None:
            def take(raw: bytes, came_s: float) -> None:
                message = deserialize_message(raw, kind)
                if isinstance(message, Odometry):
                    controller.on_odometry(*ros_conversions.pelvis_from_msg(message), came_s)
                elif isinstance(message, HeightGrid):
                    controller.on_grid(ros_conversions.grid_from_msg(message), came_s)
                else:
                    linear, angular = message.linear, message.angular
                    controller.command.on_cmd_vel(linear.x, linear.y, angular.z, came_s)

            with np.errstate(all="ignore"):
                ros_conversions.guarded(take, lambda text: None)(bytes(data), now_s)

        return deliver

    def _cmd_vel(self) -> Deliver:
        velocity = [float(v) for v in wild(self._rng, 3)]
        return lambda controller, now_s: controller.command.on_cmd_vel(*velocity, now_s)
