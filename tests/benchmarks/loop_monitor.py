"""Listens beside the running nodes and writes what it saw: latency of commands, period, state of the policy.

Latency is the time from the arrival of a robot state here to the arrival here of the command that was computed from
that very state (its tick is echoed in LowCmd.reserve[0]): the policy's work and one transport. Both times are the
middleware's, taken when it receives a message, not when it is looked at here. Commands count while the
policy stands up or runs; before and after there is nothing to be late for. The command stream repeats each command
until the next; only the first of a kind counts, for the period too. Of a visual policy the same is kept for each depth
picture, whose stamp is echoed in reserve[1].
"""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from array import array
from pathlib import Path

import bare_echo
import numpy as np
import rclpy
import rclpy.signals
from command_audit import find_wrong
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image
from unitree_hg.msg import LowCmd, LowState

from vm_core import unitree_cdr
from vm_core.atomic_files import atomic_path
from vm_core.polled_topics import NoExecutor, PolledTopic
from vm_msgs.msg import PolicyStatus
from vm_policy_node.safety import State

TICK_OFFSET = unitree_cdr.LOW_STATE.fields["tick"][1]
ECHO_OFFSET = unitree_cdr.LOW_CMD.fields["reserve"][1]
TELL_S, MISSED_MS = 60.0, 40.0
LOOK_S, QUEUE = 0.02, 200
"""The queues are emptied this often and hold ten times that: the monitor must not load what it measures."""
PICTURES = "/camera/depth/image_rect_raw"
REMEMBERED = 5000
"""States whose arrival is known: ten seconds of them."""
ACTIVE = (PolicyStatus.STANDING, PolicyStatus.RUNNING)


class Echoes:
    """The commands of one topic: when each new one came, and how long after the state that it echoes.

    Kept in arrays, and what is told of them now and then is counted as they come: after an hour a look at all of them
    would hold the monitor, and a processor, for longer than what it is to find.

    Attributes:
        latency_ms, period_ms: of the commands that count; a latency that is not known is left out.
        missed_s: when periods that were longer than MISSED_MS ended.
        stream_s: times of all commands, repeated ones too.
        new: how many were new ones.
    """

    def __init__(self) -> None:
        self.latency_ms, self.period_ms, self.missed_s = array("d"), array("d"), array("d")
        self.stream_s = array("d")
        self.new, self._echoed, self._last_s = 0, -1, np.nan

    def take(self, data: bytes, now_s: float, arrival: dict[int, float], counts: bool) -> bool:
        """Whether the command is a new one."""
        tick = int.from_bytes(data[ECHO_OFFSET : ECHO_OFFSET + 4], "little")
        self.stream_s.append(now_s)
        if tick == self._echoed:
            return False
        self._echoed, last_s, self._last_s = tick, self._last_s, now_s if counts else np.nan
        self.new += 1
        if counts:
            self._count(now_s, now_s - last_s, now_s - arrival.get(tick, np.nan))
        return True

    def _count(self, now_s: float, period_s: float, latency_s: float) -> None:
        if math.isfinite(latency_s):
            self.latency_ms.append(1000.0 * latency_s)
        if math.isfinite(period_s):
            self.period_ms.append(1000.0 * period_s)
            if self.period_ms[-1] > MISSED_MS:
                self.missed_s.append(now_s)


class Monitor(Node):
    """Keeps arrival times of states by tick, and of the commands that echo them."""

    def __init__(self) -> None:
        super().__init__("loop_monitor")
        self.arrival: dict[int, float] = {}
        self.some_arrivals: list[tuple[int, float]] = []
        self.own, self.bare = Echoes(), Echoes()
        self.state, self.ran = PolicyStatus.IDLE, False
        self.changes: list[tuple[float, int, str]] = []  # time [s], state, cause
        self.bad_commands = 0
        self.newest_command = 0.0
        self.pictures: dict[int, float] = {}
        self.picture_latency_ms: list[float] = []
        find_wrong(unitree_cdr.new_low_cmd(), State.RUNNING, None)  # the first look takes longest
        group, subscribe = NoExecutor(), self.create_subscription
        quality = QoSProfile(depth=QUEUE, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.topics = [
            PolledTopic(subscribe(kind, topic, lambda _: None, quality, callback_group=group, raw=True), take)
            for kind, topic, take in (
                (PolicyStatus, "/policy_status", self.on_status),
                (LowState, "/lowstate", self.on_state),
                (LowCmd, "/lowcmd", self.on_command),
                (LowCmd, bare_echo.TOPIC, self.on_bare),
            )
        ]
        few = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
        pictures = subscribe(Image, PICTURES, lambda _: None, few, callback_group=group, raw=True)
        self.topics.insert(0, PolledTopic(pictures, self.on_picture))

    def on_status(self, data: bytes, came_s: float) -> None:
        message = deserialize_message(data, PolicyStatus)
        if message.state != self.state:
            self.changes.append((came_s, message.state, message.cause))
        self.newest_command = float(np.abs(message.command).max())
        self.state = message.state
        self.ran |= message.state == PolicyStatus.RUNNING

    def on_state(self, data: bytes, came_s: float) -> None:
        tick = int.from_bytes(data[TICK_OFFSET : TICK_OFFSET + 4], "little")
        self.arrival[tick] = came_s
        if tick % 20 == 0:
            self.some_arrivals.append((tick, came_s))
        while len(self.arrival) > REMEMBERED:
            del self.arrival[next(iter(self.arrival))]

    def on_picture(self, data: bytes, came_s: float) -> None:
        seconds, nanoseconds = (int.from_bytes(data[k : k + 4], "little") for k in (4, 8))
        self.pictures[(1000 * seconds + nanoseconds // 1_000_000) & 0xFFFFFFFF] = came_s

    def on_command(self, data: bytes, now: float) -> None:
        if not self.own.take(data, now, self.arrival, self.state in ACTIVE):
            return
        picture = int.from_bytes(data[ECHO_OFFSET + 4 : ECHO_OFFSET + 8], "little")
        if picture in self.pictures and self.state in ACTIVE:
            self.picture_latency_ms.append(1000.0 * (now - self.pictures.pop(picture)))
        # which state a command belongs to is not known here, and its joints neither: what holds for all is looked at
        self.bad_commands += bool(find_wrong(unitree_cdr.parse_low_cmd(data), State.RUNNING, None))

    def on_bare(self, data: bytes, now: float) -> None:
        self.bare.take(data, now, self.arrival, self.state in ACTIVE)

    def story(self) -> str:
        """What a long run tells of itself now and then."""
        late, bare_late = len(self.own.missed_s), len(self.bare.missed_s)
        many = len(self.own.period_ms)
        return f"{State(self.state).name}, {many} periods, {late} over {MISSED_MS:.0f} ms; bare echo {bare_late}"

    def result(self) -> dict:
        gaps_ms = 1000.0 * np.diff(self.own.stream_s)
        return {
            "latency_ms": self.own.latency_ms.tolist(),
            "period_ms": self.own.period_ms.tolist(),
            "missed_s": self.own.missed_s.tolist(),
            "bare_latency_ms": self.bare.latency_ms.tolist(),
            "bare_period_ms": self.bare.period_ms.tolist(),
            "bare_missed_s": self.bare.missed_s.tolist(),
            "picture_latency_ms": self.picture_latency_ms,
            "stream_gap_ms": gaps_ms[gaps_ms < 100.0].tolist(),  # longer ones: idle
            "ran": self.ran,
            "changes": self.changes,
            "arrivals": self.some_arrivals,
            "bad_commands": self.bad_commands,
            "commands": self.own.new,
            "newest_command": self.newest_command,
        }


def main(out: Path) -> None:
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    node, stopping = Monitor(), []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.append(True))
    began_s = time.monotonic()
    tell_s = began_s + TELL_S
    while not stopping:
        time.sleep(LOOK_S)
        for topic in node.topics:
            topic.drain()
        if time.monotonic() > tell_s:
            print(f"{(time.monotonic() - began_s) / 60.0:.0f} min: {node.story()}", file=sys.stderr, flush=True)
            tell_s += TELL_S
    with atomic_path(out) as temporary:
        temporary.write_text(json.dumps(node.result()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
