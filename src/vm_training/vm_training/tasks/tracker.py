"""From a planned clip to a policy that follows it, in minutes on two cores.

Clip with feed-forward targets → teacher (sampled LQR) → student (DAgger) → policy file. Every stage leaves its file in
the work folder; a run that was killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch

from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset
from vm_training.export import export_policy, tracking_contract
from vm_training.mdp.clip_tracking import NUM_JOINTS, ClipTracking, StartNoise
from vm_training.mdp.observations import SensorNoise, observe
from vm_training.mdp.randomization import DomainRanges
from vm_training.progress import Progress
from vm_training.student import Student
from vm_training.tasks.climb_checks import Check, evaluate_student, follow
from vm_training.tasks.distillation import (
    OBSERVATION_SIZE,
    DistillationConfig,
    DistillationRound,
    act,
    gather,
    learn,
    learning_rate_at,
    new_lessons,
)
from vm_training.tasks.lessons import Lessons
from vm_training.tasks.work_folder import WorkFolder
from vm_training.teachers.sampled_lqr import LqrConfig, LqrTeacher, TeacherRound, train_lqr

LEAST_TEACHER_SUCCESS = 0.5


@dataclass(frozen=True)
class TrackerConfig:
    """How a clip is learned.

    Attributes:
        teacher: sampled LQR.
        distillation: DAgger.
        teacher_ranges: how robots and places differ while the teacher is found.
        ranges: the same while the student learns.
        start_noise: of resets while the student learns.
        num_envs: robots at once.
        threads: of the physics.
        seed: of everything random.
    """

    teacher: LqrConfig = field(default_factory=LqrConfig)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)
    teacher_ranges: DomainRanges = field(default_factory=lambda: DomainRanges(box_height_m=0.004))
    ranges: DomainRanges = field(default_factory=DomainRanges)
    start_noise: StartNoise = field(default_factory=lambda: StartNoise(position_m=0.02, rotation_rad=0.03))
    num_envs: int = 128
    threads: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        rounds = min(self.teacher.rounds, self.distillation.rounds)
        steps = min(self.teacher.steps_a_round, self.distillation.steps_a_round)
        if min(self.num_envs, self.threads, rounds) < 1 or steps < self.num_envs or self.seed < 0:
            raise VmError(
                f"{self.num_envs} robots, {self.threads} threads, {rounds} rounds of {steps} steps, seed {self.seed}; "
                "expected at least 1, 1, 1, a step for each robot, and 0"
            )


@dataclass(frozen=True)
class Course:
    """What is followed where.

    Attributes:
        plan: makes the clip.
        scene: around it.
        collision: shapes that touch while training, as in `load_g1_spec`.
        lost_m: distance from the clip at which a robot counts as lost.
    """

    plan: Callable[[], MotionClip]
    scene: SceneAsset
    collision: str = "spheres"
    lost_m: float = 0.4


def train_tracker(course: Course, config: TrackerConfig, folder: WorkFolder, out: Path, name: str) -> list[Check]:
    """All stages that are not done yet; writes the policy file and returns its checks.

    Raises:
        VmError: what the planner or the teacher cannot manage.
    """
    torch.set_num_threads(1)  # faster for a network of this size, and the physics has the cores
    folder.begin({"config": asdict(config), "scene": _scene_values(course.scene)})
    school = _School(_clip(course, folder), course, config, folder)
    teacher = school.teacher()
    student = school.student(teacher)
    print("checking the student with full collision shapes at 2 ms", flush=True)
    seed = config.seed + 1000
    checks = evaluate_student(student, school.clip, course.scene, course.lost_m, seed=seed, threads=config.threads)
    folder.write_json("evaluation.json", [asdict(check) for check in checks])
    env = school.robots(config.ranges, config.seed + 2, config.start_noise)
    env.reset(np.arange(env.num_envs), np.full(env.num_envs, school.clip.num_frames // 2))
    training = {"seed": config.seed, "commit": folder.commit, "checks": [asdict(check) for check in checks]}
    contract = tracking_contract(name, school.clip, training)
    export_policy(student, contract, observe(env, SensorNoise())[0], out, school.clip)
    return checks


def _clip(course: Course, folder: WorkFolder) -> MotionClip:
    path = folder / "clip.npz"
    if not path.is_file():
        course.plan().save(path)
    return MotionClip.load(path)


@dataclass(frozen=True)
class _School:
    clip: MotionClip
    course: Course
    config: TrackerConfig
    folder: WorkFolder

    def robots(self, ranges: DomainRanges, seed: int, noise: StartNoise) -> ClipTracking:
        config, course = self.config, self.course
        return ClipTracking(
            self.clip,
            course.scene,
            config.num_envs,
            ranges,
            noise,
            seed,
            course.collision,
            threads=config.threads,
            lost_m=course.lost_m,
        )

    def teacher(self) -> LqrTeacher:
        config, folder = self.config, self.folder
        if not (folder / "teacher.npz").is_file():
            env = self.robots(config.teacher_ranges, config.seed, StartNoise())
            with Progress("teacher", config.teacher.rounds) as bar:

                def show(round_: TeacherRound) -> None:
                    bar.round_done(
                        steps=str(round_.steps), end=f"{round_.success:.0%}", upright=f"{round_.upright_s:.1f} s"
                    )

                teacher, rounds = train_lqr(env, config.teacher, show)
            folder.write_json("teacher.json", [asdict(r) for r in rounds])
            best = max(r.success for r in rounds)
            if best < LEAST_TEACHER_SUCCESS:
                raise VmError(
                    f"the teacher reaches the end in {best:.0%} of its runs; expected at least "
                    f"{LEAST_TEACHER_SUCCESS:.0%}"
                )
            folder.write_arrays("teacher.npz", {"gains": teacher.gains})
        return LqrTeacher(folder.read_arrays("teacher.npz")["gains"])

    def student(self, teacher: LqrTeacher) -> Student:
        config, folder = self.config, self.folder
        torch.manual_seed(config.seed)
        student, lessons, rounds = Student(OBSERVATION_SIZE, NUM_JOINTS), new_lessons(config.distillation), []
        if (folder / "student.npz").is_file():
            saved = folder.read_arrays("student.npz")
            lessons.add(saved.pop("lessons_observation"), saved.pop("lessons_action"))
            done = int(saved.pop("rounds"))
            student.load_state_dict({key: torch.from_numpy(value) for key, value in saved.items()})
            rounds = [DistillationRound(**entry) for entry in folder.read_json("student.json")[:done]]
        with Progress("student", config.distillation.rounds, len(rounds)) as bar:
            for index in range(len(rounds), config.distillation.rounds):
                rounds.append(self._round(index, student, lessons, teacher))
                newest = rounds[-1]
                bar.round_done(steps=str(newest.steps), end=f"{newest.success:.0%}", loss=f"{newest.loss:.3f}")
                folder.write_json("student.json", [asdict(r) for r in rounds])
                weights = {key: value.numpy() for key, value in student.state_dict().items()}
                observation, action = lessons.at(np.arange(lessons.count))
                told = {"lessons_observation": observation, "lessons_action": action}
                # how many rounds these weights have had; the record above may be one ahead after a kill
                folder.write_arrays("student.npz", weights | told | {"rounds": np.array(len(rounds))})
        return student

    def _round(self, index: int, student: Student, lessons: Lessons, teacher: LqrTeacher) -> DistillationRound:
        # each round has its own robots and its own seed, so that a resumed run does what an unbroken one does
        config, seed = self.config, self.config.seed + 100 + index
        env, settings = self.robots(config.ranges, seed, config.start_noise), config.distillation
        gather(env, None if index == 0 else lambda seen: act(student, seen), teacher, settings, lessons)
        generator = torch.Generator().manual_seed(seed)
        loss = learn(student, lessons, settings, learning_rate_at(settings, index), generator)
        return DistillationRound(lessons.count, loss, *follow(env, student, settings.hold_s))


def _scene_values(scene: SceneAsset) -> list[list[float]]:
    boxes = [[*box.center_world, *box.half_size, box.yaw] for box in scene.boxes]
    return [[float(v) for v in row] for row in (list(scene.ground), *boxes)]
