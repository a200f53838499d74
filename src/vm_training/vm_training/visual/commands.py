"""What `vm-train` offers for seeing and moving things: options of each task, as its command line takes them."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_core.keypoint_command import CommandStatistics
from vm_training.rl.run_task import RunTask, told
from vm_training.student import Student
from vm_training.tasks.work_folder import WorkFolder, git_commit
from vm_training.teachers.sampled_lqr import LqrTeacher
from vm_training.visual.bundle import export_bundle
from vm_training.visual.commander import golden_inputs
from vm_training.visual.curves import write_curve
from vm_training.visual.gait_table import TABLE_FILES, gait_table, write_gait_table
from vm_training.visual.generator import Generator, Sight
from vm_training.visual.generator_teacher import GeneratorPpoConfig, train_generator_teacher
from vm_training.visual.generator_training import GeneratorConfig, train_generator
from vm_training.visual.generator_weights import generator_arrays, generator_of
from vm_training.visual.keypoint_teacher import KeypointTeacherConfig, train_keypoint_teacher
from vm_training.visual.motion_library import PlannedMotion, make_library
from vm_training.visual.motions import SLOW_STEP_S
from vm_training.visual.object_world import Tracker
from vm_training.visual.resting_teacher import RestingConfig, train_resting
from vm_training.visual.shared_teacher import SharedTeacherConfig, train_shared
from vm_training.visual.tasks import find_object_task
from vm_training.visual.tracker_evaluation import evaluate_tracker, falls_under
from vm_training.visual.tracker_file import read_tracker, step_s_of
from vm_training.visual.tracker_training import TrackerConfig, tracker_of, train_tracker

UNSEEN_SEED = 1_000


@dataclass(frozen=True)
class KeypointTracker:
    """A student that follows 18 keypoint commands: planned motions, gains shared by them, DAgger.

    Attributes:
        out: folder to write: motions, gains, tracker; a second start goes on.
        motions: how many of any kind to plan.
        working: how many of the kind that work with objects asks for.
        sampled: how many of all give samples for the gains.
        unseen: how many others, of any kind, judge the tracker.
        start: folder of an earlier tracker of the same layers, to begin from, with its gains.
        step_s: time of a step, of all motions [s].
        judge_teachers: say, too, how many starts on the unseen motions the teachers themselves lose.
        judge_hands_n: and how many the tracker, and these, lose under each of these forces on the hands [N].
        judge_kicks_n: and under kicks of a tenth of a second against a foot, one every two seconds [N].
        teacher: how the gains are found.
        resting: how many walks halt at any moment, and how gains for what follows are found.
        tracker: everything that decides the student.
    """

    out: Path
    motions: int = 50
    working: int = 0
    sampled: int = 40
    unseen: int = 24
    start: Path | None = None
    step_s: float = SLOW_STEP_S
    judge_teachers: bool = False
    judge_hands_n: tuple[float, ...] = ()
    judge_kicks_n: tuple[float, ...] = ()
    teacher: SharedTeacherConfig = field(default_factory=SharedTeacherConfig)
    resting: RestingConfig = field(default_factory=RestingConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)

    def __post_init__(self) -> None:
        if not 1 <= self.sampled <= self.motions + self.working or min(self.motions, self.unseen) < 1:
            counts = f"{self.sampled} of {self.motions} + {self.working} motions sampled, {self.unseen} unseen"
            raise VmError(f"{counts}; expected from 1")

    def run(self) -> int:
        folder, seed = self.out / "motions", self.tracker.seed
        motions = make_library(folder, self.motions, seed, "motion", self.step_s)
        motions += make_library(folder, self.working, seed, "working", self.step_s) if self.working else []
        gains = WorkFolder(self.out / "gains")
        gains.begin({"config": asdict(self.teacher), "motions": self.sampled, "seed": self.tracker.seed})
        if not (gains / "common.npz").is_file():
            some = np.linspace(0, len(motions) - 1, self.sampled).astype(int)
            found, records = train_shared([motions[i] for i in some], self._earlier_gains(), self.teacher)
            gains.write_json("common.json", records)
            gains.write_arrays("common.npz", {"gains": found.gains})
        common = LqrTeacher(gains.read_arrays("common.npz")["gains"], self.teacher.limit_rad)
        start = (
            None if self.start is None else tracker_of(WorkFolder(self.start / "tracker").read_arrays("tracker.npz"))
        )
        folder = WorkFolder(self.out / "tracker")
        halts = make_library(self.out / "motions", self.resting.halts, seed, "halting", self.step_s)
        resting = self._resting_gains(halts, common, gains) if halts else None
        student, _, _ = train_tracker(motions + halts, common, self.tracker, folder, start and start[0], resting)
        unseen = make_library(self.out / "motions", self.unseen, seed + UNSEEN_SEED, "motion", self.step_s)
        if self.judge_teachers:
            print(f"teachers: {evaluate_tracker(None, unseen, common, self.tracker.sight).falls:.1%} fall")
        score = evaluate_tracker(student, unseen, common, self.tracker.sight)
        folder.write_json("unseen.json", asdict(score))
        print(
            f"tracker: {folder / 'tracker.npz'}\n{score.starts} starts on {score.motions} unseen motions: keypoints "
            f"{100 * score.keypoint_error_m:.1f} cm off, {100 * score.relative_error_m:.1f} cm relative to the root, "
            f"{score.falls:.1%} fall, {score.lost:.1%} end more than 0.4 m off"
        )
        self._tell_forces(student, unseen, common)
        return 0

    def _tell_forces(self, student: Student, unseen: list[PlannedMotion], common: LqrTeacher) -> None:
        who = {"tracker": student} | ({"teachers": None} if self.judge_teachers else {})
        sight = self.tracker.sight
        hands: list[tuple[Literal["hands", "feet"], float]] = [("hands", force_n) for force_n in self.judge_hands_n]
        feet: list[tuple[Literal["hands", "feet"], float]] = [("feet", force_n) for force_n in self.judge_kicks_n]
        for where, force_n in hands + feet:
            falls = {name: falls_under(net, unseen, common, sight, where, force_n) for name, net in who.items()}
            said = ", ".join(f"{name} {share:.1%}" for name, share in falls.items())
            print(f"{force_n:.0f} N on the {where}, share that falls: {said}")

    def _resting_gains(self, halts: list[PlannedMotion], common: LqrTeacher, folder: WorkFolder) -> np.ndarray:
        if not (folder / "resting.npz").is_file():
            found, records = train_resting(halts, common, self.resting)
            folder.write_json("resting.json", records)
            folder.write_arrays("resting.npz", {"gains": found})
        return folder.read_arrays("resting.npz")["gains"]

    def _earlier_gains(self) -> LqrTeacher | None:
        folder = None if self.start is None else self.start / "gains"
        if folder is None or not (folder / "common.npz").is_file():
            return None
        return LqrTeacher(WorkFolder(folder).read_arrays("common.npz")["gains"], self.teacher.limit_rad)


def load_tracker(place: Path) -> tuple[Student, CommandStatistics]:
    """A tracker and the statistics of its commands: of a folder that `vm-train keypoint_tracker` wrote, or of the
    tracker.onnx of a visual policy.

    Raises:
        VmError: there is none.
    """
    if place.suffix == ".onnx" and place.is_file():
        return read_tracker(place)
    file = place / "tracker" / "tracker.npz"
    if not file.is_file():
        raise VmError(
            f"{file}: no such file; expected a folder that vm-train keypoint_tracker wrote, or a policy's tracker.onnx"
        )
    student, moments = tracker_of(WorkFolder(file.parent).read_arrays(file.name))
    return student, moments.statistics()


@dataclass(frozen=True, kw_only=True)
class KeypointTeacher(RunTask):
    """The keypoint tracker's teacher by reinforcement learning: two seconds of what is to come, contact forces.

    Attributes:
        config: everything that decides the result.
    """

    config: Annotated[KeypointTeacherConfig, tyro.conf.arg(name="")]

    def run(self) -> int:
        return told(train_keypoint_teacher(self.config, self.out, self.resume))


@dataclass(frozen=True)
class ImitateGenerator:
    """A generator of an object task that imitates its script, or a teacher that knows the object's state.

    Attributes:
        task: one of the object tasks that have a script, or any with a teacher.
        tracker: folder of the tracker that moves the robots, or the tracker.onnx of a policy.
        out: folder to write.
        teacher: folder of a generator that sees state, to imitate; None: the task's script.
        start: folder of an earlier generator of the same sight and layers, to begin from.
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
        config: everything that decides the result.
    """

    task: str
    tracker: Path
    start: Path | None = None
    config: GeneratorPpoConfig = field(default_factory=GeneratorPpoConfig)

    def run(self) -> int:
        start = None if self.start is None else load_generator(self.start, "state")
        tracker = frozen_tracker(self.tracker)
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
        generator: folder of the generator.
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


def frozen_tracker(place: Path, clip: bool = True) -> Tracker:
    """A trained tracker with its commands' statistics."""
    student, statistics = load_tracker(place)
    return Tracker(student.eval(), statistics, clip, step_s_of(place))


def load_generator(folder: Path, sight: Sight) -> Generator:
    """The generator of a folder.

    Raises:
        VmError: there is none, or it sees something else.
    """
    file = folder / "generator.npz"
    if not file.is_file():
        raise VmError(f"{file}: no such file; expected a folder that vm-train imitate_generator wrote")
    with np.load(file, allow_pickle=False) as archive:
        return generator_of({key: archive[key] for key in archive.files}, sight)


TASKS = {
    "keypoint_tracker": KeypointTracker,
    "gait_table": PlanGaitTable,
    "keypoint_teacher": KeypointTeacher,
    "imitate_generator": ImitateGenerator,
    "generator_teacher": GeneratorTeacher,
    "export_visual": ExportVisual,
}
"""By the names of `vm-train`."""
