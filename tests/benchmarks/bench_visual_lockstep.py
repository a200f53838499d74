"""Installed visual policies in the policy node's own code, on the robot's own physics and camera: `visual_lockstep`.

`VM_BENCH_VISUAL_ROBOTS` robots each (8), `VM_BENCH_VISUAL_S` simulated seconds (60) or until the robot damps;
`VM_BENCH_VISUAL_TASK` names one task, `VM_BENCH_VISUAL_POLICIES` a folder with other policies. The bit becomes 0 at the
end, and who has damped 5 s later did not stand.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from visual_lockstep import VisualLockstep

import vm_policy_node
from vm_policy_node.safety import State
from vm_training.visual.tasks import find_object_task
from vm_training.visual.tasks.lift_box import HELD_M

ROBOTS, RUN_S = int(os.environ.get("VM_BENCH_VISUAL_ROBOTS", "8")), float(os.environ.get("VM_BENCH_VISUAL_S", "60"))
STANDS_S = 5.0
_POLICIES = Path(os.environ.get("VM_BENCH_VISUAL_POLICIES", Path(vm_policy_node.__file__).parent / "policies"))


@dataclass(frozen=True)
class Run:
    """One robot's: the object's way ahead and aside and its height [m], how long it was up [s], whether it had stopped
    for want of an object in view, whether it stood after the pause, its control steps."""

    forward: float
    drift: float
    height: float
    up_s: float
    lost: bool
    stood: bool
    control_s: list[float]


def figures(seed: int) -> Iterator[dict]:
    """Of each task with an installed visual policy."""
    wanted = os.environ.get("VM_BENCH_VISUAL_TASK")
    for folder in sorted(path.parent for path in _POLICIES.glob("*/generator.onnx")):
        if wanted in (None, folder.name):
            yield from _task_figures(folder, seed)


def _task_figures(folder: Path, seed: int) -> Iterator[dict]:
    runs = [_run(folder, seed * ROBOTS + index) for index in range(ROBOTS)]
    up = [run for run in runs if run.up_s >= RUN_S]
    name, within = folder.name, f"within {RUN_S:.0f} s, {ROBOTS} robots"
    steps_ms = 1e3 * np.concatenate([run.control_s for run in runs])
    task = find_object_task(name)
    if task.lifts:
        held = [abs(run.height - task.height_m) <= HELD_M for run in runs]
        yield _row(f"{name}: held at {task.height_m:.0f} ± {HELD_M} m after {RUN_S:.0f} s, {ROBOTS} robots",
                   100.0 * float(np.mean(held)), "%", 85.0, "higher")  # fmt: skip
    else:
        for what, better in (("forward", "higher"), ("drift", "lower")):
            way = float(np.mean([getattr(run, what) for run in runs]))
            yield _row(f"{name}: {what} {within}", way, "m", None, better)
    yield _row(f"{name}: damped {within}", 100.0 * (1.0 - len(up) / ROBOTS), "%", None, "lower")
    lost = 100.0 * float(np.mean([run.lost for run in runs]))
    yield _row(f"{name}: stopped for want of an object in view {within}", lost, "%", None, "lower")
    if up:
        yield _row(f"{name}: standing {STANDS_S:.0f} s after the pause that ends a run, of {len(up)}",
                   100.0 * float(np.mean([run.stood for run in up])), "%", 100.0, "higher")  # fmt: skip
    yield _row(f"{name}: control step p50", float(np.median(steps_ms)), "ms", 10.0, "lower")


def _run(folder: Path, seed: int) -> Run:
    robot = VisualLockstep(folder, folder.name, seed)
    robot.start()
    before = robot.object_pos
    up_s = robot.run(RUN_S)
    after, stood = robot.object_pos, False
    moved = after - before
    lost = robot.state == State.RUNNING and not robot.controller.task.on
    if robot.state == State.RUNNING:
        robot.told("pause")
        robot.run(STANDS_S)
        stood = robot.state == State.RUNNING
    robot.close()
    cause = robot.controller.machine.cause
    print(
        f"{folder.name} {seed}: {moved[0]:.1f} m, {after[2]:.2f} m high, up {up_s:.0f} s {'lost' if lost else cause}",
        file=sys.stderr,
    )
    return Run(float(moved[0]), float(abs(moved[1])), float(after[2]), up_s + 1e-6, lost, stood, robot.control_s)


def _row(figure: str, value: float, unit: str, goal: float | None, better: str) -> dict:
    return {"figure": figure, "value": round(value, 2), "unit": unit, "goal": goal, "better": better}
