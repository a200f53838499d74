"""A real phone video (254 frames, hand-held) from the file to the robot's video and the report, by the command."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from shared_data import shared

from vm_core.errors import VmError

VIDEO, HEIGHT_M = "video/sitting_standing.mp4", 1.75
GOAL_S = 120.0


def figures(seed: int) -> Iterator[dict]:
    """Wall-clock time of all stages in an empty folder; nothing here is random."""
    command = [str(Path(sys.executable).parent / "vm-reconstruct"), str(shared(VIDEO)), "--height", str(HEIGHT_M)]
    with tempfile.TemporaryDirectory(prefix="vm-bench-") as folder:
        out = Path(folder) / "out"
        began = time.perf_counter()
        code = subprocess.run([*command, "--out", str(out)], stdout=sys.stderr, check=False).returncode
        seconds = time.perf_counter() - began
        if code:
            raise VmError(f"vm-reconstruct ended with exit code {code}")
        if not (out / "report.html").is_file():
            raise VmError("vm-reconstruct wrote no report.html")
    name = "phone video end to end, 254 frames"
    yield {"figure": name, "value": round(seconds, 2), "unit": "s", "goal": GOAL_S, "better": "lower"}
