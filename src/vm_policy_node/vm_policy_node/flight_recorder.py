"""The last seconds of everything that came and went, kept in memory and written as an mcap file that Foxglove opens.

The ring costs the controller an append a message. Writing happens in a thread that only copies bytes to a spool file,
and in a process of its own that makes the mcap file from it: `python -m vm_policy_node.flight_recorder SPOOL OUT`.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
import threading
from collections import deque
from datetime import datetime
from pathlib import Path

from vm_core.atomic_files import atomic_path
from vm_policy_node.bringup.message_types import message_definition

SPAN_S = 30.0
MOST_BYTES = 128 * 2**20
MOST_FILES = 50
_RECORD = struct.Struct("<BQI")
_NICE = 10
_OWN_FILES = "????-??-??_??-??-??_*"  # as `save` names them; what else lies in the folder is not ours to delete


class FlightRecorder:
    """A ring of serialized messages, bounded in time and in bytes.

    Attributes:
        folder: where files go.
        written: paths of the files so far.
        problem: why the newest file could not be written, or "".
    """

    def __init__(self, folder: Path, span_s: float = SPAN_S, most_bytes: int = MOST_BYTES) -> None:
        self.folder = folder
        self.written: list[Path] = []
        self.problem = ""
        self._span_ns, self._most_bytes = round(span_s * 1e9), most_bytes
        self._ring: deque[tuple[int, int, bytes]] = deque()
        self._bytes = 0
        self._channels: dict[str, tuple[int, str]] = {}
        self._thread: threading.Thread | None = None

    def add(self, topic: str, kind: str, stamp_ns: int, data: bytes) -> None:
        """Keeps a message's CDR bytes; drops what has become too old or too much.

        Args:
            topic: its name.
            kind: its type, such as sensor_msgs/msg/Imu.
            stamp_ns: when it came, on the clock of the messages' stamps.
            data: CDR with its four-byte header.
        """
        channel = self._channels.setdefault(topic, (len(self._channels), kind))[0]
        self._ring.append((channel, stamp_ns, data))
        self._bytes += len(data)
        while self._ring and (self._ring[0][1] < stamp_ns - self._span_ns or self._bytes > self._most_bytes):
            self._bytes -= len(self._ring.popleft()[2])

    @property
    def num_bytes(self) -> int:
        """Size of what is kept."""
        return self._bytes

    def save(self, reason: str) -> Path | None:
        """Begins to write what the ring holds; the file appears when it is whole.

        Returns:
            The file's future path, or None while another one is being written.
        """
        if self._thread is not None and self._thread.is_alive():
            return None
        name = "".join(c if c.isalnum() else "_" for c in reason.split(":")[0].strip()) or "flight"
        path = self.folder / f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{name}.mcap"
        snapshot, channels = list(self._ring), {str(i): [t, k] for t, (i, k) in self._channels.items()}
        self._thread = threading.Thread(target=self._write, args=(path, snapshot, channels, reason), daemon=True)
        self._thread.start()
        return path

    def wait(self, timeout_s: float) -> None:
        """Until a file that is being written is whole, or the time is over."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _write(self, path: Path, snapshot: list[tuple[int, int, bytes]], channels: dict, reason: str) -> None:
        spool = path.with_suffix(".spool")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _fill(spool, snapshot, channels, reason)
            command = [sys.executable, "-m", "vm_policy_node.flight_recorder", str(spool), str(path)]
            code = subprocess.run(command, check=False).returncode
            if code:
                self.problem = f"{path} is not written, its writer ended with {code}; the messages lie in {spool.name}"
            else:
                self.written.append(path)
            for kind in (".mcap", ".spool"):
                for old in sorted(self.folder.glob(_OWN_FILES + kind))[:-MOST_FILES]:
                    old.unlink(missing_ok=True)
        except OSError as error:
            self.problem = f"{path} is not written: {error.strerror or error}"
            with contextlib.suppress(OSError):
                spool.unlink(missing_ok=True)  # a full disk must not fill up with halves


def _fill(spool: Path, snapshot: list[tuple[int, int, bytes]], channels: dict, reason: str) -> None:
    with spool.open("wb") as stream:
        stream.write(json.dumps({"channels": channels, "reason": reason}).encode() + b"\n")
        for channel, stamp_ns, data in snapshot:
            stream.write(_RECORD.pack(channel, stamp_ns, len(data)))
            stream.write(data)


def default_folder() -> Path:
    """flight_records in $ROS_HOME, or in ~/.ros."""
    return Path(os.environ.get("ROS_HOME") or Path.home() / ".ros") / "flight_records"


def convert(spool: Path, out: Path) -> None:
    """Makes an mcap file of a spool and removes the spool.

    Raises:
        VmError: a message type whose definition is not installed.
    """
    from mcap.writer import CompressionType, Writer  # 0.1 s, which the controller need not wait for

    with spool.open("rb") as stream, atomic_path(out) as temporary, temporary.open("wb") as target:
        header = json.loads(stream.readline())
        writer = Writer(target, compression=CompressionType.LZ4)
        writer.start(profile="ros2", library="vm_policy_node")
        writer.add_metadata("flight", {"reason": header["reason"]})
        channels = {}
        for number, (topic, kind) in header["channels"].items():
            schema = writer.register_schema(kind, "ros2msg", message_definition(kind).encode())
            channels[int(number)] = writer.register_channel(topic, "cdr", schema)
        while record := stream.read(_RECORD.size):
            channel, stamp_ns, size = _RECORD.unpack(record)
            writer.add_message(channels[channel], stamp_ns, stream.read(size), stamp_ns)
        writer.finish()
    spool.unlink()


def _main() -> None:
    os.nice(_NICE)
    convert(Path(sys.argv[1]), Path(sys.argv[2]))


if __name__ == "__main__":
    from vm_core import command_line

    command_line.run(_main)
