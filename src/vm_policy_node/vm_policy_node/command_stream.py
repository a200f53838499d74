"""Motor commands at the robot's own rate, from a process that nothing in the controller's can delay.

The controller writes each new command into a pipe; the stream sends it at once and repeats it until the next. If none
comes for too long, or the pipe ends because the controller has died, it damps on its own, says so, and goes on damping
until the controller damps or is idle. Here is what needs no ROS; `command_stream_node.py` is the process.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from vm_core import g1, unitree_cdr
from vm_core.errors import VmError

IDLE, COMMAND = b"\x00", b"\x01"
FRAME_BYTES = 1 + unitree_cdr.LOW_CMD.itemsize
"""A kind and a LowCmd; shorter than what a pipe takes in one piece."""
READY, DAMPS = b"ready\n", b"damps\n"
"""What the stream says: that it can send, and that it damps on its own."""
AFTERLIFE_S = 2.0
"""For how long the stream damps after the controller has died; then the robot's own timeout takes over."""
_START_TIMEOUT_S = 30.0
_SPILT = 64 * FRAME_BYTES
_DAMPS_ALONE = "the command stream damps on its own: it got no command in time"


def is_soft(command: bytes) -> bool:
    """Whether no joint has a position gain: the controller itself damps."""
    return not unitree_cdr.get_motors(unitree_cdr.parse_low_cmd(command), "kp").any()


def damping_of(command: bytes, damping_kd: float) -> bytes:
    """The same command without position gains: every joint sinks against its velocity gain [Nm s/rad]."""
    record = unitree_cdr.parse_low_cmd(command).copy()
    for name in ("q", "dq", "tau", "kp"):
        unitree_cdr.set_motors(record, name, np.zeros(unitree_cdr.NUM_MOTOR_SLOTS, dtype=np.float32))
    unitree_cdr.set_motors(record, "kd", np.full(g1.NUM_MOTORS, damping_kd, dtype=np.float32))
    record["crc"] = unitree_cdr.low_cmd_crc(record)
    return record.tobytes()


class CommandStream:
    """What to send, and when. Pure: the clock comes in with every call.

    Attributes:
        damping: the stream damps on its own because commands had stopped; only a controller that damps or is idle
            ends it, so that a robot that has begun to sink is not made stiff again.
        over: nothing will be sent any more.
    """

    def __init__(self, rate_hz: float, timeout_s: float, damping_kd: float) -> None:
        """Args: rate of sending [Hz], age of a command after which the stream damps [s], gain while damping."""
        self._period_s, self._timeout_s, self._damping_kd = 1.0 / rate_hz, timeout_s, damping_kd
        self._command: bytes | None = None
        self._came_s = self._due_s = 0.0
        self._ends_s: float | None = None
        self.damping = False

    @property
    def over(self) -> bool:
        return self._ends_s is not None and self._command is None

    def put(self, frames: bytes, now_s: float) -> None:
        """Whole frames from the pipe; only the newest counts, and it is due at once."""
        frame = frames[-FRAME_BYTES:]
        command = frame[1:] if frame[:1] == COMMAND else None
        if self.damping and command is not None and not is_soft(command):
            return
        self._command, self._came_s, self._due_s = command, now_s, now_s
        self.damping = False

    def close(self, now_s: float) -> None:
        """The pipe has ended: damp at once, unless the controller had said that it is idle."""
        if self._ends_s is None:
            self._ends_s = now_s + AFTERLIFE_S
            self._damp()

    def wait_s(self, now_s: float) -> float:
        """Time until something is to be sent; a tenth of a second while idle."""
        return 0.1 if self._command is None else max(self._due_s - now_s, 0.0)

    def take(self, now_s: float) -> bytes | None:
        """The LowCmd to send now, or None if none is due."""
        if self._ends_s is not None and now_s >= self._ends_s:
            self._command = None
        if self._command is None or now_s < self._due_s:
            return None
        if now_s - self._came_s > self._timeout_s:
            self._damp()
        self._due_s += self._period_s
        if self._due_s <= now_s:  # held up: no burst to catch up
            self._due_s = now_s + self._period_s
        return self._command

    def _damp(self) -> None:
        if not self.damping and self._command is not None:
            self._command = damping_of(self._command, self._damping_kd)
            self.damping = True


class StreamClient:
    """The controller's end of the pipe.

    Attributes:
        fault: why commands do not reach the robot any more, or "".
    """

    def __init__(self, topic: str, rate_hz: float, timeout_s: float, damping_kd: float) -> None:
        """Starts the process; `wait_ready` before the first command."""
        arguments = [topic, str(rate_hz), str(timeout_s), str(damping_kd)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vm_policy_node.command_stream_node", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._pipe, self._said = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._pipe, False)
        self._frame = bytearray(FRAME_BYTES)
        self._idle = True
        self.fault = ""

    def wait_ready(self) -> None:
        """Until the process can send.

        Raises:
            VmError: it ended or took too long.
        """
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], _START_TIMEOUT_S)
        if not ready or self._process.stdout.readline() != READY:
            self._process.kill()
            raise VmError("the command stream did not start; its message is above")
        os.set_blocking(self._said, False)

    def send(self, record: np.ndarray | None) -> None:
        """A new LowCmd record, or None: send nothing."""
        if record is None and self._idle:
            return
        damps = self._hears_damping()
        if record is None or self._idle:  # being idle ends that, and what was said meanwhile is over
            self.fault = "" if self.fault == _DAMPS_ALONE else self.fault
        elif damps:
            self.fault = self.fault or _DAMPS_ALONE
        self._idle = record is None
        self._frame[:1] = IDLE if record is None else COMMAND
        if record is not None:
            self._frame[1:] = record.tobytes()
        try:
            os.write(self._pipe, self._frame)
        except BlockingIOError:
            self.fault = "the command stream takes no commands"
        except OSError:
            self.fault = "the command stream has ended"

    def _hears_damping(self) -> bool:
        try:
            return DAMPS in os.read(self._said, 256)
        except BlockingIOError:  # it says nothing
            return False

    def close(self) -> None:
        """Ends the pipe and waits for the process; nothing is sent any more if the last word was None."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(AFTERLIFE_S + 3.0)
        if self._process.poll() is None:
            self._process.kill()


def read_frames(pipe: int, wait_s: float) -> bytes | None:
    """Whole frames that came within the wait, b"" if none did, None when the pipe has ended."""
    readable, _, _ = select.select([pipe], [], [], wait_s)
    if not readable:
        return b""
    data = os.read(pipe, _SPILT)
    while data and len(data) % FRAME_BYTES:  # a signal may cut a read short
        more = os.read(pipe, FRAME_BYTES - len(data) % FRAME_BYTES)
        if not more:
            return None
        data += more
    return data or None


def run_stream(
    stream: CommandStream, pipe: int, publish: Callable[[bytes], None], tell: Callable[[bytes], object]
) -> None:
    """Sends until the pipe has ended and the stream is over.

    Args:
        stream: what to send.
        pipe: where commands come from.
        publish: takes the bytes of a LowCmd.
        tell: takes what the controller is to know; it may have died.
    """
    open_pipe, damped = True, False
    while not stream.over:
        if open_pipe:
            frames = read_frames(pipe, stream.wait_s(time.monotonic()))
        else:
            time.sleep(stream.wait_s(time.monotonic()))
            frames = b""
        if frames is None:
            open_pipe = False
            stream.close(time.monotonic())
        elif frames:
            stream.put(frames, time.monotonic())
        data = stream.take(time.monotonic())
        if data is not None:
            publish(data)
        if stream.damping and not damped:
            with contextlib.suppress(OSError):
                tell(DAMPS)
        damped = stream.damping
