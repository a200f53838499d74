"""One tracker of many clips: DAgger from the teachers of all of them, each robot told what its own clip wants next."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from vm_core.errors import VmError
from vm_training.mdp.clip_tracking import NUM_JOINTS, ClipTracking, StartNoise
from vm_training.mdp.observations import ANY_CLIP_TERMS
from vm_training.mdp.randomization import DomainRanges
from vm_training.progress import Progress
from vm_training.student import Student
from vm_training.tasks.distillation import Trackers, act, start_frames
from vm_training.tasks.lessons import Lessons, Rollout, learn, rollout
from vm_training.tasks.motion_folder import Motion
from vm_training.tasks.work_folder import WorkFolder
from vm_training.teachers.local_models import CORRECTION_SCALE
from vm_training.teachers.sampled_lqr import LqrTeacher

OBSERVATION_SIZE = sum(term.size for term in ANY_CLIP_TERMS)
RECORDS_FILE, STUDENT_FILE = "student.json", "student.npz"
_REST_FRAMES = 150  # standing after a clip's end that is still taught


@dataclass(frozen=True)
class ClipSchoolConfig:
    """Everything that decides a tracker of many clips.

    Attributes:
        rounds: of acting and learning.
        motions_a_round: drawn for each round.
        num_envs: robots on a motion; they go on where they were when it is drawn again.
        steps: control steps of each in a round.
        longest_rollout: steps after which a robot starts anew.
        starts_at_beginning: share of resets to the clip's first frame.
        teacher_share: of robots that the teacher drives in the second round; half as many in each later one.
        exploration_rad: standard deviation of the noise on targets.
        push_m_s: standard deviation of pushes, one every two seconds.
        hidden: layers of the network.
        passes: gradient steps, in passes over the newest lessons.
        batch: lessons a gradient step.
        learning_rate: at the first round; falls to a twentieth by the last.
        lessons: most that are kept.
        teacher_gain: times the teachers' gains; regression on noisy rollouts leaves them timid.
        least_teacher: share of its starts that a teacher must take to the end.
        ranges: how robots and places differ.
        start_noise: of resets.
        threads: of the physics.
        seed: of everything random.
    """

    rounds: int = 30
    motions_a_round: int = 10
    num_envs: int = 32
    steps: int = 60
    longest_rollout: int = 400
    starts_at_beginning: float = 0.2
    teacher_share: float = 0.5
    exploration_rad: float = 0.02
    push_m_s: float = 0.1
    hidden: tuple[int, ...] = (256, 128, 64)
    passes: float = 6.0
    batch: int = 512
    learning_rate: float = 1e-3
    lessons: int = 300_000
    teacher_gain: float = 1.4
    least_teacher: float = 0.8
    ranges: DomainRanges = field(default_factory=DomainRanges)
    start_noise: StartNoise = field(default_factory=lambda: StartNoise(position_m=0.02, rotation_rad=0.03))
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        numbers = (self.rounds, self.motions_a_round, self.num_envs, self.steps, self.batch, self.threads, *self.hidden)
        if min(numbers) < 1 or self.seed < 0 or self.lessons < self.batch or self.teacher_gain <= 0.0:
            raise VmError(f"{self}: expected whole numbers from 1, a seed from 0, and room for a batch of lessons")


@dataclass
class _Class:
    robots: Trackers
    age: np.ndarray


class ClipSchool:
    """The student, what it was told, and robots on all clips that were drawn so far.

    Attributes:
        student: that learns.
    """

    def __init__(self, motions: dict[str, tuple[Motion, LqrTeacher]], config: ClipSchoolConfig) -> None:
        self.config, self._motions = config, motions
        self.student = Student(OBSERVATION_SIZE, NUM_JOINTS, config.hidden)
        self._lessons = Lessons.room_for(config.lessons, OBSERVATION_SIZE, NUM_JOINTS)
        self._optimizer = torch.optim.Adam(self.student.parameters(), lr=config.learning_rate)
        self._classes: dict[str, _Class] = {}

    def round(self, index: int) -> dict[str, float]:
        """One round of acting and learning; in the first the teachers act."""
        config, rng = self.config, np.random.default_rng([self.config.seed, index])
        names = list(self._motions)
        picked = rng.choice(names, min(config.motions_a_round, len(names)), replace=False)
        before, falls, acted = self._lessons.written, 0, 0
        for name in picked.tolist():
            done = self._gather(name, index)
            falls, acted = falls + done[0], acted + done[1]
        if index == 0:
            self.student.normalize(self._lessons.observation[: self._lessons.count].astype(np.float32))
        newest = self._lessons.written - before
        for group in self._optimizer.param_groups:
            group["lr"] = config.learning_rate * 0.05 ** (index / max(config.rounds - 1, 1))
        steps = max(round(config.passes * newest / config.batch), 1)
        loss = learn(self.student, self._optimizer, self._lessons, newest, steps, config.batch, rng)
        return {"steps": newest, "loss": loss, "seconds_a_fall": acted / 50.0 / max(falls, 1)}

    def _gather(self, name: str, index: int) -> tuple[int, int]:
        """Falls of the student, and its control steps."""
        config, of_name = self.config, self._class(name)
        env = of_name.robots.env
        driven = env.rng.random(env.num_envs) < (1.0 if index == 0 else config.teacher_share * 0.5 ** (index - 1))
        how = Rollout(
            steps=config.steps,
            last_frame=env.clip.num_frames + _REST_FRAMES,
            starts=lambda count: start_frames(env, count, config.starts_at_beginning),
            drive=lambda seen, wanted: np.where(driven[:, None], wanted, act(self.student, seen)),
            tell=lambda seen, wanted: self._lessons.add(seen, (wanted / CORRECTION_SCALE).astype(np.float32)),
        )
        falls = rollout(of_name.robots, of_name.age, config, how)
        return int(falls[~driven].sum()), int((~driven).sum()) * config.steps

    def _class(self, name: str) -> _Class:
        if name not in self._classes:
            (motion, teacher), config = self._motions[name], self.config
            seed = config.seed + 1000 * (1 + list(self._motions).index(name))
            env = ClipTracking(
                motion.clip, motion.scene, config.num_envs, config.ranges, config.start_noise, seed,
                threads=config.threads,
            )  # fmt: skip
            env.reset(np.arange(env.num_envs), start_frames(env, env.num_envs, config.starts_at_beginning))
            bold = replace(teacher, gains=config.teacher_gain * teacher.gains)
            age = env.rng.integers(0, config.longest_rollout, env.num_envs)
            self._classes[name] = _Class(Trackers(env, bold, ANY_CLIP_TERMS), age)
        return self._classes[name]


def train_clip_school(
    motions: dict[str, tuple[Motion, LqrTeacher]], config: ClipSchoolConfig, folder: WorkFolder, source: Path
) -> tuple[Student, list[dict[str, float]]]:
    """All rounds that are not done yet; a resumed run goes on from the last whole one and gathers lessons anew.

    Args:
        motions: to follow, with their teachers, by name.
        config: everything that decides the result.
        folder: for what a resumed run needs.
        source: folder of the motions, for the record.
    """
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    folder.begin({"config": asdict(config), "motions": [str(source), *motions]})
    school, records = ClipSchool(motions, config), []
    if (folder / STUDENT_FILE).is_file():
        saved = folder.read_arrays(STUDENT_FILE)
        records = folder.read_json(RECORDS_FILE)[: int(saved.pop("rounds"))]
        school.student.load_state_dict({key: torch.from_numpy(value) for key, value in saved.items()})
    with Progress("tracker", config.rounds, len(records)) as bar:
        for index in range(len(records), config.rounds):
            records.append(school.round(index))
            newest = records[-1]
            bar.round_done(loss=f"{newest['loss']:.3f}", s_a_fall=f"{newest['seconds_a_fall']:.1f}")
            folder.write_json(RECORDS_FILE, records)
            weights = {key: value.numpy() for key, value in school.student.state_dict().items()}
            folder.write_arrays(STUDENT_FILE, weights | {"rounds": np.array(len(records))})
    return school.student, records
