"""A recording played to a running vm_heightmap node at its own speed, and what the node publishes meanwhile."""

from __future__ import annotations

import os
import resource
import signal
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from heightmap_recording import Recording
from heightmap_walks import RATE_HZ

from vm_core.errors import VmError
from vm_core.polled_topics import NoExecutor

STAMP_AT = 4  # bytes of a CDR message before its header's stamp
DOMAIN = 83
ODOMETRY = "/ground_truth/odometry"


@dataclass
class Heard:
    """What came back.

    Attributes:
        published_s: when each grid was published, by the DDS writer.  scan_end_s: of the newest scan in it; 0: none.
        memory: rows of seconds and MB of the node.  processor: rows of wall and processor time of the node [s].
    """

    published_s: list[float] = field(default_factory=list)
    scan_end_s: list[float] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    processor: list[tuple[float, float]] = field(default_factory=list)


def play(recording: Recording, *parameters: str) -> Heard:
    """Starts a node with these parameters, plays the recording to it in real time, and ends it.

    Raises:
        VmError: no ROS here, or the node published nothing.
    """
    import rclpy

    os.environ["ROS_DOMAIN_ID"] = str(DOMAIN)
    command = [str(Path(sys.executable).with_name("vm-heightmap")), "--ros-args"]
    command += [part for parameter in parameters for part in ("-p", parameter)]
    node = subprocess.Popen(command)
    rclpy.init()
    try:
        return _Player(recording).play(node)
    finally:
        rclpy.try_shutdown()
        node.send_signal(signal.SIGINT)
        try:
            node.wait(timeout=10)
        except subprocess.TimeoutExpired:
            node.kill()


class _Player:
    def __init__(self, recording: Recording) -> None:
        from livox_ros_driver2.msg import CustomMsg
        from nav_msgs.msg import Odometry
        from rclpy.node import Node
        from rclpy.qos import QoSProfile, ReliabilityPolicy
        from sensor_msgs.msg import Imu
        from unitree_hg.msg import LowState

        from vm_msgs.msg import HeightGrid

        self.heard, self._recording, self._node = Heard(), recording, Node("player")
        best = QoSProfile(depth=20, reliability=ReliabilityPolicy.BEST_EFFORT)
        kinds = {
            "/lowstate": LowState,
            "/livox/imu": Imu,
            "/livox/lidar": CustomMsg,
            "/ground_truth/odometry": Odometry,
        }
        self._publishers = {topic: self._node.create_publisher(kind, topic, best) for topic, kind in kinds.items()}
        self._messages = {
            "/livox/imu": _imu_messages(recording),
            "/ground_truth/odometry": _odometry_messages(recording),
        }
        # emptied by hand: an executor would cost the player, and so the machine, half a core
        group: Any = NoExecutor()
        self._grids = self._node.create_subscription(
            HeightGrid, "/height_grid", lambda _: None, 50, callback_group=group
        )

    def play(self, node: subprocess.Popen) -> Heard:
        import rclpy

        end = time.monotonic() + 60.0
        while self._publishers["/lowstate"].get_subscription_count() == 0:
            rclpy.spin_once(self._node, timeout_sec=0.05)
            if time.monotonic() > end or node.poll() is not None:
                raise VmError("the height map node did not start")
        time.sleep(1.0)
        # messages are handed over by this clock's schedule and carry its stamps, as drivers do
        start_s, start = time.time() + 0.1, time.monotonic() + 0.1
        for k in range(len(self._recording.joint_pos)):
            pause = start + (k + 1) / RATE_HZ - time.monotonic()
            if pause > 0.0:
                time.sleep(pause)
            self._publish(k, start_s)
            self._take_grids()
            if k % RATE_HZ == 0:
                pages = int(Path(f"/proc/{node.pid}/statm").read_text().split()[1])
                self.heard.memory.append((k / RATE_HZ, pages * resource.getpagesize() / 1e6))
                ticks = Path(f"/proc/{node.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
                self.heard.processor.append((time.monotonic(), sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")))
        if not self.heard.published_s:
            raise VmError("the height map node published nothing")
        return self.heard

    def _publish(self, k: int, start_s: float) -> None:
        recording, time_s = self._recording, start_s + k / RATE_HZ
        self._publishers["/lowstate"].publish(recording.low_state(k))
        if k % 2 == 0:
            self._send("/livox/imu", self._messages["/livox/imu"][k // 2], time_s)
        if k % 5 == 0:
            self._send(ODOMETRY, self._messages[ODOMETRY][k // 5], time_s)
        scan_every = RATE_HZ // 10
        if (k + 1) % scan_every == 0:  # its last point is one tick old
            self._send("/livox/lidar", recording.scans[k // scan_every], time_s - (scan_every - 1) / RATE_HZ)

    def _send(self, topic: str, data: bytes, time_s: float) -> None:
        message = bytearray(data)
        nanoseconds = round(time_s * 1e9)
        struct.pack_into("<iI", message, STAMP_AT, nanoseconds // 10**9, nanoseconds % 10**9)
        self._publishers[topic].publish(bytes(message))

    def _take_grids(self) -> None:
        handle = self._grids.handle
        with handle:
            while (taken := handle.take_message(self._grids.msg_type, self._grids.raw)) is not None:
                msg, info = taken
                self.heard.published_s.append(info["source_timestamp"] * 1e-9)
                self.heard.scan_end_s.append(msg.scan_stamp.sec + 1e-9 * msg.scan_stamp.nanosec)


def _imu_messages(recording: Recording) -> list[bytes]:
    from rclpy.serialization import serialize_message
    from sensor_msgs.msg import Imu

    found = []
    for row in recording.imu:
        msg = Imu()
        w, a = msg.angular_velocity, msg.linear_acceleration
        w.x, w.y, w.z, a.x, a.y, a.z = row.tolist()
        msg.header.frame_id = "livox_frame"
        found.append(serialize_message(msg))
    return found


def _odometry_messages(recording: Recording) -> list[bytes]:
    from nav_msgs.msg import Odometry
    from rclpy.serialization import serialize_message

    found = []
    for row in recording.true_pelvis[::5]:
        msg = Odometry()
        p, q = msg.pose.pose.position, msg.pose.pose.orientation
        p.x, p.y, p.z, q.w, q.x, q.y, q.z = row.tolist()
        msg.header.frame_id = "map"
        found.append(serialize_message(msg))
    return found


def intervals_ms(heard: Heard) -> np.ndarray:
    """Milliseconds between grids."""
    return 1e3 * np.diff(heard.published_s)


def ages_ms(heard: Heard) -> np.ndarray:
    """Age of the newest scan in each grid [ms] when it was published, from the first scan on."""
    published, scan = np.array(heard.published_s), np.array(heard.scan_end_s)
    return 1e3 * (published - scan)[scan > 0.0]
