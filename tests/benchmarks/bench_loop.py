"""The closed loop: from the demo's video to the top of its steps under the running nodes, and the loop's times."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from loop_timing import listening, times

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_policy_node.bringup import demo
from vm_policy_node.bringup.demo_result import top_line

TIMES = ("latency_ms", "period_ms", "bare_latency_ms", "bare_period_ms")
STARTS = int(os.environ.get("VM_BENCH_STARTS", "20"))


def figures(seed: int) -> Iterator[dict]:
    """Reconstruction errors first, then the starts; each figure as it is known."""
    with tempfile.TemporaryDirectory(prefix="vm-bench-") as name:
        folder = Path(name)
        yield from _reconstruction(folder / "reconstruction")
        if not demo.DEMO_POLICY.is_file():
            raise VmError(f"{demo.DEMO_POLICY.name} is not there; train it, then measure the loop")
        yield from _starts(folder / "reconstruction" / "scene", folder, seed)


def _figure(figure: str, value: float, unit: str, goal: float, better: str = "lower") -> dict:
    return {"figure": figure, "value": round(float(value), 4), "unit": unit, "goal": goal, "better": better}


def _reconstruction(out: Path) -> Iterator[dict]:
    _call("vm-reconstruct", str(demo.DEMO_VIDEO), "--height", str(demo.DEMO_HEIGHT_M), "--out", str(out))
    _call("vm-evaluate-reconstruction", str(out), "--truth", str(demo.DEMO_TRUTH))
    errors = json.loads((out / "evaluation.json").read_text())
    yield _figure("demo video: pelvis error", errors["pelvis_error_m"], "m", 0.10)
    yield _figure("demo video: joint error, root-aligned", errors["joint_error_m"], "m", 0.08)
    yield _figure("demo video: scale error", errors["scale_error"], "1", 0.05)


def _starts(scene_folder: Path, folder: Path, seed: int) -> Iterator[dict]:
    scene = SceneAsset.load(scene_folder)
    reached, factors = [], []
    seen_all: dict[str, list[float]] = {key: [] for key in TIMES}
    for start in range(STARTS):
        out = folder / f"start_{start}"
        run, seen = _one_start(scene_folder, out, seed + start)
        position = run["pelvis_pos_world"]
        reached.append(top_line(scene, None if position is None else np.array(position))[1])
        for key in TIMES:
            seen_all[key] += seen[key]
        factors.append(run["real_time_factor"])
        print(f"start {start + 1}/{STARTS}: {'top' if reached[-1] else 'NOT the top'}", file=sys.stderr)
    yield _figure(f"top step reached, {STARTS} starts", np.mean(reached), "1", 0.9, "higher")
    yield _figure("real-time factor with all nodes, least of the starts", min(factors), "1", 1.0, "higher")
    yield from times(seen_all, "", 2.0)


def _one_start(scene: Path, out: Path, seed: int) -> tuple[dict, dict]:
    """The policy node's report with the simulator's real-time factor, and what the monitor saw."""
    out.mkdir(parents=True)
    with listening(out / "seen.json") as seen:
        run = demo.run_in_scene(demo.DEMO_POLICY, scene, out, seed, echo_tick=True)
    return run, seen


def _call(script: str, *arguments: str) -> None:
    path = Path(sys.executable).parent / script
    code = subprocess.run([str(path), *arguments], stdout=sys.stderr, check=False).returncode
    if code:
        raise VmError(f"{script} ended with exit code {code}")
