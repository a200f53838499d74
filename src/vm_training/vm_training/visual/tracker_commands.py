"""`vm-train keypoint_tracker`, `keypoint_teacher`: options of what learns to follow 18 numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from vm_core.errors import VmError
from vm_training.rl.run_task import RunTask, told
from vm_training.student import Student
from vm_training.tasks.work_folder import WorkFolder
from vm_training.teachers.sampled_lqr import LqrTeacher
from vm_training.visual.keypoint_teacher import KeypointTeacherConfig, train_keypoint_teacher
from vm_training.visual.motion_library import PlannedMotion, make_library
from vm_training.visual.motions import SLOW_STEP_S
from vm_training.visual.resting_teacher import RestingConfig, train_resting
from vm_training.visual.shared_teacher import SharedTeacherConfig, train_shared
from vm_training.visual.tracker_evaluation import evaluate_tracker, falls_under
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


@dataclass(frozen=True, kw_only=True)
class KeypointTeacher(RunTask):
    """The keypoint tracker's teacher by reinforcement learning: two seconds of what is to come, contact forces.

    Attributes:
        config: everything that decides the result.
    """

    config: Annotated[KeypointTeacherConfig, tyro.conf.arg(name="")]

    def run(self) -> int:
        return told(train_keypoint_teacher(self.config, self.out, self.resume))
