"""Pages that stay in memory, seen in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SEEN = """
import resource, sys
from vm_core.memory_lock import stay_in_memory
if len(sys.argv) > 1:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
    import os; os.geteuid = lambda: 1000
held = stay_in_memory()
some = bytearray(32 * 2**20)
locked_kb = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmLck"))
print(held, locked_kb)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mlockall is Linux'")


def seen(*arguments: str) -> tuple[bool, int]:
    """Whether the process says that it stays, and how much of it may [kB]."""
    out = subprocess.run([sys.executable, "-c", SEEN, *arguments], capture_output=True, text=True, check=True)
    held, locked_kb = out.stdout.split()
    return held == "True", int(locked_kb)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, or no limit on locked memory")
def test_what_comes_later_stays_too():
    held, locked_kb = seen()
    if not held:
        pytest.skip("root without the right to lock memory")
    assert locked_kb > 32 * 1024


def test_below_a_limit_nothing_is_locked():
    assert seen("limited") == (False, 0)
