"""The command stream: its pace, its own damping, its pipe."""

import os
import subprocess
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from vm_core import g1, unitree_cdr
from vm_core.errors import VmError
from vm_policy_node import command_stream
from vm_policy_node.command_stream import (
    AFTERLIFE_S,
    COMMAND,
    DAMPS,
    FRAME_BYTES,
    IDLE,
    CommandStream,
    StreamClient,
    read_frames,
    run_stream,
)

RATE_HZ, TIMEOUT_S, KD = 500.0, 0.1, 5.0


def command(q: float = 0.3) -> bytes:
    record = unitree_cdr.new_low_cmd()
    record["mode_machine"] = 5
    for name, value in (("mode", 1), ("q", q), ("kp", 40.0), ("kd", 1.0)):
        unitree_cdr.set_motors(record, name, np.full(g1.NUM_MOTORS, value))
    record["crc"] = unitree_cdr.low_cmd_crc(record)
    return record.tobytes()


def stream() -> CommandStream:
    return CommandStream(RATE_HZ, TIMEOUT_S, KD)


def sent(one: CommandStream, start_s: float, seconds: float, step_s: float = 0.001) -> list[tuple[float, bytes]]:
    found = []
    for k in range(round(seconds / step_s)):
        now = start_s + k * step_s
        data = one.take(now)
        if data is not None:
            found.append((now, data))
    return found


def is_damping(data: bytes) -> bool:
    record = unitree_cdr.parse_low_cmd(data)
    assert int(record["crc"]) == unitree_cdr.low_cmd_crc(record)
    kp, kd = (unitree_cdr.get_motors(record, name)[: g1.NUM_MOTORS] for name in ("kp", "kd"))
    assert np.all(unitree_cdr.get_motors(record, "mode")[: g1.NUM_MOTORS] == 1)
    return not kp.any() and bool(np.all(kd == KD))


def test_nothing_is_sent_before_the_first_command():
    one = stream()
    assert not sent(one, 0.0, 1.0)
    assert one.wait_s(0.0) == 0.1


def test_a_command_is_sent_at_once_and_repeated_at_the_rate():
    one = stream()
    one.put(COMMAND + command(), 1.0)
    assert one.wait_s(1.0) == 0.0
    found = sent(one, 1.0, 0.09)
    assert found[0] == (1.0, command())
    assert len(found) == pytest.approx(0.09 * RATE_HZ, abs=1)
    one.put(COMMAND + command(0.1) + COMMAND + command(0.2), 1.0905)  # only the newest counts
    assert one.take(1.0905) == command(0.2)
    one.put(IDLE + bytes(FRAME_BYTES - 1), 1.1)
    assert not sent(one, 1.1, 0.5)


def test_without_new_commands_it_damps():
    one = stream()
    one.put(COMMAND + command(), 1.0)
    found = sent(one, 1.0, 0.3)
    first = next(now for now, data in found if is_damping(data))
    assert first == pytest.approx(1.0 + TIMEOUT_S, abs=0.004)
    assert all(is_damping(data) for now, data in found if now >= first)
    assert one.damping


def test_its_damping_ends_only_when_the_controller_damps_or_is_idle():
    """A robot that has begun to sink is not made stiff again by a controller that was only late."""
    one = stream()
    one.put(COMMAND + command(), 1.0)
    sent(one, 1.0, 0.3)
    one.put(COMMAND + command(), 1.4)
    assert one.damping and all(is_damping(data) for _, data in sent(one, 1.4, 0.05))
    soft = command_stream.damping_of(command(), 2.0)
    one.put(COMMAND + soft, 1.5)
    assert not one.damping and sent(one, 1.5, 0.05)[-1][1] == soft
    sent(one, 1.5, 0.3)
    one.put(IDLE + bytes(FRAME_BYTES - 1), 1.8)
    assert not sent(one, 1.8, 0.2)
    one.put(COMMAND + command(), 2.0)
    assert sent(one, 2.0, 0.05)[-1][1] == command()


def test_when_the_controller_dies_it_damps_at_once_and_ends():
    one = stream()
    one.put(COMMAND + command(), 1.0)
    one.close(1.01)
    found = sent(one, 1.01, AFTERLIFE_S + 0.5)
    assert all(is_damping(data) for _, data in found)
    assert found[-1][0] == pytest.approx(1.01 + AFTERLIFE_S, abs=0.01)
    assert one.over


def test_when_an_idle_controller_ends_nothing_is_sent():
    one = stream()
    one.put(IDLE + bytes(FRAME_BYTES - 1), 1.0)
    one.close(1.01)
    assert one.over


def test_held_up_it_does_not_catch_up_in_a_burst():
    one = stream()
    one.put(COMMAND + command(), 1.0)
    assert one.take(1.0) and one.take(1.05)
    assert one.take(1.051) is None


def test_through_a_pipe_until_it_ends():
    read_end, write_end = os.pipe()
    seen: list[tuple[float, bytes]] = []
    said: list[bytes] = []
    thread = threading.Thread(
        target=run_stream, args=(stream(), read_end, lambda data: seen.append((time.monotonic(), data)), said.append)
    )
    thread.start()
    for k in range(5):
        frame = COMMAND + command(0.01 * k)
        os.write(write_end, frame[:500])  # in two pieces
        os.write(write_end, frame[500:])
        assert comes(lambda k=k: command(0.01 * k) in [data for _, data in seen])
    assert comes(lambda: said == [DAMPS])
    assert is_damping(seen[-1][1])
    os.write(write_end, COMMAND + command())
    os.write(write_end, IDLE + bytes(FRAME_BYTES - 1))
    os.close(write_end)
    thread.join(20.0)
    assert not thread.is_alive()
    os.close(read_end)


def test_nobody_to_tell_does_not_end_its_damping(monkeypatch):
    """Its controller was killed: the pipe that it would speak into is broken, too."""
    monkeypatch.setattr(command_stream, "AFTERLIFE_S", 0.3)

    def tell(_: bytes) -> None:
        raise BrokenPipeError

    read_end, write_end = os.pipe()
    os.write(write_end, COMMAND + command())
    os.close(write_end)
    seen: list[bytes] = []
    run_stream(stream(), read_end, seen.append, tell)
    os.close(read_end)
    assert len(seen) > 3 and all(is_damping(data) for data in seen[1:])


def comes(reached: Callable[[], bool]) -> bool:
    """Whether something comes true in 20 s."""
    end_s = time.monotonic() + 20.0
    while not reached() and time.monotonic() < end_s:
        time.sleep(0.002)
    return reached()


@pytest.fixture
def program(monkeypatch):
    """Lets the client start a program of ours in place of the stream's process."""

    def start(body: str) -> StreamClient:
        arguments = ["/bin/sh", "-c", body]
        real = subprocess.Popen
        monkeypatch.setattr(command_stream.subprocess, "Popen", lambda _, **pipes: real(arguments, **pipes))
        return StreamClient("/lowcmd", RATE_HZ, TIMEOUT_S, KD)

    return start


def test_a_stream_that_damps_alone_is_a_fault_until_the_controller_is_idle(program):
    client = program("echo ready; head -c 1 >/dev/null; echo damps; exec cat >/dev/null")
    client.wait_ready()
    client.send(record())
    assert comes(lambda: client.send(record()) or client.fault.startswith("the command stream damps on its own"))
    client.send(None)
    assert client.fault == ""
    client.send(record())
    assert client.fault == ""
    client.close()


def record(q: float = 0.3) -> np.ndarray:
    return unitree_cdr.parse_low_cmd(command(q))


def test_the_client_writes_whole_frames_and_says_idle_once(program, tmp_path):
    written = tmp_path / "frames"
    client = program(f"echo ready; exec cat > {written}")
    client.wait_ready()
    client.send(None)  # nothing was sent before: nothing to end
    client.send(record(0.1))
    client.send(None)
    client.send(None)
    client.close()
    frames = written.read_bytes()
    assert client.fault == ""
    assert len(frames) == 2 * FRAME_BYTES
    assert frames[:FRAME_BYTES] == COMMAND + command(0.1)
    assert frames[FRAME_BYTES : FRAME_BYTES + 1] == IDLE


def test_a_stream_that_does_not_start_is_an_error(program):
    client = program("echo no; exit 2")
    with pytest.raises(VmError, match="the command stream did not start"):
        client.wait_ready()
    client.close()


def test_a_stream_that_has_ended_is_a_fault(program):
    client = program("echo ready")
    client.wait_ready()
    client._process.wait(20)
    client.send(record())
    assert client.fault == "the command stream has ended"
    client.close()


def test_a_stream_that_takes_nothing_is_a_fault_and_never_waited_for(program):
    client = program("echo ready; exec sleep 60")
    client.wait_ready()
    for _ in range(2000):  # more than the pipe holds
        client.send(record())
    assert client.fault == "the command stream takes no commands"
    client._process.kill()
    client.close()


def test_a_pipe_that_ends_within_a_frame_has_ended():
    read_end, write_end = os.pipe()
    os.write(write_end, COMMAND + command()[:100])
    os.close(write_end)
    assert read_frames(read_end, 1.0) is None
    os.close(read_end)
