"""The e-stop topic: true stops until false comes; with a heartbeat, silence stops, too."""

from __future__ import annotations


class EmergencyStop:
    """Remembers the newest message."""

    def __init__(self, heartbeat_s: float, now_s: float) -> None:
        """Args: longest silence [s], 0 for any; the time of the start [s]."""
        self._heartbeat_s = heartbeat_s
        self._came_s = now_s
        self._engaged = False

    def on_message(self, engaged: bool, now_s: float) -> None:
        """A std_msgs/Bool."""
        self._engaged, self._came_s = engaged, now_s

    def reason(self, now_s: float) -> str:
        """Why the stop is engaged, or ""."""
        if self._engaged:
            return "engaged by topic"
        silence_s = now_s - self._came_s
        if 0.0 < self._heartbeat_s < silence_s:
            return f"its topic is silent for {silence_s:.1f} s, limit {self._heartbeat_s:.1f} s"
        return ""
