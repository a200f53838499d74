"""The machine's own share of the loop's times: a process that does nothing but echo, at the policy node's pace.

It sleeps until its period begins, which follows the states, and sends an empty LowCmd with the newest state's tick to
/lowcmd_bare: the same Python and the same middleware without any work between. What it is late by is the machine's.
"""

from __future__ import annotations

import signal
import time

import rclpy
import rclpy.signals
from rclpy.qos import QoSProfile, ReliabilityPolicy
from unitree_hg.msg import LowCmd, LowState

from vm_core import unitree_cdr
from vm_core.polled_topics import NoExecutor, PolledTopic

TOPIC = "/lowcmd_bare"
PERIOD_S = 0.02
LEAD_S, NEAR_S, FOLLOW = 0.0002, 0.001, 0.1
"""A period aims at beginning so long after a state, looks for it so near, and moves by this share of what it is off."""
_TICK = unitree_cdr.LOW_STATE.fields["tick"][1]  # type: ignore[index]


def main() -> None:
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    node, stopping = rclpy.create_node("bare_echo", start_parameter_services=False), []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.append(True))
    publisher, record = node.create_publisher(LowCmd, TOPIC, 1), unitree_cdr.new_low_cmd()
    newest: list[tuple[bytes, float]] = []
    quality = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
    states = node.create_subscription(
        LowState, "/lowstate", lambda _: None, quality, callback_group=NoExecutor(), raw=True
    )
    topic = PolledTopic(states, lambda data, came_s: newest.append((data, came_s)))
    due_s = time.monotonic()
    while not stopping:
        time.sleep(max(due_s - time.monotonic(), 0.0))
        topic.drain()
        if newest:
            data, came_s = newest[-1]
            record["reserve"][0] = int.from_bytes(data[_TICK : _TICK + 4], "little")
            publisher.publish(record.tobytes())
            off_s = came_s + LEAD_S - due_s
            due_s += FOLLOW * off_s if abs(off_s) < NEAR_S else 0.0
            newest.clear()
        due_s = max(due_s + PERIOD_S, time.monotonic())


if __name__ == "__main__":
    main()
