"""Pages that a process has once touched stay in memory: whoever keeps time must not wait for a disk."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

_CURRENT, _FUTURE, _ON_FAULT = 1, 2, 4
"""Flags of mlockall(2), `bits/mman-linux.h`: what is mapped, what will be, and neither before it is touched."""


def stay_in_memory() -> bool:
    """Keeps the system from taking pages of this process away, code that is rarely needed included.

    Whether it does: only on Linux, and only for root or without a limit on locked memory (`ulimit -l unlimited`); below
    a limit, the first allocation beyond it would fail.
    """
    if sys.platform != "linux" or not _may_lock():
        return False
    with contextlib.suppress(OSError, AttributeError):  # a C library without it
        return ctypes.CDLL(None).mlockall(_CURRENT | _FUTURE | _ON_FAULT) == 0
    return False


def _may_lock() -> bool:
    import resource  # not on Windows

    return os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
