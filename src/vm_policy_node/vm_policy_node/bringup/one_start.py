"""One system at a time in a ROS domain and namespace of this machine: two would command the same robot."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vm_core.errors import VmError


@contextlib.contextmanager
def only_start(domain_id: str, namespace: str, folder: Path | None = None) -> Iterator[None]:
    """Held while the nodes run; the kernel gives it back when its holder dies, however it dies.

    Args:
        domain_id: ROS_DOMAIN_ID of the nodes.
        namespace: of the nodes, or "".
        folder: where the lock lies; by default the machine's for temporary files.

    Raises:
        VmError: another start holds it.
    """
    name = f"vm-bringup-{os.getuid()}-{domain_id}{'-' if namespace else ''}{namespace}.lock"
    # never deleted: who waits for a deleted file would hold a lock that nobody else sees
    handle = os.open((folder or Path(tempfile.gettempdir())) / name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(handle, 20, 0).decode(errors="replace").strip()
            raise VmError(
                f"another start (process {holder}) runs in ROS_DOMAIN_ID={domain_id}"
                f"{f' and namespace {namespace}' if namespace else ''}; end it, or take another domain or --namespace"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
