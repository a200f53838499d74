"""One sampled LQR teacher for every motion of a folder; a motion whose teacher is ready is not touched again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from vm_core.errors import VmError
from vm_training.mdp.clip_tracking import ClipTracking, StartNoise
from vm_training.mdp.operators import Timing
from vm_training.mdp.randomization import DomainRanges
from vm_training.progress import Progress
from vm_training.tasks.motion_folder import Motion, load_motion, motion_names
from vm_training.tasks.work_folder import WorkFolder
from vm_training.teachers.sampled_lqr import LqrConfig, LqrTeacher, TeacherRound, train_lqr
from vm_training.teachers.transfer import LAST_STEPS, transferred

LEAST_DONOR = 0.6  # success of a teacher whose gains are tried on another motion


@dataclass(frozen=True)
class LqrTeachersConfig:
    """Everything that decides the teachers.

    Attributes:
        lqr: how each is found.
        ranges: how robots and places differ meanwhile.
        start_noise: of resets.
        good_enough: share of starts that reach the end after which no further round is made.
        num_envs: robots at once, while sampling.
        judges: robots that say how good a teacher is.
        threads: of the physics.
        seed: of everything random.
    """

    lqr: LqrConfig = field(default_factory=LqrConfig)
    ranges: DomainRanges = field(default_factory=lambda: DomainRanges(box_height_m=0.004))
    start_noise: StartNoise = field(default_factory=StartNoise)
    good_enough: float = 0.88
    num_envs: int = 128
    judges: int = 48
    threads: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if (
            min(self.num_envs, self.judges, self.threads, self.lqr.rounds) < 1
            or self.seed < 0
            or not 0.0 < self.good_enough <= 1.0
        ):
            raise VmError(f"{self}: expected at least one robot, thread and round, a seed from 0, a share in (0, 1]")


def train_lqr_teachers(motions: Path, config: LqrTeachersConfig, folder: WorkFolder) -> dict[str, float]:
    """Finds what is missing; returns each motion's share of starts that reach the end.

    Raises:
        VmError: no motions.
    """
    names = motion_names(motions)
    folder.begin({"config": asdict(config), "motions": str(motions)})
    done = {name: best_success(folder, name) for name in names if (folder / teacher_file(name)).is_file()}
    with Progress("teachers", len(names), len(done), unit="motion") as bar:
        for index, name in enumerate(names):
            if name not in done:
                motion = load_motion(motions, name)
                initial = _from_donor(motion, motions, folder, done)
                rounds = _train_one(motion, config, config.seed + index, folder, initial)
                done[name] = max(round_.success for round_ in rounds)
                bar.round_done(motion=name, end=f"{done[name]:.0%}", steps=str(rounds[-1].steps))
    return {name: done[name] for name in names}


def teacher_file(name: str) -> str:
    """File of a motion's gains in the folder of teachers."""
    return f"{name}.npz"


def load_teacher(folder: Path, name: str) -> LqrTeacher:
    """The teacher of a motion."""
    with np.load(folder / teacher_file(name), allow_pickle=False) as archive:
        return LqrTeacher(archive["gains"].astype(np.float64))


def best_success(folder: WorkFolder, name: str) -> float:
    """Share of starts that reach the end with the kept gains."""
    return max(entry["success"] for entry in folder.read_json(f"{name}.json"))


def _train_one(
    motion: Motion, config: LqrTeachersConfig, seed: int, folder: WorkFolder, initial: LqrTeacher | None
) -> list[TeacherRound]:
    env, judge = (
        ClipTracking(motion.clip, motion.scene, count, config.ranges, config.start_noise, seed, threads=config.threads)
        for count in (config.num_envs, config.judges)
    )
    teacher, rounds = train_lqr(env, config.lqr, good_enough=config.good_enough, judge=judge, initial=initial)
    folder.write_json(f"{motion.name}.json", [asdict(round_) for round_ in rounds])
    folder.write_arrays(teacher_file(motion.name), {"gains": teacher.gains.astype(np.float32)})
    return rounds


def _from_donor(motion: Motion, motions: Path, folder: WorkFolder, done: dict[str, float]) -> LqrTeacher | None:
    """What the best sampled teacher would do here: one of the same kind if there is, and of many steps."""
    timing = Timing.of(motion.clip, motion.gait)
    best: tuple[tuple[bool, float, float], Motion] | None = None
    for name, success in done.items():
        if success < LEAST_DONOR or not folder.read_json(f"{name}.json")[-1]["steps"]:
            continue
        other = load_motion(motions, name)
        own = Timing.of(other.clip, other.gait)
        if own.step_s != timing.step_s or own.walk_s < (LAST_STEPS + 3) * own.step_s:
            continue
        score = (other.kind == motion.kind, -abs(own.speed - timing.speed), success)
        if best is None or score > best[0]:
            best = score, other
    if best is None:
        return None
    donor = best[1]
    own = Timing.of(donor.clip, donor.gait)
    return transferred(load_teacher(folder.path, donor.name), own, timing, motion.clip.num_frames, motion.clip.fps)
