"""The height map on walks whose truth is known: errors, honesty, coverage, and others' odometry and fusion beside it.

`VM_BENCH_SEEDS` says how many seeds of the nine walks are played (5), `VM_BENCH_MINUTES` after how long it stops (0:
never). Each walk's results are kept in `out/bench/heightmap`: a run that was stopped goes on, one that is complete
prints at once. Truth is used to score and, where a figure says so, as the pose; never inside an estimate.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import heightmap_anchors
import heightmap_anybotics
import heightmap_runs
import numpy as np
from heightmap_recording import Recording, record
from heightmap_scores import COLUMNS, Cells, statistics, summary
from heightmap_store import FOLDER, Arrays, Store
from heightmap_truth import GridTruth
from heightmap_walks import Walk, all_walks
from tqdm import tqdm

from vm_core.atomic_files import atomic_path

SEEDS = int(os.environ.get("VM_BENCH_SEEDS", "5"))
MINUTES = float(os.environ.get("VM_BENCH_MINUTES", "0"))
OURS = Store("map", ("heightmap_walks", "heightmap_r", "heightmap_s", "heightmap_t", "heightmap_any", "vm_heightmap"))
STATISTICS, SUMMARY = FOLDER.parent / "height_grid_errors.json", FOLDER.parent / "heightmap_summary.json"
POSES = ("true pose", "own odometry")


@dataclass
class Found:
    """Results of all walks that were played.

    Attributes:
        cells: by kind of pose, and those of ANYbotics' rule.  drift: of the own odometry's height, a walk each [m].
        milliseconds: of the own odometry, a scan each.  anchors: what others' odometry made of some walks.
        walks: one row a walk and pose.
    """

    cells: dict[str, Cells] = field(default_factory=lambda: {kind: Cells() for kind in (*POSES, "plain")})
    drift: list[np.ndarray] = field(default_factory=list)
    milliseconds: list[np.ndarray] = field(default_factory=list)
    anchors: heightmap_anchors.Anchors = field(default_factory=heightmap_anchors.Anchors)
    walks: list[dict] = field(default_factory=list)


@dataclass(frozen=True)
class Task:
    """One walk of one seed; what it needs is made when it is needed."""

    name: str
    seed: int
    make: Callable[[], Walk]
    with_anchors: bool

    @property
    def label(self) -> str:
        return f"seed {self.seed} {self.name}"

    @cached_property
    def recording(self) -> Recording:
        return record(self.make(), self.seed)

    @cached_property
    def truth(self) -> GridTruth:
        return GridTruth(self.recording)

    def forget(self) -> None:
        """Lets go of what was made, which is large."""
        for name in ("recording", "truth"):
            vars(self).pop(name, None)

    def play(self) -> Arrays:
        """Our map with both poses, and ANYbotics' rule where anchors are played."""
        if self.with_anchors:
            ours, plain = heightmap_anybotics.with_true_pose(self.truth)
        else:
            (ours, _), plain = heightmap_runs.with_true_pose(self.truth), Cells()
        own, _, track = heightmap_runs.with_own_odometry(self.truth)
        found = {"drift": track.z_drift_m(), "milliseconds": np.array(track.milliseconds)}
        for kind, cells in zip((*POSES, "plain"), (ours, own, plain), strict=True):
            found |= {f"{kind}/{name}": cells.column(name) for name in COLUMNS if cells.error_m}
        return found


def figures(seed: int) -> Iterator[dict]:
    """Each walk with the true pose and with the own odometry; anchors, if installed, on the first seed."""
    found, begun = Found(), time.monotonic()
    tasks = [
        Task(name, own_seed, make, own_seed == seed)
        for own_seed in range(seed, seed + SEEDS)
        for name, make in all_walks(own_seed)
    ]
    played = 0
    for task in (bar := tqdm(tasks, unit="walk", desc="height map")):
        if MINUTES and time.monotonic() - begun > 60.0 * MINUTES and not OURS.has(task.label):
            tqdm.write(f"stopped after {MINUTES:g} minutes; another run goes on")
            break
        bar.set_postfix_str(task.label)
        _take(found, task, OURS.get(task.label, task.play))
        task.forget()
        played += 1
    for task in tqdm([task for task in tasks if task.with_anchors], unit="walk", desc="anchors"):
        found.anchors.play(task.label, task.name, lambda task=task: task.truth)
        task.forget()
    _write(found, played, len(tasks))
    yield _figure("walks played", played, "1", len(tasks), "higher")
    yield from _rows(summary(found.cells["true pose"]), "true pose", 0.4, 2.5)
    yield from _rows(summary(found.cells["own odometry"]), "own odometry", 0.8, 4.0)
    z_cm = 100 * float(np.percentile(np.concatenate(found.drift), 95))
    yield _figure("z drift over any 2 s, own odometry: p95", z_cm, "cm", 0.4)
    milliseconds = np.concatenate(found.milliseconds)
    yield _figure("odometry, a scan p50", np.percentile(milliseconds, 50), "ms", 12.0)
    yield _figure("odometry, a scan p99", np.percentile(milliseconds, 99), "ms", 40.0)
    for anchor, value, unit, goal in found.anchors.rows():
        yield _figure(f"anchor, seed {seed}: {anchor}", value, unit, goal)
    for row in _rows(summary(found.cells["plain"]), "true pose", 0.4, 2.5):
        yield row | {"figure": f"anchor, seed {seed}: ANYbotics' fusion rule, {row['figure']}"}


def _take(found: Found, task: Task, arrays: Arrays) -> None:
    """Adds a walk's results to the others, and its figures to the list of walks."""
    for kind, cells in found.cells.items():
        if f"{kind}/error_m" not in arrays:
            continue
        own = Cells(**{name: [arrays[f"{kind}/{name}"]] for name in COLUMNS})
        cells.add(own)
        row = {"seed": task.seed, "walk": task.name, "pose": kind, **summary(own)}
        if kind == "own odometry":
            row["z_2s_p95_cm"] = 100 * float(np.percentile(arrays["drift"], 95))
        found.walks.append(row)
    found.drift.append(arrays["drift"])
    found.milliseconds.append(arrays["milliseconds"])


def _write(found: Found, played: int, wanted: int) -> None:
    """Keeps the statistics for noise models, and the summary that the README's table is made of."""
    drift = np.concatenate(found.drift)
    errors = {pose: statistics(found.cells[pose], drift) for pose in POSES}
    anchors = [{"anchor": name, "value": value, "unit": unit} for name, value, unit, _ in found.anchors.rows()]
    whole = {kind: summary(cells) for kind, cells in found.cells.items()}
    whole["own odometry"]["z_2s_p95_cm"] = 100 * float(np.percentile(drift, 95))
    result = {"played": played, "wanted": wanted, "all": whole, "walks": found.walks, "anchors": anchors}
    for path, content in ((STATISTICS, errors), (SUMMARY, result)):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n")


def _rows(found: dict[str, float], pose: str, away_goal: float, edge_goal: float) -> Iterator[dict]:
    yield _figure(f"grid error away from edges, {pose}: MAE", found["away_mae_cm"], "cm", away_goal)
    yield _figure(f"grid error away from edges, {pose}: p95", found["away_p95_cm"], "cm", 1.5)
    yield _figure(f"grid error within 5 cm of a riser, {pose}: MAE", found["edge_mae_cm"], "cm", edge_goal)
    yield _figure(f"cells known from 4 s after the start, {pose}", found["known"], "1", 0.95, "higher")
    yield _figure(f"known cells within 3 cm or 3 sigma, {pose}", found["honest"], "1", 0.99, "higher")


def _figure(figure: str, value: float, unit: str, goal: float, better: str = "lower") -> dict:
    return {"figure": figure, "value": round(float(value), 4), "unit": unit, "goal": goal, "better": better}
