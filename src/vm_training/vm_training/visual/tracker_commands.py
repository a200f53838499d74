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
from vm_training.visual.motion_library import make_library
from vm_training.visual.motions import SLOW_STEP_S
from vm_training.visual.planned_motion import PlannedMotion
from vm_training.visual.resting_teacher import RestingConfig, train_resting
from vm_training.visual.shared_teacher import SharedGains, SharedTeacherConfig, train_shared, with_felt
from vm_training.visual.tracker_evaluation import evaluate_tracker, falls_under
from vm_training.visual.tracker_training import TrackerConfig, train_tracker
from vm_training.visual.trained_parts import load_tracker

UNSEEN_SEED = 1_000


@dataclass(frozen=True)
class KeypointTracker:
    """A student that follows 18 keypoint commands: planned motions, gains shared by them, DAgger.

    Attributes:
        out: folder to write: motions, gains, tracker; a second start goes on.
        motions: how many of any kind to plan.
        working: how many of the kind that work with objects asks for.
        sampled: how many of all give samples for the gains.
        lifts: how many lifts of a box to plan; 0: trackers are not taught to lift.
        unseen: how many others, of any kind, judge the tracker.
        unseen_seed: of those; with another one a second start judges a finished tracker on fresh motions.
        start: an earlier tracker of the same layers to begin from: its folder, whose gains sample the first ones here,
            or a policy's tracker.onnx.
        gains: folder of an earlier tracker whose gains are taken as they are; kinds that it has none of are found.
        step_s: time of a step, of all motions [s].
        judge_teachers: say, too, how many starts on the unseen motions the teachers themselves lose.
        judge_hands_n: and how many the tracker, and these, lose under each of these forces on the hands [N].
        judge_kicks_n: and under kicks of a tenth of a second against a foot, one every two seconds [N].
        teacher: how the gains are found.
        resting: how many walks halt at any moment, and how gains for what follows are found.
        lifting: how the lifts' gains are found.
        tracker: everything that decides the student.
    """

    out: Path
    motions: int = 50
    working: int = 0
    lifts: int = 0
    sampled: int = 40
    unseen: int = 24
    unseen_seed: int = UNSEEN_SEED
    start: Path | None = None
    gains: Path | None = None
    step_s: float = SLOW_STEP_S
    judge_teachers: bool = False
    judge_hands_n: tuple[float, ...] = ()
    judge_kicks_n: tuple[float, ...] = ()
    teacher: SharedTeacherConfig = field(default_factory=SharedTeacherConfig)
    resting: RestingConfig = field(default_factory=RestingConfig)
    lifting: SharedTeacherConfig = field(default_factory=lambda: SharedTeacherConfig(rounds=5, robots=24))
    tracker: TrackerConfig = field(default_factory=TrackerConfig)

    def __post_init__(self) -> None:
        if not 1 <= self.sampled <= self.motions + self.working or min(self.motions, self.unseen) < 1:
            counts = f"{self.sampled} of {self.motions} + {self.working} motions sampled, {self.unseen} unseen"
            raise VmError(f"{counts}; expected from 1")
        if self.unseen_seed < 1:
            raise VmError(f"unseen seed {self.unseen_seed}; expected from 1: with 0 motions are not unseen")

    def run(self) -> int:
        plans, seed = self.out / "motions", self.tracker.seed
        motions = make_library(plans, self.motions, seed, "motion", self.step_s)
        motions += make_library(plans, self.working, seed, "working", self.step_s) if self.working else []
        halts = make_library(plans, self.resting.halts, seed, "halting", self.step_s)
        lifts = make_library(plans, self.lifts, seed, "lift", self.step_s)
        gains = self._gains(motions, halts, lifts)
        start = None if self.start is None else load_tracker(self.start)[0]
        folder = WorkFolder(self.out / "tracker")
        student, _, _ = train_tracker(motions + halts + lifts, gains, self.tracker, folder, start)
        unseen = make_library(plans, self.unseen, seed + self.unseen_seed, "motion", self.step_s)
        if self.judge_teachers:
            print(f"teachers: {evaluate_tracker(None, unseen, gains, self.tracker.sight).falls:.1%} fall")
        print(f"tracker: {folder / 'tracker.npz'}")
        folder.write_json("unseen.json", self._tell(student, unseen, gains, "motions"))
        if self.lifts:
            others = make_library(plans, -(-self.unseen // 2), seed + self.unseen_seed, "lift", self.step_s)
            folder.write_json("unseen_lifts.json", self._tell(student, others, gains, "lifts"))
        self._tell_forces(student, unseen, gains)
        return 0

    def _tell(self, student: Student, unseen: list[PlannedMotion], gains: SharedGains, what: str) -> dict[str, float]:
        score = evaluate_tracker(student, unseen, gains, self.tracker.sight)
        print(
            f"{score.starts} starts on {score.motions} unseen {what}: keypoints "
            f"{100 * score.keypoint_error_m:.1f} cm off, {100 * score.relative_error_m:.1f} cm relative to the root, "
            f"{score.falls:.1%} fall, {score.lost:.1%} end more than 0.4 m off"
        )
        return asdict(score)

    def _gains(
        self, motions: list[PlannedMotion], halts: list[PlannedMotion], lifts: list[PlannedMotion]
    ) -> SharedGains:
        """What is found already is read."""
        folder = WorkFolder(self.out / "gains")
        settings = {"config": asdict(self.teacher), "motions": self.sampled, "seed": self.tracker.seed}
        folder.begin(settings | ({"gains": str(self.gains)} if self.gains else {}))
        some = [motions[i] for i in np.linspace(0, len(motions) - 1, self.sampled).astype(int)]
        walk = self._shared(folder, "common", some, self.teacher)
        resting = None
        if halts:
            if not self._is_there(folder, "resting"):
                found, records = train_resting(halts, walk, self.resting)
                folder.write_json("resting.json", records)
                folder.write_arrays("resting.npz", {"gains": found})
            resting = with_felt(folder.read_arrays("resting.npz")["gains"])
        return SharedGains(walk, resting, self._shared(folder, "lifting", lifts, self.lifting) if lifts else None)

    def _shared(
        self, folder: WorkFolder, name: str, motions: list[PlannedMotion], config: SharedTeacherConfig
    ) -> LqrTeacher:
        if not self._is_there(folder, name):
            found, records = train_shared(motions, self._earlier_gains(name, config.limit_rad), config)
            folder.write_json(f"{name}.json", records)
            folder.write_arrays(f"{name}.npz", {"gains": found.gains})
        return LqrTeacher(with_felt(folder.read_arrays(f"{name}.npz")["gains"]), config.limit_rad)

    def _is_there(self, folder: WorkFolder, name: str) -> bool:
        """Whether these gains are found already, here or in the folder that they are taken from."""
        earlier = None if self.gains is None else self.gains / "gains"
        if earlier and not (folder / f"{name}.npz").is_file() and (earlier / f"{name}.npz").is_file():
            folder.write_arrays(f"{name}.npz", WorkFolder(earlier).read_arrays(f"{name}.npz"))
        return (folder / f"{name}.npz").is_file()

    def _earlier_gains(self, name: str, limit_rad: float) -> LqrTeacher | None:
        folder = None if self.start is None else self.start / "gains"
        if folder is None or not (folder / f"{name}.npz").is_file():
            return None
        return LqrTeacher(with_felt(WorkFolder(folder).read_arrays(f"{name}.npz")["gains"]), limit_rad)

    def _tell_forces(self, student: Student, unseen: list[PlannedMotion], gains: SharedGains) -> None:
        who = {"tracker": student} | ({"teachers": None} if self.judge_teachers else {})
        sight = self.tracker.sight
        hands: list[tuple[Literal["hands", "feet"], float]] = [("hands", force_n) for force_n in self.judge_hands_n]
        feet: list[tuple[Literal["hands", "feet"], float]] = [("feet", force_n) for force_n in self.judge_kicks_n]
        for where, force_n in hands + feet:
            falls = {name: falls_under(net, unseen, gains, sight, where, force_n) for name, net in who.items()}
            said = ", ".join(f"{name} {share:.1%}" for name, share in falls.items())
            print(f"{force_n:.0f} N on the {where}, share that falls: {said}")


@dataclass(frozen=True, kw_only=True)
class KeypointTeacher(RunTask):
    """The keypoint tracker's teacher by reinforcement learning: two seconds of what is to come, contact forces.

    Attributes:
        config: everything that decides the result.
    """

    config: Annotated[KeypointTeacherConfig, tyro.conf.arg(name="")]

    def run(self) -> int:
        return told(train_keypoint_teacher(self.config, self.out, self.resume))
