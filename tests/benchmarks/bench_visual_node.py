"""A visual policy under all running nodes: from the arrival of a depth picture to the command that it led to.

The installed policy of kick_ball; VM_BENCH_VISUAL_TASK names another task, VM_BENCH_VISUAL_POLICY another folder.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from loop_timing import listening

from vm_core.errors import VmError
from vm_policy_node.bringup.start import Sim, installed_policy, start_sim

TASK, SECONDS = os.environ.get("VM_BENCH_VISUAL_TASK", "kick_ball"), 35.0


def figures(seed: int) -> Iterator[dict]:
    policy = os.environ.get("VM_BENCH_VISUAL_POLICY") or installed_policy(TASK)
    with tempfile.TemporaryDirectory(prefix="vm-bench-") as name:
        folder, report = Path(name), Path(name) / "sim.json"
        with listening(folder / "seen.json") as seen:
            options = Sim(
                policy=Path(policy), task=TASK, sim_report=report, duration_s=SECONDS, seed=seed, echo_tick=True
            )
            code = start_sim(options)
        if code:
            raise VmError(f"vm-bringup sim --task {TASK} ended with exit code {code}")
        run = json.loads(report.read_text())
    latency = np.array(seen["picture_latency_ms"])
    if len(latency) < 100:
        raise VmError(f"only {len(latency)} depth pictures led to a command; the policy was {seen['changes']}")
    yield _figure("depth picture to /lowcmd p50", np.percentile(latency, 50), "ms", 25.0)
    yield _figure(f"depth picture to /lowcmd p99, {len(latency)} pictures", np.percentile(latency, 99), "ms", 40.0)
    yield _figure("real-time factor with all nodes and the camera", run["real_time_factor"], "1", 1.0, "higher")
    yield _figure("depth pictures a simulated second", run["pictures"] / run["simulated_s"], "1/s", 30.0, "higher")


def _figure(figure: str, value: float, unit: str, goal: float, better: str = "lower") -> dict:
    return {"figure": figure, "value": round(float(value), 2), "unit": unit, "goal": goal, "better": better}
