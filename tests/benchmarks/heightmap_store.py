"""What a walk gave is kept in `out/bench`, so that a run that was stopped goes on where it ended.

Results belong to the code that made them: they lie in a folder named after its sources.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from vm_core.atomic_files import atomic_path

FOLDER = Path(os.environ.get("VM_BENCH_FOLDER", "out/bench")) / "heightmap"
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Store:
    """Arrays by name, of one state of the code.

    Attributes:
        kind: what is kept.
        modules: beginnings of names of the modules whose sources it depends on; those that are loaded count.
    """

    kind: str
    modules: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where the present code's results lie."""
        return FOLDER / f"{self.kind}_{fingerprint(self.modules)}"

    def has(self, name: str) -> bool:
        """Whether it was made already."""
        return self._path(name).is_file()

    def get(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """What is kept under a name; made now if nothing is."""
        path = self._path(name)
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez_compressed(file, **make())  # pyright: ignore[reportArgumentType]
        with np.load(path) as found:
            return dict(found)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name.replace(' ', '_').replace(',', '')}.npz"


@cache  # of the code that runs, whatever is written meanwhile
def fingerprint(modules: tuple[str, ...]) -> str:
    """Of the sources of loaded modules whose names begin so."""
    digest = hashlib.sha256()
    for name, module in sorted(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if name.startswith(modules) and path:
            digest.update(name.encode() + Path(path).read_bytes())
    return digest.hexdigest()[:12]
