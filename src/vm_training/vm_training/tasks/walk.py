"""A walker without a clip: DAgger from the teachers of many motions into one network that sees command and ground."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch

from vm_core.errors import VmError
from vm_training.mdp import mirror
from vm_training.mdp.clip_tracking import NUM_JOINTS, ClipTracking
from vm_training.mdp.lane import ACTION_SCALE_RAD, Lane, LaneConfig, make_lane
from vm_training.mdp.observations import DEFAULT_JOINT_POS
from vm_training.mdp.walk_observations import OBSERVATION_SIZE, WALK_TERMS
from vm_training.progress import Progress
from vm_training.student import Student
from vm_training.tasks.lessons import Lessons, Pair, Rollout, learn, rollout
from vm_training.tasks.lqr_teachers import best_success, load_teacher, teacher_file
from vm_training.tasks.motion_folder import Motion, load_motion, motion_names
from vm_training.tasks.work_folder import WorkFolder
from vm_training.teachers.sampled_lqr import LqrTeacher

ACTION_CLIP = 12.0
COMMAND_LIMITS = ((0.0, 0.42), (0.0, 0.0), (-0.4, 0.4))
LEARNING = "learning."  # before the names of weights that are not averaged
REST_FRAMES = 300  # standing after a clip's end that is still taught


@dataclass(frozen=True)
class WalkConfig:
    """Everything that decides the walker.

    Attributes:
        rounds: of acting and learning.
        motions_a_round: drawn for each round.
        steps: control steps of each robot in a round; the next time its motion is drawn it goes on where it was.
        longest_rollout: steps after which a robot starts anew; shorter ones never see what adds up over a whole walk.
        starts_at_beginning: share of resets to the clip's first frame.
        starts_at_end: the same to its last, standing.
        teacher_share: of robots that the teacher drives in the second round; half as many in each later one.
        exploration_rad: standard deviation of the noise on targets.
        push_m_s: standard deviation of pushes, one every two seconds.
        hidden: layers of the network.
        passes: gradient steps, in passes over the newest lessons.
        batch: lessons a gradient step; half of them are shown in the mirror.
        learning_rate: at the first round; falls to a twentieth by the last.
        averaging: of weights over gradient steps; what acts, and what is shipped, is their mean that forgets at this
            rate.
        lessons: most that are kept; the oldest go.
        least_teacher: share of starts that a teacher must take to the end.
        lane: how robots and places differ.
        seed: of everything random.
    """

    rounds: int = 60
    motions_a_round: int = 10
    steps: int = 120
    longest_rollout: int = 800
    starts_at_beginning: float = 0.4
    starts_at_end: float = 0.05
    teacher_share: float = 0.5
    exploration_rad: float = 0.02
    push_m_s: float = 0.05
    hidden: tuple[int, ...] = (384, 192, 96)
    passes: float = 7.0
    batch: int = 512
    learning_rate: float = 1e-3
    averaging: float = 0.996
    lessons: int = 600_000
    least_teacher: float = 0.8
    lane: LaneConfig = field(default_factory=lambda: LaneConfig(num_envs=24))
    seed: int = 0

    def __post_init__(self) -> None:
        numbers = (self.rounds, self.motions_a_round, self.steps, self.batch, *self.hidden)
        if min(numbers) < 1 or self.seed < 0 or self.lessons < self.batch:
            raise VmError(f"{self}: expected whole numbers from 1, a seed from 0, and room for a batch of lessons")


def act(student: Student, observation: np.ndarray, default: np.ndarray) -> np.ndarray:
    """Targets (N, J) [rad] of the student."""
    with torch.inference_mode():
        raw = student(torch.from_numpy(observation)).numpy()
    return default + ACTION_SCALE_RAD * np.clip(raw, -ACTION_CLIP, ACTION_CLIP).astype(np.float64)


@dataclass
class Class:
    """Robots on one motion that go on where they were when it is drawn again.

    Attributes:
        lane: robots, motion, teacher.
        age: (N,) steps since each robot's start.
    """

    lane: Lane
    age: np.ndarray

    @staticmethod
    def begin(lane: Lane, config: WalkConfig) -> Class:
        """All robots start, at ages that differ, so that they do not all end at once."""
        count = lane.env.num_envs
        lane.reset(np.arange(count), start_frames(lane.env, count, config))
        return Class(lane, lane.env.rng.integers(0, config.longest_rollout, count))

    def gather(
        self, student: Student | None, teacher_share: float, config: WalkConfig, lessons: Lessons
    ) -> tuple[int, int]:
        """The student acts, the teacher says what it would have done; returns the student's falls and its steps.

        Args:
            student: None for the teacher alone.
            teacher_share: of robots that the teacher drives.
            config: how long, and what disturbs.
            lessons: to which is added.
        """
        lane, env, default = self.lane, self.lane.env, self.lane.observer.default_joint_pos
        driven = env.rng.random(env.num_envs) < (1.0 if student is None else teacher_share)

        def drive(seen: np.ndarray, wanted: np.ndarray) -> np.ndarray:
            return wanted if student is None else np.where(driven[:, None], wanted, act(student, seen, default))

        how = Rollout(
            steps=config.steps,
            last_frame=env.clip.num_frames + REST_FRAMES,
            starts=lambda count: start_frames(env, count, config),
            drive=drive,
            tell=lambda seen, wanted: lessons.add(seen, ((wanted - default) / ACTION_SCALE_RAD).astype(np.float32)),
        )
        falls = rollout(lane, self.age, config, how)
        return int(falls[~driven].sum()), int((~driven).sum()) * config.steps


def start_frames(env: ClipTracking, count: int, config: WalkConfig) -> np.ndarray:
    """Where in the clip robots start: anywhere, but often where it begins and sometimes where it ends."""
    frames, draw = env.rng.integers(0, env.clip.num_frames, count), env.rng.random(count)
    frames[draw < config.starts_at_beginning] = 0
    frames[draw > 1.0 - config.starts_at_end] = env.clip.num_frames - 1
    return frames


def half_mirrored(observation: np.ndarray, action: np.ndarray) -> Pair:
    """The first half of a batch as a mirror shows it."""
    half = len(action) // 2
    order, sign = mirror.OBSERVATION_ORDER, mirror.OBSERVATION_SIGN.astype(np.float32)
    observation[:half] = observation[:half][:, order] * sign
    action[:half] = action[:half][:, mirror.JOINT_ORDER] * mirror.JOINT_SIGN.astype(np.float32)
    return observation, action


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


def train_walk(
    motions: Path, teachers: Path, config: WalkConfig, folder: WorkFolder, start: Path | None = None
) -> tuple[Student, np.ndarray]:
    """All rounds that are not done yet; returns the student and the pose (J,) [rad] that its actions add to.

    A resumed run goes on with the weights of the last whole round and gathers its lessons anew.

    Args:
        motions: folder of motions.
        teachers: folder of their teachers.
        config: everything that decides the result.
        folder: for what a resumed run needs.
        start: such a folder of an earlier walker of the same layers, to begin from what it can.

    Raises:
        VmError: no motions, no good teachers, or no walker to start from.
    """
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    names = good_motions(motions, WorkFolder(teachers), config.least_teacher)
    folder.begin({"config": asdict(config), "motions": names, "start": start})
    loaded = {name: (load_motion(motions, name), load_teacher(teachers, name)) for name in names}
    default = DEFAULT_JOINT_POS  # which a robot can hold before the policy runs; the plans' crouch it cannot
    school = School(loaded, default, config)
    records = _resumed(school, folder)
    if start is not None and not records:
        _begin_from(school, WorkFolder(start))
    with Progress("walker", config.rounds, len(records)) as bar:
        for index in range(len(records), config.rounds):
            records.append(school.round(index, fresh=index == 0 and start is None))
            newest = records[-1]
            bar.round_done(loss=f"{newest['loss']:.3f}", s_a_fall=f"{newest['seconds_a_fall']:.1f}")
            about = {"rounds": np.array(len(records)), "default_joint_pos": default}
            folder.write_json("walker.json", records)
            folder.write_arrays("walker.npz", school.weights() | about)
    return school.walker, default


class School:
    """The student, what it was told, and robots on all motions that were drawn so far.

    Attributes:
        student: that learns.
        walker: the mean of its weights, which acts.
    """

    def __init__(self, motions: dict[str, tuple[Motion, LqrTeacher]], default: np.ndarray, config: WalkConfig) -> None:
        self.config, self._motions, self.default = config, motions, default
        self.student = Student(OBSERVATION_SIZE, NUM_JOINTS, config.hidden)
        self.walker = copy.deepcopy(self.student)
        self._lessons = Lessons.room_for(config.lessons, OBSERVATION_SIZE, NUM_JOINTS)
        self._optimizer = torch.optim.Adam(self.student.parameters(), lr=config.learning_rate)
        self._classes: dict[str, Class] = {}

    def round(self, index: int, *, fresh: bool) -> dict[str, float]:
        """One round of acting and learning.

        Args:
            index: of the round.
            fresh: the student knows nothing yet: the teachers act.
        """
        config, rng = self.config, np.random.default_rng([self.config.seed, index])
        count = min(config.motions_a_round, len(self._motions))
        picked = rng.choice(list(self._motions), count, replace=False, p=self._shares())
        before, falls, acted = self._lessons.written, 0, 0
        for name in picked:
            share = config.teacher_share * 0.5 ** (index - 1)
            done = self._class(name).gather(None if fresh else self.walker, share, config, self._lessons)
            falls, acted = falls + done[0], acted + done[1]
        if fresh:
            self.student.normalize(self._lessons.observation[: self._lessons.count].astype(np.float32))
            self.walker.load_state_dict(self.student.state_dict())
        newest = self._lessons.written - before
        for group in self._optimizer.param_groups:
            group["lr"] = config.learning_rate * 0.05 ** (index / max(config.rounds - 1, 1))
        steps = max(round(config.passes * newest / config.batch), 1)
        loss = learn(
            self.student, self._optimizer, self._lessons, newest, steps, config.batch, rng, half_mirrored, self._average
        )
        return {"steps": self._lessons.written, "loss": loss, "seconds_a_fall": acted / 50.0 / max(falls, 1)}

    def _shares(self) -> np.ndarray:
        """Of motions in a draw: every kind alike."""
        kinds = [motion.kind for motion, _ in self._motions.values()]
        shares = np.array([1.0 / kinds.count(kind) for kind in kinds])
        return shares / shares.sum()

    def weights(self) -> dict[str, np.ndarray]:
        """The walker's, and under LEARNING the student's."""
        student = {LEARNING + key: value.numpy() for key, value in self.student.state_dict().items()}
        return {key: value.numpy() for key, value in self.walker.state_dict().items()} | student

    def _average(self) -> None:
        with torch.no_grad():
            for mean, value in zip(self.walker.parameters(), self.student.parameters(), strict=True):
                mean.lerp_(value, 1.0 - self.config.averaging)

    def _class(self, name: str) -> Class:
        if name not in self._classes:
            motion, teacher = self._motions[name]
            seed = self.config.seed + 1000 * (1 + list(self._motions).index(name))
            self._classes[name] = Class.begin(
                make_lane(motion, teacher, self.default, self.config.lane, seed), self.config
            )
        return self._classes[name]


def _take(student: Student, saved: dict[str, np.ndarray], prefix: str = "") -> None:
    student.load_state_dict({key: torch.from_numpy(saved[prefix + key]) for key in student.state_dict()})


def _begin_from(school: School, earlier: WorkFolder) -> None:
    if not (earlier / "walker.npz").is_file():
        raise VmError(f"{earlier.path}: no walker.npz; expected the work folder of an earlier walker")
    saved = earlier.read_arrays("walker.npz")
    try:
        _take(school.student, saved)
    except (RuntimeError, KeyError) as error:
        raise VmError(f"{earlier / 'walker.npz'}: a walker of other layers or inputs ({error})") from None
    _stand_differently(school.student, saved["default_joint_pos"] - school.default)
    school.walker.load_state_dict(school.student.state_dict())


def _stand_differently(student: Student, change: np.ndarray) -> None:
    """The same walker for a default pose that is less by (J,) [rad]: inputs are the more, and so must be outputs."""
    start = 0
    for term in WALK_TERMS:
        per_rad = {"joint_pos_rel": 1.0, "last_action": 1.0 / ACTION_SCALE_RAD}.get(term.name, 0.0)
        size = term.size * term.history_length
        if per_rad:
            shift = np.tile(term.scale[0] * per_rad * change, term.history_length)
            student.mean[start : start + size] += torch.from_numpy(shift).float()
        start += size
    last = student.layers[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.bias += torch.from_numpy(change / ACTION_SCALE_RAD).float()


def _resumed(school: School, folder: WorkFolder) -> list[dict[str, float]]:
    if not (folder / "walker.npz").is_file():
        return []
    saved = folder.read_arrays("walker.npz")
    _take(school.walker, saved)
    _take(school.student, saved, LEARNING)
    return folder.read_json("walker.json")[: int(saved["rounds"])]
