"""Teleoperation of a long run in real time: publishes the walking script on /cmd_vel until it is stopped."""

from __future__ import annotations

import signal
import sys
import time

import rclpy
import rclpy.signals
from geometry_msgs.msg import Twist
from walking_script import WalkingScript


def main(seed: int) -> None:
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    node, stopping = rclpy.create_node("walk_driver"), []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.append(True))
    publisher, script, start = node.create_publisher(Twist, "/cmd_vel", 1), WalkingScript(seed), time.monotonic()
    while not stopping:
        message = Twist()
        message.linear.x, message.linear.y, message.angular.z = script(time.monotonic() - start)
        publisher.publish(message)
        time.sleep(0.05)


if __name__ == "__main__":
    main(int(sys.argv[1]))
