"""`vm-teleop`: steers by the keyboard of a terminal, on /cmd_vel. Zero as soon as no key is held, and when it ends."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator

import rclpy
import rclpy.signals
from geometry_msgs.msg import Twist
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from std_srvs.srv import Trigger

from vm_core import command_line, node_process
from vm_core.errors import VmError
from vm_core.ros_parameters import declare_parameter
from vm_policy_node.keyboard_teleop import HELP, REQUESTS, KeyboardTeleop

_PERIOD_S = 0.05
_LAST_ZEROS_S = 0.5
"""For so long zeros are sent after the last key; then silence, so that a path may take over."""
_PARAMETERS = {
    "cmd_vel_topic": ("/cmd_vel", "geometry_msgs/Twist out"),
    "forward_speed": (0.5, "of w and s [m/s]"),
    "side_speed": (0.2, "of q and e [m/s]"),
    "turn_rate": (0.4, "of a and d [rad/s]"),
}


class KeyboardTeleopNode(Node):
    """Sends what the keys ask for."""

    def __init__(self) -> None:
        super().__init__("vm_teleop")
        values = {}
        for name, (default, text) in _PARAMETERS.items():
            described = ParameterDescriptor(description=text, read_only=True)
            values[name] = declare_parameter(self, name, default, described)
        self.keys = KeyboardTeleop((values["forward_speed"], values["side_speed"], values["turn_rate"]))
        self._twists = self.create_publisher(Twist, values["cmd_vel_topic"], 1)
        self._requests = {name: self.create_client(Trigger, f"/policy/{name}") for name in set(REQUESTS.values())}
        self._moved_s = -_LAST_ZEROS_S
        self.told = ""

    def on_key(self, key: str) -> None:
        """Takes a key; requests go out at once."""
        request = self.keys.on_key(key, time.monotonic())
        self._moved_s = time.monotonic()
        if not request:
            return
        client = self._requests[request]
        if not client.service_is_ready():
            self.told = f"{request}: no policy node answers"
            return
        self.told = f"{request} …"
        client.call_async(Trigger.Request()).add_done_callback(self._on_answer)

    def send(self) -> str:
        """Sends the velocity of this moment; returns a line for the terminal."""
        now = time.monotonic()
        vx, vy, yaw_rate = (float(value) for value in self.keys.velocity(now))
        if vx or vy or yaw_rate:
            self._moved_s = now
        if now - self._moved_s <= _LAST_ZEROS_S:
            self.publish(vx, vy, yaw_rate)
        return f"vx {vx:+.2f} m/s  vy {vy:+.2f} m/s  turn {yaw_rate:+.2f} rad/s  {self.told}"

    def publish(self, vx: float, vy: float, yaw_rate: float) -> None:
        """One Twist."""
        message = Twist()
        message.linear.x, message.linear.y, message.angular.z = vx, vy, yaw_rate
        self._twists.publish(message)

    def _on_answer(self, future) -> None:
        self.told = future.result().message


@contextlib.contextmanager
def _single_keys(descriptor: int) -> Iterator[None]:
    """Keys come one by one and unseen; the terminal is put back whatever happens."""
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _steer(node: KeyboardTeleopNode, descriptor: int) -> None:
    print(HELP)
    while True:
        ready, *_ = select.select([descriptor], [], [], _PERIOD_S)
        for key in os.read(descriptor, 64).decode(errors="replace") if ready else "":
            node.on_key(key)
        rclpy.spin_once(node, timeout_sec=0.0)
        print(f"\r\x1b[K{node.send()}", end="", flush=True)


def _as_interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _main() -> None:
    if not sys.stdin.isatty():
        raise VmError("vm-teleop reads keys from a terminal; its input is none")
    rclpy.init(args=sys.argv, signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    for number in (signal.SIGTERM, signal.SIGHUP):  # a closed window ends it, too
        signal.signal(number, _as_interrupt)
    node = KeyboardTeleopNode()
    try:
        with _single_keys(sys.stdin.fileno()):
            _steer(node, sys.stdin.fileno())
    finally:
        print()
        for _ in range(3):
            node.publish(0.0, 0.0, 0.0)
            time.sleep(0.02)
        with node_process.closing():
            node.destroy_node()
            rclpy.try_shutdown()


def main() -> None:
    """Console entry point."""
    command_line.run(_main)
