"""See and move: what noise on a tracker's commands, clamped commands and the world's axes are worth.

VisualMimic's ablations with this project's own stages. For each seed a keypoint tracker as shipped, one that learns
without noise on its commands and one that is told in its own axes learn from the same motions and gains; over the first
two generators that know the ball's state learn to dribble, over the first one also without clamping. `VM_BENCH_TRACKER`
is the folder of `vm-train keypoint_tracker` whose motions and gains are used (out/tracker), `VM_BENCH_SEEDS` how many
runs of each (3); `VM_BENCH_OUT` (out/visual_ablations) keeps everything and goes on where it was killed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from seed_runs import once, over_seeds

from vm_core.errors import VmError
from vm_training.student import Student
from vm_training.tasks.work_folder import WorkFolder
from vm_training.teachers.sampled_lqr import LqrTeacher
from vm_training.visual.gait_table import gait_table
from vm_training.visual.generator_training import GeneratorConfig, train_generator
from vm_training.visual.loaded_tracking import Surprises
from vm_training.visual.motion_library import load_motion, make_library
from vm_training.visual.object_evaluation import evaluate_task
from vm_training.visual.object_world import Tracker
from vm_training.visual.planned_motion import PlannedMotion
from vm_training.visual.shared_teacher import SharedGains, with_felt
from vm_training.visual.tasks import find_object_task
from vm_training.visual.tracker import CommandMoments, TrackerSight
from vm_training.visual.tracker_commands import UNSEEN_SEED
from vm_training.visual.tracker_evaluation import evaluate_tracker
from vm_training.visual.tracker_training import TrackerConfig, train_tracker

SEEDS = int(os.environ.get("VM_BENCH_SEEDS", "3"))
OUT = Path(os.environ.get("VM_BENCH_OUT", "out/visual_ablations"))
FROM = Path(os.environ.get("VM_BENCH_TRACKER", "out/tracker"))
TASK, ROLLOUTS, UNSEEN, TAUGHT_SEED = "kick_ball", 16, 12, 0
SURPRISES = Surprises(error=0.4, bump_n=3.0, share=0.5, hands_n=10.0, kick_n=20.0)
TRACKER = TrackerConfig(rounds=14, motions_a_round=10, robots=24, passes=4.0, surprises=SURPRISES)
GENERATOR = GeneratorConfig(rounds=8, longest_s=60.0)
SIGHTS = {
    "as shipped": TrackerSight(),
    "commands without noise": TrackerSight(command_noise=0.0),
    "told in the body's axes": TrackerSight(axes="local"),
}
DRIBBLERS = (("as shipped", True), ("commands without noise", True), ("as shipped", False))
"""Which tracker, and whether commands are clamped."""


@dataclass(frozen=True)
class Lessons:
    """Motions to learn from and to be judged by, and their gains."""

    taught: list[PlannedMotion]
    unseen: list[PlannedMotion]
    gains: SharedGains

    @staticmethod
    def of(folder: Path) -> Lessons:
        """What an earlier tracker learnt from.

        Raises:
            VmError: it is not there.
        """
        gains = WorkFolder(folder / "gains")
        if not (gains / "common.npz").is_file() or not (gains / "resting.npz").is_file():
            raise VmError(f"{folder}: no motions and gains; vm-train keypoint_tracker --out {folder} makes them")
        files = sorted((folder / "motions").glob("*.npz"))
        taught = [load_motion(file) for file in files if f"_{TAUGHT_SEED}_" in file.name]
        unseen = make_library(folder / "motions", UNSEEN, UNSEEN_SEED)
        common, resting = (with_felt(gains.read_arrays(name)["gains"]) for name in ("common.npz", "resting.npz"))
        return Lessons(taught, unseen, SharedGains(LqrTeacher(common, 0.8), resting))


def figures(seed: int) -> Iterator[dict]:
    """Means over seeds, and the worst one, of trackers and of dribblers over them."""
    lessons = Lessons.of(FROM)
    runs = range(seed, seed + SEEDS)
    for name in SIGHTS:
        rows = [once(OUT, f"tracker_{name}_{run}", lambda n=name, r=run: _judged(n, r, lessons)) for run in runs]
        yield from over_seeds(
            f"tracker, {name}", rows, {"keypoint_error_m": ("m", "lower"), "falls": ("share", "lower")}
        )
    for name, clip in DRIBBLERS:
        what = name if clip else f"{name}, not clamped"
        rows = [once(OUT, f"{what}_{run}", lambda n=name, c=clip, r=run: _dribbles(n, c, r, lessons)) for run in runs]
        kinds = {"forward": ("m", "higher"), "falls": ("share", "lower"), "success": ("share", "higher")}
        yield from over_seeds(f"{TASK}, {what}", rows, kinds)


def _tracker(name: str, run: int, lessons: Lessons) -> tuple[Student, CommandMoments]:
    config = replace(TRACKER, seed=run, sight=SIGHTS[name])
    folder = WorkFolder(OUT / f"tracker_{name.replace(' ', '_')}_{run}")
    student, moments, _ = train_tracker(lessons.taught, lessons.gains, config, folder)
    return student.eval(), moments


def _judged(name: str, run: int, lessons: Lessons) -> dict:
    student, _ = _tracker(name, run, lessons)
    return asdict(evaluate_tracker(student, lessons.unseen, lessons.gains, SIGHTS[name]))


def _dribbles(name: str, clip: bool, run: int, lessons: Lessons) -> dict:
    student, moments = _tracker(name, run, lessons)
    tracker, task, table = Tracker(student, moments.statistics(), clip), find_object_task(TASK), gait_table()
    folder = WorkFolder(OUT / f"dribbler_{name.replace(' ', '_')}_{clip}_{run}")
    generator, _ = train_generator(task, tracker, table, replace(GENERATOR, seed=run), folder)
    return asdict(evaluate_task(task, tracker, table, "state", generator, ROLLOUTS, 100 + run))
