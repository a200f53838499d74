"""Retargeting of real motion capture at 30 Hz: a person climbs, kneels on, sits on and leaves boxes of up to 0.95 m.

Scored by the definitions of `tools/retarget_metrics.py` beside the recordings, which other retargeters were scored by.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
from shared_data import shared

from vm_core.errors import VmError
from vm_reconstruction.datasets.climb_mocap import FPS, SKELETON_NAMES, load_sequence
from vm_reconstruction.retarget import RetargetResult, retarget
from vm_reconstruction.retarget.variants import at_rate
from vm_sim.g1_model import load_g1_spec

SEQUENCES = ("seq_0", "seq_1", "seq_2")
STRIDE = 4
EGO_FPS = 5.0
# (figure, key of the scores, unit, goal)
FIGURES = (
    ("stance skate, mean", "skate_mean_cm_s", "cm/s", 1.0),
    ("deepest in a box or the ground", "depth_max_cm", "cm", 1.0),
    ("self-collision deeper than 5 mm", "self_share_pct", "% of frames", 1.0),
    ("beyond joint limits", "limit_share_pct", "% of frames", 0.0),
    ("joint acceleration, 99 %", "joint_acc_p99_rad_s2", "rad/s2", 60.0),
    ("foot error, mean", "foot_err_cm", "cm", 3.0),
    ("hand error, mean", "hand_err_cm", "cm", 5.0),
)


def _published_metrics() -> ModuleType:
    path = shared("../tools/retarget_metrics.py")
    spec = importlib.util.spec_from_file_location("retarget_metrics", path)
    if spec is None or spec.loader is None:
        raise VmError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _scores(measures: ModuleType, folder: Path, result: RetargetResult) -> dict[str, float]:
    clip = result.clip
    qpos = np.column_stack([clip.root_pos_world, clip.root_quat_wxyz, clip.joint_pos])
    human = np.load(folder / "joint_positions.npy")[::STRIDE].astype(float)
    scene = measures.load_scene(folder / "multi_boxes.obj")
    model = load_g1_spec(collision="described").compile()
    scores = measures.evaluate(model, qpos, human, list(SKELETON_NAMES), scene, clip.fps, result.metrics["scale"])
    return {**scores, "depth_max_cm": max(scores["pen_box_max_cm"], scores["pen_ground_max_cm"])}


def figures(seed: int) -> Iterator[dict]:
    """Every sequence, speeds in this process's time. Nothing here is random."""
    folders = {name: shared(f"climb/{name}") for name in SEQUENCES}
    measures = _published_metrics()
    result = None
    for name, folder in folders.items():
        motion, scene = load_sequence(folder)
        motion = at_rate(motion, FPS / STRIDE)
        began = time.process_time()
        result = retarget(motion, scene)
        rate = motion.num_frames / (time.process_time() - began)
        figure = f"climb {name}: frames a second of one core, measures of the result included"
        yield {"figure": figure, "value": round(rate, 1), "unit": "1/s", "goal": 100.0, "better": "higher"}
        scores = _scores(measures, folder, result)
        for figure, key, unit, goal in FIGURES:
            value = round(float(scores[key]), 3)
            yield {"figure": f"climb {name}: {figure}", "value": value, "unit": unit, "goal": goal, "better": "lower"}
    assert result is not None
    yield _ego_figure(result)


def _ego_figure(result: RetargetResult) -> dict:
    """Wall-clock rate of the whole command, in a process of its own: pictures need their library before mujoco."""
    with tempfile.TemporaryDirectory(prefix="vm-bench-") as folder:
        result.clip.save(Path(folder) / "clip.npz")
        result.scene.save(Path(folder) / "scene")
        command = [str(Path(sys.executable).parent / "vm-ego"), folder, "--fps", str(EGO_FPS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise VmError(f"vm-ego ended with exit code {done.returncode}: {done.stderr.strip()[-300:]}")
    rate = float(done.stdout.rsplit(":", 1)[1].split()[0])
    name = "ego view, colour and depth at 320x240, with the model's building and encoding"
    return {"figure": name, "value": rate, "unit": "1/s", "goal": 5.0, "better": "higher"}
