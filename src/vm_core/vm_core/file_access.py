"""Which files a node may touch: those that its deployer allows, by a variable that no topic reaches."""

from __future__ import annotations

import os
from pathlib import Path

from vm_core.errors import VmError

ALLOWED_VARIABLE = "VM_ALLOWED_PATHS"


def allowed_path(path: Path | str, what: str) -> Path:
    """The path with every link followed, if it lies in an allowed folder.

    Args:
        path: that a parameter names.
        what: the parameter, for the message.

    Raises:
        VmError: `VM_ALLOWED_PATHS` (folders, with colons between them) is set and none of them holds the path.
    """
    resolved = Path(path).expanduser().resolve()
    allowed = os.environ.get(ALLOWED_VARIABLE)
    if allowed is None:
        return resolved
    folders = [Path(folder).resolve() for folder in allowed.split(os.pathsep) if folder]
    if any(resolved.is_relative_to(folder) for folder in folders):
        return resolved
    there = ", ".join(map(str, folders)) or "nothing"
    raise VmError(f"{what} {resolved} is not allowed here; {ALLOWED_VARIABLE} allows {there}")
