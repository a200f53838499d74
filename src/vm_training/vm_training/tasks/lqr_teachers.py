"""One sampled LQR teacher for every motion of a folder; a motion whose teacher is ready is not touched again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_training.mdp.clip_tracking import StartNoise
from vm_training.mdp.lane import LaneConfig, make_lane, robots_on, upright_to_the_end
from vm_training.mdp.operators import Timing
from vm_training.mdp.randomization import DomainRanges
from vm_training.motions.seats import SitTimeline, frames_of
from vm_training.progress import Progress
from vm_training.tasks.motion_folder import Motion, load_motion, motion_names
from vm_training.tasks.work_folder import WorkFolder
from vm_training.teachers.sampled_lqr import LqrConfig, LqrTeacher, TeacherRound, train_lqr
from vm_training.teachers.seat_transfer import seat_transferred, standing_as_a_walk_does
from vm_training.teachers.transfer import LAST_STEPS, transferred

MOST_DONORS = 3  # tried on a motion
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
        taught_gain: times the gains when a walker is taught, and so when that is judged.
        threads: of the physics.
        seed: of everything random.
    """

    lqr: LqrConfig = field(default_factory=LqrConfig)
    ranges: DomainRanges = field(default_factory=lambda: DomainRanges(box_height_m=0.004))
    start_noise: StartNoise = field(default_factory=StartNoise)
    good_enough: float = 0.88
    num_envs: int = 128
    judges: int = 48
    taught_gain: float = 1.4
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
    """Finds what is missing; returns each motion's share of starts that reach the end as a walker would be taught.

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
                rounds = _train_one(motion, motions, config, config.seed + index, folder, done)
                done[name] = rounds[-1].success
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
    """Share of starts that the kept gains take to the end while told no more than a walker can know."""
    return folder.read_json(f"{name}.json")[-1]["success"]


def taught(motion: Motion, teacher: LqrTeacher, steps: int, config: LqrTeachersConfig, seed: int) -> TeacherRound:
    """How many robots stay upright to the end, and how long, by what the teacher would tell a walker.

    Gains that hold with the exact state may fail when they are not told where they are; a walker would learn that.
    """
    lane_config = LaneConfig(config.judges, config.ranges, config.start_noise, threads=config.threads)
    bold = replace(teacher, gains=config.taught_gain * teacher.gains)
    lane = make_lane(motion, bold, motion.clip.joint_pos[0], lane_config, seed)
    upright, lasted_s = upright_to_the_end(lane, lane.wanted, config.lqr.hold_s)
    lane.env.physics.close()
    return TeacherRound(steps, float(upright.mean()), float(lasted_s.mean()))


def _train_one(
    motion: Motion, motions: Path, config: LqrTeachersConfig, seed: int, folder: WorkFolder, done: dict[str, float]
) -> list[TeacherRound]:
    """The record's last entry is of the kept gains as a walker would be taught by them."""
    found: list[tuple[TeacherRound, LqrTeacher]] = []
    for teacher in _from_donors(motion, motions, folder, done):
        found.append((taught(motion, teacher, 0, config, seed), teacher))
        if found[-1][0].success >= config.good_enough:
            break
    rounds: list[TeacherRound] = []
    best = max(found, key=_success, default=None)
    if best is None or _success(best) < config.good_enough:
        env, judge = (
            robots_on(motion, count, config.ranges, config.start_noise, seed, config.threads)
            for count in (config.num_envs, config.judges)
        )
        initial = best[1] if best else None
        teacher, rounds = train_lqr(env, config.lqr, good_enough=config.good_enough, judge=judge, initial=initial)
        found.append((taught(motion, teacher, rounds[-1].steps, config, seed), teacher))
    record, teacher = max(found, key=_success)
    rounds.append(record)
    folder.write_json(f"{motion.name}.json", [asdict(round_) for round_ in rounds])
    folder.write_arrays(teacher_file(motion.name), {"gains": teacher.gains.astype(np.float32)})
    return rounds


def _success(found: tuple[TeacherRound, LqrTeacher]) -> float:
    return found[0].success


def _from_donors(motion: Motion, motions: Path, folder: WorkFolder, done: dict[str, float]) -> list[LqrTeacher]:
    """What the most alike of the sampled teachers would do here."""
    sampled = [
        load_motion(motions, name)
        for name, success in done.items()
        if success >= LEAST_DONOR and folder.read_json(f"{name}.json")[-1]["steps"]
    ]
    if motion.timeline is None:
        return _walk_donors(motion.clip, motion, sampled, folder)
    found = _seat_donors(motion, motion.timeline, sampled, folder)
    if np.isfinite(motion.timeline.walk_s):
        first = round((motion.timeline.walk_s - motion.gait.stand_s) * motion.clip.fps)
        walk = frames_of(motion.clip, np.arange(first, motion.clip.num_frames))
        walks = _walk_donors(walk, motion, sampled, folder)
        found = [_then(sit, other, first) for sit, other in zip(found, walks, strict=False)]
    return found


def _then(sit: LqrTeacher, walk: LqrTeacher, first: int) -> LqrTeacher:
    return LqrTeacher(np.concatenate([sit.gains[:first], walk.gains]), max(sit.limit_rad, walk.limit_rad))


def _seat_donors(motion: Motion, timeline: SitTimeline, sampled: list[Motion], folder: WorkFolder) -> list[LqrTeacher]:
    """Those of the most alike seats first."""
    donors: list[tuple[float, Motion, SitTimeline]] = []
    for other in sampled:
        own = other.timeline
        if own is not None and np.isfinite(own.rise_s) == np.isfinite(timeline.rise_s) and np.isinf(own.walk_s):
            donors.append((abs(_highest(other) - _highest(motion)), other, own))
    donors.sort(key=lambda donor: donor[0])
    frames, fps = motion.clip.num_frames, motion.clip.fps
    found = [
        seat_transferred(load_teacher(folder.path, donor.name), own, timeline, frames, fps)
        for _, donor, own in donors[:MOST_DONORS]
    ]
    walk = next((other for other in sampled if other.timeline is None), None)
    if walk is None:
        return found
    standing = load_teacher(folder.path, walk.name)
    return [standing_as_a_walk_does(teacher, standing, timeline, fps) for teacher in found]


def _highest(motion: Motion) -> float:
    return max((box.top for box in motion.scene.boxes), default=0.0)


def _walk_donors(clip: MotionClip, motion: Motion, sampled: list[Motion], folder: WorkFolder) -> list[LqrTeacher]:
    """Those of the same kind first, and of many steps."""
    timing = Timing.of(clip, motion.gait)
    donors: list[tuple[tuple[bool, float, float], Motion, Timing]] = []
    for other in sampled:
        if other.timeline is not None:
            continue
        own = Timing.of(other.clip, other.gait)
        if own.step_s == timing.step_s and own.walk_s >= (LAST_STEPS + 3) * own.step_s:
            success = best_success(folder, other.name)
            donors.append(((other.kind == motion.kind, -abs(own.speed - timing.speed), success), other, own))
    donors.sort(key=lambda donor: donor[0], reverse=True)
    return [
        transferred(load_teacher(folder.path, donor.name), own, timing, clip.num_frames, clip.fps)
        for _, donor, own in donors[:MOST_DONORS]
    ]
