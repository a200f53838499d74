"""Programs that the set-up runs: each in a process group of its own, silent, its failure told in one line."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".setup"
GRACE_S = 5.0
ALIVE_S = 30.0  # a step that takes longer says so this often
_NO_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeout|ReadTimeout|Connection (refused|reset|aborted|broken)|name resolution"
    r"|ProxyError|SSLError|Network is unreachable|from versions: none|Could not resolve|Failed to fetch"
)
_NO_BUILD = re.compile(r"No matching distribution found for (\S+)")


class SetupError(Exception):
    """One line that says what to do."""


def call(command: list[str], problem: str, env: dict[str, str] | None = None) -> None:
    """Runs a program to its end; an interrupt ends all that it has started.

    Raises:
        SetupError: it failed: `problem`, the cause and where its output lies.
    """
    output = STATE / "last_command.txt"
    with output.open("w") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=ROOT,
            start_new_session=True,
            close_fds=False,  # it inherits the lock, so that a killed set-up's programs still hold it
        )
        try:
            code = _wait(process)
        except KeyboardInterrupt:
            _end_group(process)
            raise
    if code:
        raise SetupError(f"{problem}: {cause_of(output.read_text(errors='replace'))} (all output: {output})")


def cause_of(output: str) -> str:
    """Why a program failed and what to do, from what it printed; its last line where nothing is recognized."""
    if "No space left on device" in output or "Errno 28" in output:
        return "the disk is full: make room (also where TMPDIR points) and run it again"
    if "externally-managed" in output or "ensurepip" in output:
        return "Python has no venv module: apt-get install python3-venv, then run it again"
    if _NO_NETWORK.search(output):
        return "the package index does not answer: check network, proxy and `pip config list`, then run it again"
    if unbuilt := _NO_BUILD.search(output):
        return f"the package index has no {unbuilt[1]} for this Python and processor: use Python 3.11 on x86-64"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it printed nothing"


def _wait(process: subprocess.Popen) -> int:
    start = time.monotonic()
    while True:
        try:
            return process.wait(ALIVE_S)
        except subprocess.TimeoutExpired:
            print(f"setup:   at work for {time.monotonic() - start:.0f} s", flush=True)


def _end_group(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
