"""`vm-evaluate BUNDLE --task push_box`: a visual policy before its object, beside the script and other generators."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_training.visual.bundle import load_bundle
from vm_training.visual.commander import Saying
from vm_training.visual.film import film
from vm_training.visual.gait_table import gait_table
from vm_training.visual.generator import Sight
from vm_training.visual.generator_weights import generator_of
from vm_training.visual.object_evaluation import HEADER, Figures, evaluate_pauses, evaluate_task
from vm_training.visual.tasks import find_object_task


@dataclass(frozen=True)
class EvaluateTask:
    """Figures of a bundle over rollouts of an object task: distance, forward, drift, falls, alive time, success.

    Attributes:
        bundle: folder with generator.onnx and tracker.onnx.
        task: one of push_box, kick_ball, kick_box, reach_box.
        teacher: folder of a generator that knows the object's state, for a row of its own.
        blind: folder of a generator that sees nothing, for another.
        script: whether the task's script, which knows everything, has a row.
        rollouts: worlds.
        rollout_s: of each.
        pauses: robots whose run bit becomes 0 while they work; 0 for none.
        seed: decides robots, objects and starts, whoever acts.
        json: file for the rows.
        video: file (.mp4) for a film of one robot.
    """

    bundle: Annotated[Path, tyro.conf.Positional]
    task: str
    teacher: Path | None = None
    blind: Path | None = None
    script: bool = True
    rollouts: int = 64
    rollout_s: float = 60.0
    pauses: int = 0
    seed: int = 1
    json: Path | None = None
    video: Path | None = None

    def __post_init__(self) -> None:
        if min(self.rollouts, self.rollout_s) < 1 or min(self.pauses, self.seed) < 0:
            raise VmError(f"{self.rollouts} rollouts of {self.rollout_s} s, {self.pauses} pauses, seed {self.seed}; "
                          "expected at least 1 of 1 s, nothing negative")  # fmt: skip

    def run(self) -> int:
        task = find_object_task(self.task)
        trained_for, tracker, generator = load_bundle(self.bundle)
        table = gait_table(tracker.step_s)
        if trained_for != self.task:
            print(f"note: {self.bundle.name} was trained for {trained_for}")
        who: list[tuple[str, Saying | None]] = [("script (knows)", None)] if task.script and self.script else []
        others: tuple[tuple[str, Path | None, Sight], ...]
        others = ("teacher", self.teacher, "state"), ("blind", self.blind, "blind")
        for name, folder, sight in others:
            if folder is not None:
                with np.load(folder / "generator.npz", allow_pickle=False) as archive:
                    who.append((name, generator_of({key: archive[key] for key in archive.files}, sight)))
        who.append(("vision", generator))
        rows: list[Figures] = []
        print(f"{self.task}: {task.text}\nsuccess: {task.success_text}\n{HEADER}")
        for name, says in who:
            rows.append(evaluate_task(task, tracker, table, name, says, self.rollouts, self.seed, self.rollout_s))
            print(rows[-1].line())
        paused = None
        if self.pauses:
            paused = evaluate_pauses(task, tracker, table, generator, self.pauses, self.seed + 1)
            print(paused.line())
        if self.json is not None:
            about = {"task": self.task, "seed": self.seed, "rows": [asdict(row) for row in rows]}
            with atomic_path(self.json) as temporary:
                temporary.write_text(json.dumps(about | {"pauses": paused and asdict(paused)}, indent=1))
        if self.video is not None:
            film(task, tracker, table, generator, self.video, self.seed)
        return 0
