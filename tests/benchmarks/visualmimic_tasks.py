"""See and move: what the shipped visual policies achieve at their tasks, beside the script that knows everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import vm_policy_node
from vm_training.visual.bundle import load_bundle
from vm_training.visual.gait_table import gait_table
from vm_training.visual.object_evaluation import Figures, evaluate_pauses, evaluate_task
from vm_training.visual.tasks import OBJECT_TASKS

_ROLLOUTS, _PAUSES = 10, 12  # within three minutes
_KEPT_GOAL = {"push_box": 60.0, "kick_ball": 80.0, "kick_box": 70.0}  # percent of the teacher's forward distance
_DRIFT_GOAL = 25.0  # percent of the forward distance
_DROPS_GOAL, _ALIVE_GOAL_S = 15.0, 45.0
_POLICIES = Path(vm_policy_node.__file__).parent / "policies"


def figures(seed: int) -> Iterator[dict]:
    """Of each task with an installed visual policy: how far or high its object comes, falls, pauses."""
    for name, task in OBJECT_TASKS.items():
        folder = _POLICIES / name
        if not folder.is_dir():
            continue
        _, tracker, generator = load_bundle(folder)
        table = gait_table(tracker.step_s)
        script = evaluate_task(task, tracker, table, "script", None, _ROLLOUTS, seed)
        vision = evaluate_task(task, tracker, table, "vision", generator, _ROLLOUTS, seed)
        paused = evaluate_pauses(task, tracker, table, generator, _PAUSES, seed)
        yield from _held(name, script, vision) if task.lifts else _moved(name, script, vision)
        yield _row(f"{name}: vision falls within 60 s", 100.0 * vision.falls, "%", None, "lower")
        yield _row(f"{name}: vision succeeds", 100.0 * vision.success, "%", None, "higher")
        yield _row(f"{name}: still within 1 s of a pause", 100.0 * paused.still_in_1_s, "%", 100.0, "higher")
        yield _row(f"{name}: standing 10 s after a pause", 100.0 * paused.standing_10_s, "%", 100.0, "higher")


def _moved(name: str, script: Figures, vision: Figures) -> Iterator[dict]:
    kept = 100.0 * vision.forward / max(script.forward, 1e-6)
    drift = 100.0 * vision.drift / max(vision.forward, 1e-6)
    yield _row(f"{name}: script forward in 60 s", script.forward, "m", None, "higher")
    yield _row(f"{name}: vision forward in 60 s", vision.forward, "m", None, "higher")
    yield _row(f"{name}: vision keeps of the script's forward distance", kept, "%", _KEPT_GOAL.get(name), "higher")
    yield _row(f"{name}: vision's drift of its forward distance", drift, "%", _DRIFT_GOAL, "lower")


def _held(name: str, script: Figures, vision: Figures) -> Iterator[dict]:
    yield _row(f"{name}: script drops", 100.0 * script.dropped, "%", None, "lower")
    yield _row(f"{name}: vision drops", 100.0 * vision.dropped, "%", _DROPS_GOAL, "lower")
    yield _row(f"{name}: vision, height of the box after 60 s", vision.height, "m", None, "higher")
    yield _row(f"{name}: vision is up for", vision.alive, "s", _ALIVE_GOAL_S, "higher")


def _row(name: str, value: float, unit: str, goal: float | None, better: str) -> dict:
    return {"figure": name, "value": round(value, 2), "unit": unit, "goal": goal, "better": better}
