"""Starts the nodes as processes of one group each, prefixes what they print, and ends all of them together."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vm_core.errors import VmError
from vm_core.ros_environment import ros_environment
from vm_policy_node.bringup.cores import Cores, place, shared_cores, step_back
from vm_policy_node.bringup.nodes import NodeSpec, Parameter
from vm_policy_node.bringup.one_start import only_start

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded before any fork
_PR_SET_PDEATHSIG = 1
_POLL_S = 0.1
_GRACE_S = 8.0
_DISCOVERY_PORT, _PORTS_A_DOMAIN, _DOMAINS = 7400, 250, 100
_UNICAST_OFFSET = 10
_FULL_ROS = "it comes with a full ROS 2 (apt), not with the wheels"
_HINTS = {"rviz2": f"{_FULL_ROS}; use --foxglove", "joy": _FULL_ROS, "teleop_twist_joy": _FULL_ROS}


def run_nodes(nodes: Sequence[NodeSpec], *, timeout_s: float = 0.0, variables: Mapping[str, str] | None = None) -> int:
    """Runs until a node that ends all is done, one fails, the time is over or Ctrl-C comes.

    Args:
        nodes: in the order of their start.
        timeout_s: after which all end; 0: never.
        variables: of their environment, beside ours.

    Returns:
        0, or the exit code of the first node that failed.

    Raises:
        VmError: an executable is not installed, or another start runs in the same domain.
        KeyboardInterrupt: after all nodes have ended.
    """
    commands = [(node, node_command(node)) for node in nodes]
    _end_on_signals()
    environment = ros_environment() | {"ROS_DOMAIN_ID": pick_domain_id(), "PYTHONUNBUFFERED": "1"}
    environment.setdefault("OMP_NUM_THREADS", "1")
    environment.update(variables or {})
    namespace = nodes[0].namespace if nodes else ""
    with only_start(environment["ROS_DOMAIN_ID"], namespace), shared_cores(nodes) as cores:
        return _run(commands, environment, timeout_s, cores)


def _run(
    commands: list[tuple[NodeSpec, list[str]]], environment: dict[str, str], timeout_s: float, cores: Cores | None
) -> int:
    running: list[tuple[NodeSpec, subprocess.Popen]] = []
    try:
        for node, command in commands:
            running.append((node, _start(node, command, environment, cores)))
        return _watch(running, time.monotonic() + timeout_s if timeout_s else None)
    finally:
        _end_on_signals(signal.SIG_IGN)  # a second Ctrl-C must not leave nodes behind
        _end([process for node, process in running if node.ends_first])
        _end([process for _, process in running])
        _end_on_signals()


def _end_on_signals(handler: Any = signal.default_int_handler) -> None:
    """Ctrl-C and a supervisor's SIGTERM both end the nodes, also when a shell has started us with SIGINT ignored."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, handler)


def node_command(node: NodeSpec) -> list[str]:
    """The command line of a node; its script stands beside this Python or on the PATH."""
    own = Path(sys.executable).parent
    script = _find(own, node)
    arguments = [] if node.package.startswith("vm_") else ["-r", f"__node:={node.name}"]
    arguments += ["-r", f"__ns:=/{node.namespace}"] if node.namespace else []
    arguments += [part for name, to in node.remappings.items() for part in ("-r", f"{name}:={to}")]
    arguments += ["--params-file", node.params_file] if node.params_file else []
    arguments += [part for name, value in node.parameters.items() for part in ("-p", f"{name}:={_yaml(value)}")]
    return [script, *node.arguments, "--ros-args", *arguments]


def pick_domain_id() -> str:
    """`$ROS_DOMAIN_ID` if set, else a domain whose first participant's UDP port is free on this machine."""
    given = os.environ.get("ROS_DOMAIN_ID")
    if given:
        return given
    start = random.randrange(_DOMAINS)
    for domain in (1 + (start + k) % _DOMAINS for k in range(_DOMAINS)):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", _DISCOVERY_PORT + _PORTS_A_DOMAIN * domain + _UNICAST_OFFSET))
                return str(domain)
            except OSError:
                continue
    raise VmError(f"no free ROS domain among 1..{_DOMAINS}; set ROS_DOMAIN_ID")


def _find(folder: Path, node: NodeSpec) -> str:
    """Beside this Python, on the PATH, or among the programs of a sourced ROS 2's package."""
    prefixes = [Path(part) for part in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if part]
    places = [folder / node.executable, *(prefix / "lib" / node.package / node.executable for prefix in prefixes)]
    found = next((str(place) for place in places if place.is_file()), None) or shutil.which(node.executable)
    if found is None:
        hint = _HINTS.get(node.package, "run `make setup`, then `vm-doctor`")
        raise VmError(f"{node.executable} is not installed; {hint}")
    return found


def _yaml(value: Parameter) -> str:
    return json.dumps(value)  # JSON is YAML; quotes keep a path from being read as a number


def _start(node: NodeSpec, command: list[str], environment: dict[str, str], cores: Cores | None) -> subprocess.Popen:
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        start_new_session=True,  # so that Ctrl-C reaches them once, through us
        preexec_fn=_end_with_parent(os.getpid()),
    )
    place(process.pid, node, cores)
    if node.gives_way:
        step_back(process.pid)
    threading.Thread(target=_relay, args=(node.name, process), daemon=True).start()
    return process


def _end_with_parent(parent: int) -> Callable[[], None] | None:
    """What a new process does first, so that it is interrupted when we die, even by SIGKILL; Linux alone knows how.

    A robot must not walk on under nodes that nobody can end any more.
    """
    if _LIBC is None:
        return None

    def ask() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:  # died meanwhile
            os._exit(1)

    return ask


def _relay(name: str, process: subprocess.Popen) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        print(f"[{name}] {line.rstrip()}", flush=True)


def _watch(running: list[tuple[NodeSpec, subprocess.Popen]], until_s: float | None) -> int:
    waited = list(running)
    while until_s is None or time.monotonic() < until_s:
        for node, process in list(waited):
            code = process.poll()
            if code is None:
                continue
            if code == 0 and node.ends_all:
                return 0
            if not goes_on(node, code):
                print(f"[{node.name}] ended with exit code {code}; ending the others", flush=True)
                return 128 - code if code < 0 else code or 1  # ended by a signal: as shells count
            if code or not node.may_end:
                print(f"[{node.name}] ended with exit code {code}; the others go on", flush=True)
            waited.remove((node, process))
        time.sleep(_POLL_S)
    return 0


def goes_on(node: NodeSpec, code: int) -> bool:
    """Whether the system goes on after a node's end."""
    return node.optional or (code == 0 and node.may_end)


def _end(processes: list[subprocess.Popen]) -> None:
    """Interrupts, then terminates, then kills what is left."""
    for number, grace_s in ((signal.SIGINT, _GRACE_S), (signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0)):
        alive = [process for process in processes if process.poll() is None]
        for process in reversed(alive):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        limit_s = time.monotonic() + grace_s
        while time.monotonic() < limit_s and any(process.poll() is None for process in alive):
            time.sleep(_POLL_S)
