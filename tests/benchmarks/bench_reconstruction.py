"""The joint optimization: time and memory on one core, and its errors on the synthetic set under the noisy oracle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vm_core.errors import VmError
from vm_reconstruction.datasets.make_dataset import DatasetConfig, make_dataset
from vm_reconstruction.evaluation.dataset import evaluate_dataset, print_table

# A clip of any length from a short one: there and back again, so that motion stays continuous.
SOLVE = """
import json, resource, sys, time
import numpy as np
from dataclasses import replace
from pathlib import Path
from vm_reconstruction.datasets.synthetic.video_truth import VideoTruth
from vm_reconstruction.frontends.noisy_oracle import observe
from vm_reconstruction.frontends.oracle_noise import OracleNoise
from vm_reconstruction.solver.joint import solve
video, frames, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
seen = observe(VideoTruth.load(video), OracleNoise(), seed)
there_and_back = np.concatenate([np.arange(seen.num_frames), np.arange(seen.num_frames - 2, 0, -1)])
index = np.resize(there_and_back, frames)
cut = {n: getattr(seen, n)[index] for n in ("R_world_camera", "camera_center", "depth", "mask")}
arrays = ("xy_px", "confidence", "points_camera", "found")
people = tuple(replace(p, **{n: getattr(p, n)[index] for n in arrays}) for p in seen.people)
seen = replace(seen, people=people, **cut)
began = time.process_time()  # of its one core, whoever else is on it
found = solve.solve(seen)
seconds = time.process_time() - began
peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "peak_mb": peak_mb, "iterations": found.iterations}))
"""


def _solve(video: Path, frames: int, seed: int) -> dict:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SOLVE, str(video), str(frames), str(seed)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise VmError(f"the solver ended with exit code {done.returncode}: {done.stderr.strip()[-300:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _figure(name: str, value: float, unit: str, goal: float, better: str = "lower") -> dict:
    return {"figure": name, "value": round(value, 4), "unit": unit, "goal": goal, "better": better}


def figures(seed: int) -> Iterator[dict]:
    """Speed on one core, then all 24 videos with every method."""
    with tempfile.TemporaryDirectory(prefix="vm-bench-") as folder:
        videos = make_dataset(DatasetConfig(Path(folder) / "set", seed=seed, pictures=False))
        short, long = _solve(videos[1], 300, seed), _solve(videos[1], 3000, seed)
        yield _figure("joint optimization, 300 frames, one person, cold start, one core", short["seconds"], "s", 3.0)
        yield _figure("3,000 frames against 300", long["seconds"] / short["seconds"], "x", 12.0)
        yield _figure("peak memory, 3,000 frames", long["peak_mb"] / 1024, "GB", 1.0)
        names = ["published start", "published", "joint start", "joint"]
        result = evaluate_dataset(Path(folder) / "set", Path(folder) / "out", names, seed, 1.0)
        print_table(result)
        yield from _against(result["summary"])


def _against(summary: dict) -> Iterator[dict]:
    ours, theirs = summary["joint"], summary["published"]
    start, own_start = summary["published start"], summary["joint start"]
    for key, name, goal in (("w_mpjpe_mm", "W-MPJPE", 0.25), ("wa_mpjpe_mm", "WA-MPJPE", 0.35)):
        yield _figure(f"{name}, against the published first guess", ours[key] / start[key], "ratio", goal)
        yield _figure(f"{name}, against our first guess", ours[key] / own_start[key], "ratio", goal)
    yield _figure("scale error, median", ours["scale_percent_abs_median"], "%", 2.0)
    for key, name, goal in (
        ("w_mpjpe_mm", "W-MPJPE", 0.7), ("chamfer_m", "Chamfer", 0.7), ("skate_cm_s", "foot skate", 1 / 3)
    ):  # fmt: skip
        yield _figure(f"{name}, against the published objective", ours[key] / theirs[key], "ratio", round(goal, 3))
    for name, true, goal in (("tread", "steps_true", 1.0), ("edge", "edges_true", 2.0)):
        found = ours[f"{name}s_found"] / max(ours[true], 1.0)
        yield _figure(f"{name}s found", found, "share", 1.0, "higher")
        yield _figure(f"{name} error, median", ours[f"{name}_cm_median"] or float("nan"), "cm", goal)
    yield _figure("pieces of a terrain, most", ours["pieces_most"] or float("nan"), "pieces", 64.0)
    yield _figure("drop test of the terrains, worst", ours["drop_mm_most"] or float("nan"), "mm", 5.0)
