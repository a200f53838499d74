"""Mends the CMake exports of the ROS 2 wheels: they name the Python and numpy headers of the machine that built them.

Run by the environment's own Python after each (re)installation of a message wheel; a second run changes nothing.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

import numpy as np

_PYTHON_HEADERS = re.compile(r"/opt/python/[^;\"]*/include/python[0-9.]+")
_NUMPY_HEADERS = re.compile(r"/opt/python/[^;\"]*/numpy/_core/include")


def repair(prefix: Path) -> int:
    """Rewrites the foreign header paths below `prefix`/share; returns how many files changed."""
    changed = 0
    for path in sorted((prefix / "share").glob("*/cmake/*.cmake")):
        text = path.read_text()
        mended = _NUMPY_HEADERS.sub(np.get_include(), text)
        mended = _PYTHON_HEADERS.sub(sysconfig.get_paths()["include"], mended)
        if mended != text:
            path.write_text(mended)
            changed += 1
    return changed


if __name__ == "__main__":
    print(f"repaired {repair(Path(sys.prefix))} CMake exports")
