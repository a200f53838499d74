"""A walker without a clip: DAgger from the teachers of many motions into one network that sees command and ground."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vm_core.errors import VmError
from vm_training.mdp.clip_tracking import NUM_JOINTS, ClipTracking
from vm_training.mdp.lane import ACTION_SCALE_RAD, Lane, LaneConfig, make_lane
from vm_training.mdp.walk_observations import OBSERVATION_SIZE
from vm_training.progress import Progress
from vm_training.student import Student
from vm_training.tasks.lqr_teachers import best_success, load_teacher, teacher_file
from vm_training.tasks.motion_folder import Motion, load_motion, motion_names
from vm_training.tasks.work_folder import WorkFolder
from vm_training.teachers.sampled_lqr import LqrTeacher

ACTION_CLIP = 12.0
COMMAND_LIMITS = ((0.0, 0.42), (0.0, 0.0), (-0.4, 0.4))


@dataclass(frozen=True)
class WalkConfig:
    """Everything that decides the walker.

    Attributes:
        rounds: of acting and learning.
        motions_a_round: drawn for each round.
        steps: control steps of each robot in a round.
        longest_rollout: steps after which a robot starts anew.
        starts_at_beginning: share of resets to the clip's first frame.
        exploration_rad: standard deviation of the noise on targets.
        push_m_s: standard deviation of pushes, one every two seconds.
        epochs: passes over the newest lessons and as many old ones, a round.
        batch: samples a gradient step.
        learning_rate: at the first round; falls to a tenth by the last.
        lessons: most that are kept; the oldest go.
        least_teacher: share of starts that a teacher must take to the end.
        lane: how robots and places differ.
        seed: of everything random.
    """

    rounds: int = 40
    motions_a_round: int = 10
    steps: int = 100
    longest_rollout: int = 200
    starts_at_beginning: float = 0.25
    exploration_rad: float = 0.02
    push_m_s: float = 0.04
    epochs: int = 3
    batch: int = 512
    learning_rate: float = 1e-3
    lessons: int = 300_000
    least_teacher: float = 0.8
    lane: LaneConfig = field(default_factory=LaneConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        numbers = (self.rounds, self.motions_a_round, self.steps, self.epochs, self.batch)
        if min(numbers) < 1 or self.seed < 0 or self.lessons < self.batch:
            raise VmError(f"{self}: expected whole numbers from 1, a seed from 0, and room for a batch of lessons")


@dataclass
class Lessons:
    """Rings of observations (n, OBSERVATION_SIZE) and wanted raw actions (n, J)."""

    observation: np.ndarray
    action: np.ndarray
    count: int = 0
    written: int = 0

    @staticmethod
    def room_for(size: int) -> Lessons:
        return Lessons(np.zeros((size, OBSERVATION_SIZE), np.float32), np.zeros((size, NUM_JOINTS), np.float32))

    def add(self, observation: np.ndarray, action: np.ndarray) -> None:
        """Adds a batch; the oldest make room."""
        at = (self.written + np.arange(len(action))) % len(self.action)
        self.observation[at], self.action[at] = observation, action
        self.written += len(action)
        self.count = min(self.count + len(action), len(self.action))


def act(student: Student, observation: np.ndarray, default: np.ndarray) -> np.ndarray:
    """Targets (N, J) [rad] of the student."""
    with torch.inference_mode():
        raw = student(torch.from_numpy(observation)).numpy()
    return default + ACTION_SCALE_RAD * np.clip(raw, -ACTION_CLIP, ACTION_CLIP).astype(np.float64)


def gather(lane: Lane, student: Student | None, config: WalkConfig, lessons: Lessons) -> int:
    """The student (or, without one, the teacher) acts, the teacher says what it would have done; returns the falls."""
    env, default, count = lane.env, lane.observer.default_joint_pos, lane.env.num_envs
    age = env.rng.integers(0, config.longest_rollout, count)
    lane.reset(np.arange(count), _start_frames(env, count, config.starts_at_beginning))
    falls = 0
    for _ in range(config.steps):
        seen, wanted = lane.observer.observe(), lane.wanted()
        lessons.add(seen, ((wanted - default) / ACTION_SCALE_RAD).astype(np.float32))
        target = wanted if student is None else act(student, seen, default)
        lane.act(target + env.rng.normal(0.0, config.exploration_rad, target.shape))
        pushed = np.flatnonzero(env.rng.random(count) < 0.5 / env.clip.fps)
        env.push(pushed, env.rng.normal(0.0, config.push_m_s, (len(pushed), 3)))
        age += 1
        fallen = lane.fallen()
        over = np.flatnonzero(fallen | (age > config.longest_rollout) | (env.frame > env.clip.num_frames + 50))
        lane.reset(over, _start_frames(env, len(over), config.starts_at_beginning))
        age[over] = 0
        falls += int(fallen.sum())
    return falls


def learn(
    student: Student, lessons: Lessons, newest: int, config: WalkConfig, rate: float, rng: np.random.Generator
) -> float:
    """Passes over the newest lessons and as many older ones; the last pass' mean loss (Huber, raw action units)."""
    optimizer = torch.optim.Adam(student.parameters(), lr=rate)
    loss_of = nn.SmoothL1Loss(beta=0.2)
    size, mean = len(lessons.action), 0.0
    recent = (lessons.written - 1 - np.arange(min(newest, lessons.count))) % size
    for _ in range(config.epochs):
        mixed = np.concatenate([recent, rng.integers(0, lessons.count, 2 * len(recent))])
        rng.shuffle(mixed)
        losses = []
        for batch in np.array_split(mixed, max(len(mixed) // config.batch, 1)):
            loss = loss_of(
                student(torch.from_numpy(lessons.observation[batch])), torch.from_numpy(lessons.action[batch])
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        mean = float(np.mean(losses))
    return mean


def good_motions(motions: Path, teachers: WorkFolder, least: float) -> list[str]:
    """Names of motions whose teacher is there and good.

    Raises:
        VmError: there is none.
    """
    ready = [name for name in motion_names(motions) if (teachers / teacher_file(name)).is_file()]
    good = [name for name in ready if best_success(teachers, name) >= least]
    if not good:
        raise VmError(f"{teachers.path}: no teacher reaches {least:.0%} of {len(ready)}; run vm-train lqr_teachers")
    return good


def train_walk(motions: Path, teachers: Path, config: WalkConfig, folder: WorkFolder) -> tuple[Student, np.ndarray]:
    """All rounds that are not done yet; returns the student and the pose (J,) [rad] that its actions add to.

    A resumed run goes on with the weights of the last whole round and gathers its lessons anew.

    Raises:
        VmError: no motions, or no good teachers.
    """
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    names = good_motions(motions, WorkFolder(teachers), config.least_teacher)
    folder.begin({"config": asdict(config), "motions": names})
    loaded = {name: (load_motion(motions, name), load_teacher(teachers, name)) for name in names}
    default = next(iter(loaded.values()))[0].clip.joint_pos[0]
    student, lessons = Student(OBSERVATION_SIZE, NUM_JOINTS), Lessons.room_for(config.lessons)
    records = _resumed(student, folder)
    with Progress("walker", config.rounds, len(records)) as bar:
        for index in range(len(records), config.rounds):
            rng = np.random.default_rng([config.seed, index])
            picked = rng.choice(names, min(config.motions_a_round, len(names)), replace=False)
            lanes = [(*loaded[name], config.seed + 1000 * (index + 1) + k) for k, name in enumerate(picked)]
            records.append(_round(index, student, lessons, lanes, default, config, rng))
            newest = records[-1]
            bar.round_done(loss=f"{newest['loss']:.3f}", s_a_fall=f"{newest['seconds_a_fall']:.1f}")
            weights = {key: value.numpy() for key, value in student.state_dict().items()}
            folder.write_json("walker.json", records)
            folder.write_arrays("walker.npz", weights | {"rounds": np.array(len(records))})
    return student, default


def _round(
    index: int,
    student: Student,
    lessons: Lessons,
    lanes: list[tuple[Motion, LqrTeacher, int]],
    default: np.ndarray,
    config: WalkConfig,
    rng: np.random.Generator,
) -> dict[str, float]:
    falls, before = 0, lessons.written
    for motion, teacher, seed in lanes:
        lane = make_lane(motion, teacher, default, config.lane, seed)
        falls += gather(lane, None if index == 0 else student, config, lessons)
        lane.env.physics.close()
    newest = lessons.written - before
    rate = config.learning_rate * 0.1 ** (index / max(config.rounds - 1, 1))
    loss = learn(student, lessons, newest, config, rate, rng)
    return {"steps": lessons.written, "loss": loss, "seconds_a_fall": newest / 50.0 / max(falls, 1)}


def _resumed(student: Student, folder: WorkFolder) -> list[dict[str, float]]:
    if not (folder / "walker.npz").is_file():
        return []
    saved = folder.read_arrays("walker.npz")
    done = int(saved.pop("rounds"))
    student.load_state_dict({key: torch.from_numpy(value) for key, value in saved.items()})
    return folder.read_json("walker.json")[:done]


def _start_frames(env: ClipTracking, count: int, at_beginning: float) -> np.ndarray:
    frames = env.rng.integers(0, env.clip.num_frames, count)
    frames[env.rng.random(count) < at_beginning] = 0
    return frames
