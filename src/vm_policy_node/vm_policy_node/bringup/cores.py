"""Which processor cores the nodes of a start may use: the control loop has one that the others leave alone.

A scheduler that knows no deadlines lets simulator, height map and control loop wait for one another on the same core
while the other cores do less urgent work; niceness cannot mend that, for all three are urgent. Who only looks on gives
way by niceness and may run anywhere.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from vm_policy_node.bringup.nodes import NodeSpec

ONLOOKER_NICE = 10
FEW = 4
"""With so many cores the control loop may run on any, and still only it on the last; with fewer it stays on that one,
where what it needs is in the cache."""


@dataclass(frozen=True)
class Cores:
    """Numbers of the cores for the control loop, and for the nodes that it depends on."""

    control: frozenset[int]
    others: frozenset[int]


def share_out(allowed: Set[int]) -> Cores | None:
    """The cores that this process may use, shared out; None where there is only one."""
    if len(allowed) < 2:
        return None
    own = frozenset({max(allowed)})
    return Cores(own if len(allowed) < FEW else frozenset(allowed), frozenset(allowed) - own)


@contextlib.contextmanager
def shared_cores(nodes: Sequence[NodeSpec], folder: Path | None = None) -> Iterator[Cores | None]:
    """The cores of a start while its nodes run.

    Args:
        nodes: of the start.
        folder: where the lock lies; by default the machine's for temporary files.

    Yields:
        None where no node asks for a core of its own, the system knows no such thing or has one core only, or another
        start on this machine has shared them out: two robots' simulators would meet on what the loops leave.
    """
    if not hasattr(os, "sched_setaffinity") or not any(node.own_core for node in nodes):
        yield None
        return
    handle = os.open(
        (folder or Path(tempfile.gettempdir())) / f"vm-cores-{os.getuid()}.lock", os.O_RDWR | os.O_CREAT, 0o600
    )
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        cores = None
    else:
        cores = share_out(os.sched_getaffinity(0))
    try:
        yield cores
    finally:
        os.close(handle)


def place(pid: int, node: NodeSpec, cores: Cores | None) -> None:
    """Keeps a process that has just begun on its node's cores; one that has ended already is nobody's harm."""
    if cores is not None and not node.optional:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(pid, cores.control if node.own_core else cores.others)


def step_back(pid: int) -> None:
    """Lets a process that has a session of its own wait for others: who looks on must not take time from who walks."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, ONLOOKER_NICE)
        # where the kernel schedules sessions as groups, niceness counts inside one; this is the group's own
        Path(f"/proc/{pid}/autogroup").write_text(str(ONLOOKER_NICE))
