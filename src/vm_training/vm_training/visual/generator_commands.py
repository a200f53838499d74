"""`vm-train imitate_generator`, `generator_teacher`, `export_visual`, `gait_table`, `lift_path`: who says commands."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_training.rl.run_task import RunTask, told
from vm_training.tasks.work_folder import WorkFolder, git_commit
from vm_training.visual.bundle import export_bundle
from vm_training.visual.commander import golden_inputs
from vm_training.visual.curves import write_curve
from vm_training.visual.gait_table import TABLE_FILES, gait_table, write_gait_table
from vm_training.visual.generator_teacher import GeneratorPpoConfig, train_generator_teacher
from vm_training.visual.generator_training import GeneratorConfig, train_generator
from vm_training.visual.generator_weights import generator_arrays
from vm_training.visual.lift_path import LIFT_PATH_FILE, write_lift_path
from vm_training.visual.motions import SLOW_STEP_S
from vm_training.visual.object_world import Tracker
from vm_training.visual.tasks import find_object_task
from vm_training.visual.tracker_file import step_s_of
from vm_training.visual.trained_parts import frozen_tracker, load_generator, load_tracker


@dataclass(frozen=True)
class ImitateGenerator:
    """A generator of an object task that imitates its script, or a teacher that knows the object's state.

    Attributes:
        task: one of the object tasks that have a script, or any with a teacher.
        tracker: folder of the tracker that moves the robots, or the tracker.onnx of a policy.
        out: folder to write.
        teacher: folder of a generator that sees state, to imitate; None: the task's script.
        start: an earlier generator of the same sight and layers to begin from: folder, or generator.onnx of a policy.
        clip: clamp commands to those of human motions (without: an ablation).
        config: everything that decides the result.
    """

    task: str
    tracker: Path
    out: Path
    teacher: Path | None = None
    start: Path | None = None
    clip: bool = True
    config: GeneratorConfig = field(default_factory=GeneratorConfig)

    def run(self) -> int:
        tracker = frozen_tracker(self.tracker, self.clip)
        teacher = None if self.teacher is None else load_generator(self.teacher, "state")
        task, table = find_object_task(self.task), gait_table(tracker.step_s)
        start = None if self.start is None else load_generator(self.start, self.config.sight)
        _, records = train_generator(task, tracker, table, self.config, WorkFolder(self.out), teacher, start)
        write_curve(self.out / "curve.png", records, f"{self.task}, {self.config.sight}")
        print(f"{self.out / 'generator.npz'}: {records[-1]['seconds_a_fall']:.1f} s a fall in the last round")
        return 0


@dataclass(frozen=True, kw_only=True)
class GeneratorTeacher(RunTask):
    """A generator of an object task by reinforcement learning over the frozen tracker (a run folder).

    Attributes:
        task: one of the object tasks.
        tracker: folder of the tracker that moves the robots, or the tracker.onnx of a policy.
        start: folder of an imitation that sees state, of layers 256 and 128; None: from nothing.
        clip: clamp commands to those of human motions (without: an ablation).
        config: everything that decides the result.
    """

    task: str
    tracker: Path
    start: Path | None = None
    clip: bool = True
    config: GeneratorPpoConfig = field(default_factory=GeneratorPpoConfig)

    def run(self) -> int:
        start = None if self.start is None else load_generator(self.start, "state")
        tracker = frozen_tracker(self.tracker, self.clip)
        task, table = find_object_task(self.task), gait_table(tracker.step_s)
        generator, trainer = train_generator_teacher(task, tracker, table, start, self.config, self.out, self.resume)
        with atomic_path(self.out / "generator.npz") as temporary, temporary.open("wb") as file:
            np.savez(file, **generator_arrays(generator, len(trainer.records)))  # type: ignore[arg-type]
        return told(trainer)


@dataclass(frozen=True)
class ExportVisual:
    """Writes the bundle of a tracker and a generator that sees depth, for the policy node and vm-evaluate.

    Attributes:
        task: that the generator was trained for.
        tracker: folder of the tracker, or the tracker.onnx of a policy, which is then taken over as it is.
        generator: folder of the generator, or the generator.onnx of a policy, to be exported anew.
        out: folder to write.
        sight: of the generator.
    """

    task: str
    tracker: Path
    generator: Path
    out: Path
    sight: Literal["depth", "blind"] = "depth"

    def run(self) -> int:
        student, statistics = load_tracker(self.tracker)
        step_s = step_s_of(self.tracker)
        generator = load_generator(self.generator, self.sight)
        frozen = Tracker(student, statistics, step_s=step_s)
        seen = golden_inputs(find_object_task(self.task), frozen, gait_table(step_s), generator)
        commit, command = git_commit(), " ".join(["vm-train", *sys.argv[1:]])
        about = [{"commit": commit, "command": command, "folder": str(part)} for part in (self.tracker, self.generator)]
        kept = self.tracker if self.tracker.is_file() else None
        export_bundle(self.out, self.task, student, statistics, generator, seen, (about[0], about[1]), kept, step_s)
        print(f"bundle: {self.out}")
        return 0


@dataclass(frozen=True)
class PlanGaitTable:
    """Plans the walks that scripts of object tasks look up.

    Attributes:
        step_s: time of a step [s].
        out: file to write; by default the one that comes with the package.
    """

    step_s: float = SLOW_STEP_S
    out: Path | None = None

    def run(self) -> int:
        if self.out is None and self.step_s not in TABLE_FILES:
            raise VmError(f"no gait table of steps of {self.step_s} s comes with the package; expected a file to write")
        out = self.out or TABLE_FILES[self.step_s]
        write_gait_table(out, self.step_s)
        print(f"gait table: {out}")
        return 0


@dataclass(frozen=True)
class PlanLiftPath:
    """Plans how a box is lifted, for `vm_core.lifting`.

    Attributes:
        out: file to write; by default the one that comes with the package.
    """

    out: Path = LIFT_PATH_FILE

    def run(self) -> int:
        write_lift_path(self.out)
        print(f"lift path: {self.out}")
        return 0
