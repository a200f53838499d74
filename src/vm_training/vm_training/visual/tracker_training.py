"""The keypoint tracker's DAgger: common gains teach a network that sees 18 numbers and ten moments of its body."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import torch

from vm_core.errors import VmError
from vm_core.keypoint_command import COMMAND_SIZE
from vm_training.mdp import mirror
from vm_training.mdp.clip_tracking import NUM_JOINTS
from vm_training.mdp.observations import DEFAULT_JOINT_POS
from vm_training.mdp.randomization import DomainRanges
from vm_training.progress import Progress
from vm_training.student import Student, digest
from vm_training.tasks.lessons import Lessons, Pair, learn
from vm_training.tasks.work_folder import WorkFolder
from vm_training.visual.loaded_tracking import Surprises
from vm_training.visual.mirrored import order_and_sign
from vm_training.visual.motions import SLOW_STEP_S
from vm_training.visual.planned_motion import PlannedMotion
from vm_training.visual.shared_teacher import SharedGains
from vm_training.visual.tracker import (
    ACTION_CLIP,
    ACTION_SCALE_RAD,
    OBSERVATION_SIZE,
    TRACKER_TERMS,
    CommandMoments,
    KeypointLane,
    TrackerSight,
)

REST_FRAMES = 150
_ORDER, _SIGN = order_and_sign(TRACKER_TERMS)


@dataclass(frozen=True)
class TrackerConfig:
    """Everything that decides the tracker.

    Attributes:
        rounds: of acting and learning.
        motions_a_round: drawn for each round.
        robots: on a motion.
        steps: control steps of each robot in a round; it goes on where it was when its motion is drawn again.
        longest_rollout: steps after which a robot starts anew.
        starts_at_beginning: share of resets to the motion's first frame.
        teacher_share: of robots that the teacher drives in the second round; half as many in each later one.
        exploration_rad, push_m_s: standard deviations of noise on targets and of pushes, one every two seconds.
        hidden: layers of the network.
        passes: gradient steps, in passes over the newest lessons.
        batch: lessons a gradient step; half of them are shown in the mirror.
        learning_rate: at the first round; falls to a twentieth by the last.
        lessons: most that are kept.
        ranges: how robots differ.
        sight: how commands are made and disturbed.
        surprises: forces that no motion expects.
        seed: of everything random.
    """

    rounds: int = 32
    motions_a_round: int = 12
    robots: int = 32
    steps: int = 90
    longest_rollout: int = 500
    starts_at_beginning: float = 0.35
    teacher_share: float = 0.5
    exploration_rad: float = 0.02
    push_m_s: float = 0.05
    hidden: tuple[int, ...] = (384, 192, 96)
    passes: float = 4.0
    batch: int = 512
    learning_rate: float = 1e-3
    lessons: int = 400_000
    ranges: DomainRanges = field(default_factory=lambda: DomainRanges(box_height_m=0.0))
    sight: TrackerSight = field(default_factory=TrackerSight)
    surprises: Surprises = field(default_factory=Surprises)
    seed: int = 0

    def __post_init__(self) -> None:
        numbers = (self.rounds, self.motions_a_round, self.robots, self.steps, self.batch, *self.hidden)
        if min(numbers) < 1 or self.seed < 0 or self.lessons < self.batch:
            raise VmError(f"{self}: expected whole numbers from 1, a seed from 0, and room for a batch of lessons")


def act(student: Callable[[torch.Tensor], torch.Tensor], observation: np.ndarray) -> np.ndarray:
    """Targets (N, J) [rad] of a tracker."""
    with torch.inference_mode():
        raw = student(torch.from_numpy(observation)).numpy()
    return DEFAULT_JOINT_POS + ACTION_SCALE_RAD * np.clip(raw, -ACTION_CLIP, ACTION_CLIP).astype(np.float64)


def half_mirrored(observation: np.ndarray, action: np.ndarray) -> Pair:
    """The first half of a batch as a mirror shows it."""
    half = len(action) // 2
    observation[:half] = observation[:half][:, _ORDER] * _SIGN
    action[:half] = action[:half][:, mirror.JOINT_ORDER] * mirror.JOINT_SIGN.astype(np.float32)
    return observation, action


@dataclass
class Class:
    """Robots on one motion, and how long each has been going."""

    lane: KeypointLane
    age: np.ndarray

    @staticmethod
    def begin(lane: KeypointLane, config: TrackerConfig) -> Class:
        """All robots start, at ages that differ, so that they do not all end at once."""
        count = lane.env.num_envs
        lane.reset(np.arange(count), _start_frames(lane, count, config))
        return Class(lane, lane.env.rng.integers(0, config.longest_rollout, count))

    def gather(
        self, student: Student | None, teacher_share: float, config: TrackerConfig, lessons: Lessons
    ) -> tuple[int, int]:
        """The student acts, the teacher says what it would have done; returns the student's falls and its steps."""
        lane, env = self.lane, self.lane.env
        driven = env.rng.random(env.num_envs) < (1.0 if student is None else teacher_share)
        falls = 0
        for _ in range(config.steps):
            seen, wanted = lane.observe(), lane.wanted()
            lessons.add(seen, ((wanted - DEFAULT_JOINT_POS) / ACTION_SCALE_RAD).astype(np.float32))
            target = wanted if student is None else np.where(driven[:, None], wanted, act(student, seen))
            lane.act(target + env.rng.normal(0.0, config.exploration_rad, target.shape))
            pushed = np.flatnonzero(env.rng.random(env.num_envs) < 0.5 / env.clip.fps)
            env.push(pushed, env.rng.normal(0.0, config.push_m_s, (len(pushed), 3)))
            self.age += 1
            fallen = env.lost()
            ended = (self.age > config.longest_rollout) | (env.frame > env.clip.num_frames + REST_FRAMES)
            over = np.flatnonzero(fallen | ended)
            lane.reset(over, _start_frames(lane, len(over), config))
            self.age[over] = 0
            falls += int((fallen & ~driven).sum())
        return falls, int((~driven).sum()) * config.steps


def _start_frames(lane: KeypointLane, count: int, config: TrackerConfig) -> np.ndarray:
    frames = lane.env.rng.integers(0, lane.env.clip.num_frames, count)
    frames[lane.env.rng.random(count) < config.starts_at_beginning] = 0
    return frames


class TrackerSchool:
    """The student, what it was told, and robots on all motions that were drawn so far."""

    def __init__(
        self,
        motions: Sequence[PlannedMotion],
        gains: SharedGains,
        config: TrackerConfig,
    ) -> None:
        self.config, self._motions, self._gains = config, motions, gains
        self.student = Student(OBSERVATION_SIZE, NUM_JOINTS, config.hidden)
        self.moments = CommandMoments()
        self._lessons = Lessons.room_for(config.lessons, OBSERVATION_SIZE, NUM_JOINTS)
        self._optimizer = torch.optim.Adam(self.student.parameters(), lr=config.learning_rate)
        self._classes: dict[int, Class] = {}

    def round(self, index: int, *, fresh: bool) -> dict[str, float]:
        """One round of acting and learning; in a fresh one the teachers act."""
        config, rng = self.config, np.random.default_rng([self.config.seed, index])
        picked = rng.choice(len(self._motions), min(config.motions_a_round, len(self._motions)), replace=False)
        before, falls, acted = self._lessons.written, 0, 0
        for which in picked.tolist():
            share = config.teacher_share * 0.5 ** (index - 1)
            done = self._class(which).gather(None if fresh else self.student, share, config, self._lessons)
            falls, acted = falls + done[0], acted + done[1]
        if fresh:
            self.student.normalize(self._lessons.observation[: self._lessons.count].astype(np.float32))
        newest = self._lessons.written - before
        for group in self._optimizer.param_groups:
            group["lr"] = config.learning_rate * 0.05 ** (index / max(config.rounds - 1, 1))
        steps = max(round(config.passes * newest / config.batch), 1)
        loss = learn(
            self.student, self._optimizer, self._lessons, newest, steps, config.batch, rng, change=half_mirrored
        )
        return {"steps": newest, "loss": loss, "seconds_a_fall": acted / 50.0 / max(falls, 1)}

    def _class(self, which: int) -> Class:
        if which not in self._classes:
            motion, config = self._motions[which], self.config
            seed = config.seed + 1000 * (1 + which)
            teacher = self._gains.teacher_of(motion)
            lane = KeypointLane(
                motion, teacher, config.sight, config.robots, config.ranges, seed, self.moments, config.surprises
            )
            self._classes[which] = Class.begin(lane, config)
        return self._classes[which]


def train_tracker(
    motions: Sequence[PlannedMotion],
    gains: SharedGains,
    config: TrackerConfig,
    folder: WorkFolder,
    start: Student | None = None,
) -> tuple[Student, CommandMoments, list[dict[str, float]]]:
    """All rounds that are not done yet; a resumed run goes on from the last whole round and gathers lessons anew.

    Args:
        motions: to be tracked.
        gains: that motions of a kind share.
        config: everything that decides the result.
        folder: for what a resumed run needs.
        start: a tracker to begin from.
    """
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    folder.begin({"config": asdict(config), "motions": len(motions), "start": digest(start)})
    school = TrackerSchool(motions, gains, config)
    records = _resumed(school, folder)
    if start is not None and not records:
        school.student.load_state_dict(start.state_dict())
    with Progress("tracker", config.rounds, len(records)) as bar:
        for index in range(len(records), config.rounds):
            records.append(school.round(index, fresh=index == 0 and start is None))
            newest = records[-1]
            bar.round_done(loss=f"{newest['loss']:.3f}", s_a_fall=f"{newest['seconds_a_fall']:.1f}")
            folder.write_json("tracker.json", records)
            arrays = tracker_arrays(school.student, school.moments, len(records), motions[0].step_s)
            folder.write_arrays("tracker.npz", arrays)
    return school.student, school.moments, records


def tracker_arrays(
    student: Student, moments: CommandMoments, rounds: int, step_s: float = SLOW_STEP_S
) -> dict[str, np.ndarray]:
    """A tracker as arrays, with the time of the steps that it was taught."""
    weights = {key: value.numpy() for key, value in student.state_dict().items()}
    kept = {"command_count": moments.count, "command_total": moments.total, "command_squares": moments.squares}
    kept |= {"rounds": np.array(rounds), "step_s": np.array(step_s)}
    return weights | {key: np.asarray(value) for key, value in kept.items()}


def tracker_of(arrays: dict[str, np.ndarray]) -> tuple[Student, CommandMoments]:
    """Undoes `tracker_arrays`.

    Raises:
        VmError: they are not a tracker's.
    """
    saved = dict(arrays)
    try:
        saved.pop("rounds")
        saved.pop("step_s", None)
        kept = (saved.pop("command_count"), saved.pop("command_total"), saved.pop("command_squares"))
        widths = [len(v) for k, v in saved.items() if k.endswith(".bias")]
        student = Student(OBSERVATION_SIZE, widths[-1], widths[:-1])
        student.load_state_dict({key: torch.from_numpy(value) for key, value in saved.items()})
    except (KeyError, IndexError, RuntimeError) as error:
        raise VmError(f"not a keypoint tracker of {COMMAND_SIZE} commands ({str(error).splitlines()[0]})") from None
    return student.eval(), CommandMoments(float(kept[0]), kept[1], kept[2])


def _resumed(school: TrackerSchool, folder: WorkFolder) -> list[dict[str, float]]:
    if not (folder / "tracker.npz").is_file():
        return []
    arrays = folder.read_arrays("tracker.npz")
    student, moments = tracker_of(arrays)
    school.student.load_state_dict(student.state_dict())
    school.moments.count, school.moments.total, school.moments.squares = moments.count, moments.total, moments.squares
    return folder.read_json("tracker.json")[: int(arrays["rounds"])]
