"""State to command, and the period, with all nodes and the simulator: quiet, then both cores loaded by niced jobs.

The committed walker stands on flat ground beside its height map. `VM_BENCH_LATENCY_S` seconds each, 40 by default. A
bare echo that runs beside the nodes tells by what of it the machine itself is late.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from loop_timing import LOADED, listening, niced_load, times

from vm_core.scene_asset import SceneAsset
from vm_policy_node.bringup.demo import DEMO_POLICY
from vm_policy_node.bringup.nodes import node_list
from vm_policy_node.bringup.processes import run_nodes
from vm_policy_node.bringup.system import System

RUN_S = float(os.environ.get("VM_BENCH_LATENCY_S", "40"))


def figures(seed: int) -> Iterator[dict]:
    """Latency and period, ours and the machine's."""
    with tempfile.TemporaryDirectory(prefix="vm-bench-") as folder:
        yield from _running(Path(folder), seed, "quiet", 2.0)
        with niced_load():
            yield from _running(Path(folder), seed, LOADED, 5.0)


def _running(folder: Path, seed: int, how: str, period_goal_ms: float) -> Iterator[dict]:
    policy, scene = DEMO_POLICY.with_name("g1_walk.onnx"), folder / "scene"
    SceneAsset(source="flat ground").save(scene)
    system = System(policy=str(policy), scene=str(scene), duration_s=RUN_S, seed=seed, echo_tick=True)
    with listening(folder / "seen.json") as seen:
        run_nodes(node_list(system))
    if not seen["period_ms"]:
        print(f"{how}: the policy did not run", file=sys.stderr)
    yield from times(seen, f", all nodes, {how}", period_goal_ms)
