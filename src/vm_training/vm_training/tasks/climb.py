"""From a scene with steps to a policy that climbs them, in minutes on two cores.

Reference (footsteps, zero moment point, feed-forward) → teacher (sampled LQR) → student (DAgger) → policy file. Every
stage leaves its file in the work folder; a run that was killed goes on where it was.
"""

from __future__ import annotations

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
from vm_training.motions.clip import reference_clip
from vm_training.motions.feasibility import Feasibility
from vm_training.motions.footsteps import Gait
from vm_training.motions.reference import plan_reference
from vm_training.motions.route import climb_route
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
class ClimbConfig:
    """Everything that decides the result.

    Attributes:
        gait: of the reference.
        approach_m: how far before the lowest step the robot starts.
        teacher: sampled LQR.
        distillation: DAgger.
        teacher_ranges: how robots and places differ while the teacher is found.
        ranges: the same while the student learns.
        start_noise: of resets while the student learns.
        num_envs: robots at once.
        threads: of the physics.
        seed: of everything random.
    """

    gait: Gait = field(default_factory=Gait)
    approach_m: float = 0.5
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


def train_climb(scene: SceneAsset, config: ClimbConfig, folder: WorkFolder, out: Path, name: str) -> list[Check]:
    """All stages that are not done yet; writes the policy file and returns its checks.

    Raises:
        VmError: steps that the planner or the teacher cannot manage.
    """
    torch.set_num_threads(1)  # faster for a network of this size, and the physics has the cores
    folder.begin({"config": asdict(config), "scene": _scene_values(scene)})
    clip = _reference(scene, config, folder)
    teacher = _teacher(clip, scene, config, folder)
    student = _student(clip, teacher, scene, config, folder)
    print("checking the student with full collision shapes at 2 ms", flush=True)
    checks = evaluate_student(student, clip, scene, seed=config.seed + 1000, threads=config.threads)
    folder.write_json("evaluation.json", [asdict(check) for check in checks])
    env = _env(clip, scene, config, config.ranges, config.seed + 2)
    env.reset(np.arange(env.num_envs), np.full(env.num_envs, clip.num_frames // 2))
    training = {"seed": config.seed, "commit": folder.commit, "checks": [asdict(check) for check in checks]}
    export_policy(student, tracking_contract(name, clip, training), observe(env, SensorNoise())[0], out, clip)
    return checks


def _reference(scene: SceneAsset, config: ClimbConfig, folder: WorkFolder) -> MotionClip:
    path = folder / "clip.npz"
    if not path.is_file():
        reference = plan_reference(scene, climb_route(scene, config.approach_m), config.gait)
        found = Feasibility.of(reference)
        print(
            f"reference: {len(reference.motion.qpos)} frames, feet {1e3 * found.foot_error_m:.1f} mm, "
            f"zero moment point {1e3 * found.zmp_error_m:.1f} mm"
        )
        if found.problems:
            raise VmError(f"no feasible climb of these steps with this gait: {found.problems}")
        reference_clip(reference, "planned climb").save(path)
    return MotionClip.load(path)


def _teacher(clip: MotionClip, scene: SceneAsset, config: ClimbConfig, folder: WorkFolder) -> LqrTeacher:
    path = folder / "teacher.npz"
    if not path.is_file():
        env = _env(clip, scene, config, config.teacher_ranges, config.seed, StartNoise())
        with Progress("teacher", config.teacher.rounds) as bar:

            def show(round_: TeacherRound) -> None:
                bar.round_done(
                    steps=str(round_.steps), top=f"{round_.success:.0%}", upright=f"{round_.upright_s:.1f} s"
                )

            teacher, rounds = train_lqr(env, config.teacher, show)
        folder.write_json("teacher.json", [asdict(r) for r in rounds])
        best = max(r.success for r in rounds)
        if best < LEAST_TEACHER_SUCCESS:
            raise VmError(
                f"the teacher climbs in {best:.0%} of its runs; expected at least {LEAST_TEACHER_SUCCESS:.0%}"
            )
        folder.write_arrays("teacher.npz", {"gains": teacher.gains})
    return LqrTeacher(folder.read_arrays("teacher.npz")["gains"])


def _student(
    clip: MotionClip, teacher: LqrTeacher, scene: SceneAsset, config: ClimbConfig, folder: WorkFolder
) -> Student:
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
            rounds.append(_student_round(index, student, lessons, teacher, clip, scene, config))
            newest = rounds[-1]
            bar.round_done(steps=str(newest.steps), top=f"{newest.success:.0%}", loss=f"{newest.loss:.3f}")
            folder.write_json("student.json", [asdict(r) for r in rounds])
            weights = {key: value.numpy() for key, value in student.state_dict().items()}
            observation, action = lessons.at(np.arange(lessons.count))
            told = {"lessons_observation": observation, "lessons_action": action}
            # how many rounds these weights have had; the record above may be one ahead after a kill
            folder.write_arrays("student.npz", weights | told | {"rounds": np.array(len(rounds))})
    return student


def _student_round(
    index: int,
    student: Student,
    lessons: Lessons,
    teacher: LqrTeacher,
    clip: MotionClip,
    scene: SceneAsset,
    config: ClimbConfig,
) -> DistillationRound:
    # each round has its own robots and its own seed, so that a resumed run does what an unbroken one does
    seed = config.seed + 100 + index
    env = _env(clip, scene, config, config.ranges, seed)
    settings = config.distillation

    gather(env, None if index == 0 else lambda seen: act(student, seen), teacher, settings, lessons)
    generator = torch.Generator().manual_seed(seed)
    loss = learn(student, lessons, settings, learning_rate_at(settings, index), generator)
    return DistillationRound(lessons.count, loss, *follow(env, student, settings.hold_s))


def _env(
    clip: MotionClip,
    scene: SceneAsset,
    config: ClimbConfig,
    ranges: DomainRanges,
    seed: int,
    noise: StartNoise | None = None,
) -> ClipTracking:
    start = config.start_noise if noise is None else noise
    return ClipTracking(clip, scene, config.num_envs, ranges, start, seed, threads=config.threads)


def _scene_values(scene: SceneAsset) -> list[list[float]]:
    boxes = [[*box.center_world, *box.half_size, box.yaw] for box in scene.boxes]
    return [[float(v) for v in row] for row in (list(scene.ground), *boxes)]
