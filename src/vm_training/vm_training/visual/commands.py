"""What `vm-train` offers for seeing and moving things: options of each task, as its command line takes them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from vm_core.errors import VmError
from vm_training.student import Student
from vm_training.tasks.work_folder import WorkFolder
from vm_training.teachers.sampled_lqr import LqrTeacher
from vm_training.visual.motion_library import make_library
from vm_training.visual.shared_teacher import SharedTeacherConfig, train_shared
from vm_training.visual.tracker import CommandMoments
from vm_training.visual.tracker_evaluation import evaluate_tracker
from vm_training.visual.tracker_training import TrackerConfig, tracker_of, train_tracker

UNSEEN_SEED = 1_000


@dataclass(frozen=True)
class KeypointTracker:
    """A student that follows 18 keypoint commands: planned motions, gains shared by them, DAgger.

    Attributes:
        out: folder to write: motions, gains, tracker; a second start goes on.
        motions: how many to plan.
        sampled: how many of them give samples for the gains.
        unseen: how many others judge the tracker.
        start: folder of an earlier tracker of the same layers, to begin from.
        teacher: how the gains are found.
        tracker: everything that decides the student.
    """

    out: Path
    motions: int = 80
    sampled: int = 40
    unseen: int = 24
    start: Path | None = None
    teacher: SharedTeacherConfig = field(default_factory=SharedTeacherConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)

    def __post_init__(self) -> None:
        if not 1 <= self.sampled <= self.motions or self.unseen < 1:
            raise VmError(f"{self.sampled} of {self.motions} motions sampled, {self.unseen} unseen; expected from 1")

    def run(self) -> int:
        motions = make_library(self.out / "motions", self.motions, self.tracker.seed)
        gains = WorkFolder(self.out / "gains")
        gains.begin({"config": asdict(self.teacher), "motions": self.sampled, "seed": self.tracker.seed})
        if not (gains / "common.npz").is_file():
            found, records = train_shared(motions[: self.sampled], None, self.teacher)
            gains.write_json("common.json", records)
            gains.write_arrays("common.npz", {"gains": found.gains})
        common = LqrTeacher(gains.read_arrays("common.npz")["gains"])
        start = (
            None if self.start is None else tracker_of(WorkFolder(self.start / "tracker").read_arrays("tracker.npz"))
        )
        folder = WorkFolder(self.out / "tracker")
        student, _, _ = train_tracker(motions, common, self.tracker, folder, start and start[0])
        unseen = make_library(self.out / "motions", self.unseen, self.tracker.seed + UNSEEN_SEED)
        score = evaluate_tracker(student, unseen, common, self.tracker.sight)
        folder.write_json("unseen.json", asdict(score))
        print(
            f"tracker: {folder / 'tracker.npz'}\n{score.starts} starts on {score.motions} unseen motions: keypoints "
            f"{100 * score.keypoint_error_m:.1f} cm off, {100 * score.relative_error_m:.1f} cm relative to the root, "
            f"{score.falls:.1%} fall, {score.lost:.1%} end more than 0.4 m off"
        )
        return 0


def load_tracker(folder: Path) -> tuple[Student, CommandMoments]:
    """The tracker of a folder that `vm-train keypoint_tracker` wrote, and the commands that it was shown.

    Raises:
        VmError: there is none.
    """
    file = folder / "tracker" / "tracker.npz"
    if not file.is_file():
        raise VmError(f"{file}: no such file; expected a folder that vm-train keypoint_tracker wrote")
    return tracker_of(WorkFolder(file.parent).read_arrays(file.name))


TASKS = {"keypoint_tracker": KeypointTracker}
"""By the names of `vm-train`."""
