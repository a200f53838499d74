"""The LiDAR beside the physics: rays are cast in a thread of their own, on copies of the robot's configuration."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import mujoco
import numpy as np

from vm_core.livox_cdr import LivoxScan, encode_custom_msg
from vm_sim.lidar import Mid360, join_sub_scans

SUB_SCAN_S = 0.01
_SUB_SCANS = 10
_WAITING = 20  # sub-scans; more are dropped: a slow sensor must not fill the memory


class ScanThread:
    """Takes configurations every 10 ms and hands over a finished scan ten times a second.

    Attributes:
        dropped: sub-scans that were lost because the thread could not keep up.
    """

    def __init__(self, lidar: Mid360, model: mujoco.MjModel, publish: Callable[[bytes], None], frame_id: str) -> None:
        """Starts the thread; `publish` is called in it with the CDR bytes of each CustomMsg."""
        self.dropped = 0
        self._lidar, self._model, self._publish, self._frame_id = lidar, model, publish, frame_id
        self._data = mujoco.MjData(model)
        self._waiting: queue.Queue[tuple[int, np.ndarray] | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._work, name="lidar", daemon=True)
        self._thread.start()

    def offer(self, stamp_ns: int, qpos: np.ndarray) -> None:
        """Gives the configuration (nq,) at the start of a sub-scan; never waits."""
        try:
            self._waiting.put_nowait((stamp_ns, qpos.copy()))
        except queue.Full:
            self.dropped += 1

    def stop(self) -> None:
        """Ends the thread after what it is doing now."""
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._waiting.put(None)
        self._thread.join(timeout=2.0)

    def _work(self) -> None:
        parts: list[np.ndarray] = []
        first_ns = 0
        while (item := self._waiting.get()) is not None:
            stamp_ns, self._data.qpos[:] = item
            expected_ns = first_ns + round(len(parts) * SUB_SCAN_S * 1e9)
            if parts and abs(stamp_ns - expected_ns) > 5_000_000:  # dropped sub-scans: a scan has no holes in its time
                parts = []
            if not parts:
                first_ns = stamp_ns
            mujoco.mj_kinematics(self._model, self._data)
            parts.append(self._lidar.sub_scan(self._data, SUB_SCAN_S))
            if len(parts) == _SUB_SCANS:
                self._publish(encode_custom_msg(LivoxScan(first_ns, self._frame_id, first_ns, join_sub_scans(parts))))
                parts = []
