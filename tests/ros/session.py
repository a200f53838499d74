"""Plays a session: nodes of ours as processes, and a program of `sessions/` at their other end that reports."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from vm_policy_node.bringup.nodes import NodeSpec
from vm_policy_node.bringup.processes import node_command

SESSIONS = Path(__file__).with_name("sessions")
PATIENT = {"state_timeout_s": 1.0, "late_cycle_s": 1.0, "late_share": 1.0, "state_lag_s": 5.0, "frozen_s": 2.0}
"""Limits for a machine that others share: it may hold a process up. For every test that is not about lateness."""
END_S = 60.0
"""For how long a process may take to start and end."""
LONGEST_S = 900.0
"""For how long a program may play: its scenes come again where the machine was held up."""


def policy_node(policy: Path | str, namespace: str = "", **parameters: object) -> NodeSpec:
    """The policy node with a policy."""
    values = {"policy": str(policy)} | parameters
    return NodeSpec("vm_policy_node", "vm_policy_node", "vm-policy-node", values, namespace=namespace)  # type: ignore[arg-type]


def start(node: NodeSpec, environment: dict[str, str]) -> subprocess.Popen:
    """A node's process; what it says is in its `stdout`."""
    pipe = subprocess.PIPE
    return subprocess.Popen(node_command(node), env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True)


def ask(name: str, environment: dict[str, str], *arguments: str, timeout_s: float = LONGEST_S) -> tuple[dict, str]:
    """What a program of `sessions/` reports, or an empty report, and all else that it said."""
    command = [sys.executable, str(SESSIONS / f"{name}.py"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout_s)
    reports = [line[7:] for line in done.stdout.splitlines() if line.startswith("REPORT ")]
    return json.loads(reports[-1]) if reports else {}, done.stdout + done.stderr


def play(
    name: str,
    nodes: Sequence[NodeSpec],
    environment: dict[str, str],
    *arguments: str,
    killed: int | None = None,
    timeout_s: float = LONGEST_S,
) -> tuple[dict, str]:
    """The session's report, and what the nodes said.

    Args:
        name: of the program.
        nodes: that run meanwhile and are interrupted afterwards.
        environment: of all processes.
        arguments: of the program.
        killed: which node's process id comes before them, for it is to be killed.
        timeout_s: for the program.
    """
    processes = [start(node, environment) for node in nodes]
    first = [] if killed is None else [str(processes[killed].pid)]
    try:
        report, told = ask(name, environment, *first, *arguments, timeout_s=timeout_s)
    finally:
        said = ""
        for process in reversed(processes):
            process.send_signal(signal.SIGINT)
            said += process.communicate(timeout=END_S)[0]
    print(report)
    assert report, told + said
    return report, said
