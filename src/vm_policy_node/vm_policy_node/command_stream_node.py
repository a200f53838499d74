"""The process of the command stream: reads commands from its standard input, publishes them at the robot's rate.

It ends when its input does, never by Ctrl-C or the end of a terminal, which reach the controller and this process
alike: the controller's last words must still get out.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from functools import partial

import rclpy
import rclpy.signals
from unitree_hg.msg import LowCmd

from vm_core import command_line
from vm_core.memory_lock import stay_in_memory
from vm_core.node_process import closing
from vm_policy_node.command_stream import READY, CommandStream, run_stream


def _main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    topic, rate_hz, timeout_s, damping_kd = sys.argv[1:5]
    rclpy.init(args=[], signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    node = rclpy.create_node("vm_command_stream", enable_rosout=False, start_parameter_services=False)
    publisher = node.create_publisher(LowCmd, topic, 1)
    tell = partial(os.write, sys.stdout.fileno())
    tell(READY)
    stay_in_memory()
    gc.disable()  # the loop makes no cycles
    stream = CommandStream(float(rate_hz), float(timeout_s), float(damping_kd))
    run_stream(stream, sys.stdin.fileno(), publisher.publish, tell)
    with closing():
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    command_line.run(_main)
