"""What listens beside the running nodes, and the figures of their times with the machine's share beside them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vm_core.ros_environment import ros_environment
from vm_policy_node.bringup.processes import pick_domain_id

HERE = Path(__file__).parent
LOADED = "both cores loaded by niced jobs"
_BURN = """
import os, pathlib
os.nice(19)
group = pathlib.Path("/proc/self/autogroup")  # where sessions are scheduled as groups, only this makes one wait
if group.is_file():
    group.write_text("19")
while True: pass
"""


@contextlib.contextmanager
def listening(path: Path) -> Iterator[dict]:
    """A monitor and a bare echo beside the nodes that run meanwhile, in a ROS domain of their own.

    Yields:
        What the monitor saw, there afterwards.
    """
    os.environ["ROS_DOMAIN_ID"] = _free_domain()
    seen: dict = {}
    environment = ros_environment() | {"ROS_DOMAIN_ID": os.environ["ROS_DOMAIN_ID"]}
    processes = [
        subprocess.Popen([sys.executable, str(HERE / name), *arguments], env=environment)
        for name, arguments in (("loop_monitor.py", [str(path)]), ("bare_echo.py", []))
    ]
    try:
        with contextlib.redirect_stdout(sys.stderr):  # the nodes' logs; stdout carries figures only
            yield seen
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=20)
    seen |= json.loads(path.read_text())


@contextlib.contextmanager
def niced_load() -> Iterator[None]:
    """One job on each core that never sleeps and gives way to all others."""
    jobs = [subprocess.Popen([sys.executable, "-c", _BURN], start_new_session=True) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for job in jobs:
            job.kill()
            job.wait()


def times(seen: dict, how: str, period_goal_ms: float) -> Iterator[dict]:
    """Latency and period of the node, then of the bare echo beside it."""
    for who, key in (("", ""), (", bare echo beside it", "bare_")):
        latency_ms, period_ms = seen[f"{key}latency_ms"], seen[f"{key}period_ms"]
        if not latency_ms or not period_ms:
            continue
        for share, goal in ((50, 2.0), (99, 6.0)):
            yield figure(f"/lowstate to /lowcmd p{share}{how}{who}", np.percentile(latency_ms, share), goal)
        error_ms = np.abs(np.array(period_ms) - 20.0)
        yield figure(f"50 Hz period error p99{how}{who}", np.percentile(error_ms, 99), period_goal_ms)


def figure(text: str, value: float, goal: float, unit: str = "ms") -> dict:
    """A figure that is to be low."""
    return {"figure": text, "value": round(float(value), 3), "unit": unit, "goal": goal, "better": "lower"}


def _free_domain() -> str:
    os.environ.pop("ROS_DOMAIN_ID", None)
    return pick_domain_id()
