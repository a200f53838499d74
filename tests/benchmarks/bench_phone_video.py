"""A real phone video (254 frames, hand-held) by the command: time, fit to the picture, the clip, whose height rules."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from shared_data import shared

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_reconstruction.stages.body import BodyTrack

VIDEO, HEIGHTS_M = "video/sitting_standing.mp4", (1.7, 1.8)
GOAL_S = 180.0


def figures(seed: int) -> Iterator[dict]:
    """Wall-clock time of all stages in an empty folder, then the scene again with another height; nothing is random."""
    name = "phone video, 254 frames"
    with tempfile.TemporaryDirectory(prefix="vm-bench-") as folder:
        out = Path(folder) / "out"
        began = time.perf_counter()
        _reconstruct(out, HEIGHTS_M[0])
        yield _figure(f"{name}: end to end", time.perf_counter() - began, "s", GOAL_S)
        pixels = BodyTrack.load(out / "stages" / "body.npz").reprojection_px
        yield _figure(f"{name}: reprojection, median at 540x960", float(np.median(pixels)), "px", 10.0)
        metrics = json.loads((out / "stages" / "retarget.json").read_text())
        yield _figure(f"{name}: stance skate of the clip", 100 * metrics["stance_skate_mean_m_s"], "cm/s", 3.0)
        yield _figure(f"{name}: deepest penetration of the clip", 100 * metrics["penetration_max_m"], "cm", 1.0)
        sizes = [_size(out)]
        _reconstruct(out, HEIGHTS_M[1], "--until", "scene")
        sizes.append(_size(out))
    off = abs(sizes[1] / sizes[0] / (HEIGHTS_M[1] / HEIGHTS_M[0]) - 1.0)
    yield _figure(f"{name}: scene of two heights against their ratio", 100 * off, "%", 1.0)


def _reconstruct(out: Path, height_m: float, *more: str) -> None:
    command = [str(Path(sys.executable).parent / "vm-reconstruct"), str(shared(VIDEO)), "--height", str(height_m)]
    code = subprocess.run([*command, "--out", str(out), *more], stdout=sys.stderr, check=False).returncode
    if code:
        raise VmError(f"vm-reconstruct ended with exit code {code}")


def _size(out: Path) -> float:
    """Where the seat's top is over the ground [m]."""
    scene = SceneAsset.load(out / "stages" / "scene")
    seats = [box for box in scene.boxes if box.label.startswith("seat")]
    if not seats:
        raise VmError("no seat was found in the phone video")
    ground = scene.ground_height_at(np.array([seats[0].center_world[:2]]))[0]
    return float(seats[0].top - ground)


def _figure(name: str, value: float, unit: str, goal: float) -> dict:
    return {"figure": name, "value": round(value, 3), "unit": unit, "goal": goal, "better": "lower"}
