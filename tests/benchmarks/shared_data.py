"""Recordings that are never copied into the project: `$VM_SHARED_DATA`, else `shared/data` beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

from vm_core.errors import VmError

FOLDER = Path(os.environ.get("VM_SHARED_DATA", Path(__file__).parents[2].parent / "shared" / "data"))


def shared(name: str) -> Path:
    """A file or folder of the recordings; raises VmError when it is not there."""
    path = FOLDER / name
    if not path.exists():
        raise VmError(f"{name} is not in {FOLDER}; set VM_SHARED_DATA to the folder that holds it")
    return path
