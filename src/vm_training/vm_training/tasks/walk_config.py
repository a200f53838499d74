"""Everything that decides a walker."""

from __future__ import annotations

from dataclasses import dataclass, field

from vm_core.errors import VmError
from vm_training.mdp.lane import LaneConfig
from vm_training.motions.planned import LEAVE, NO_SEAT, SIT, SIT_WALK
from vm_training.teachers.sampled_lqr import MAX_CORRECTION_RAD

ACTION_CLIP = 12.0
COMMAND_LIMITS = ((0.0, 0.42), (0.0, 0.0), (-0.4, 0.4))
SIT_COMMAND_M_S = -0.2
"""Backwards: to sit down, for those who can."""

WEIGHTS = {SIT: 3.0, SIT_WALK: 3.0, NO_SEAT: 0.5, LEAVE: 0.5}
"""Of kinds in a draw, where it is not 1: with all kinds, half of the motions are at a seat."""


def command_limits(sits: bool) -> tuple[tuple[float, float], ...]:
    """Lower and upper bounds of vx, vy [m/s], yaw rate [rad/s]."""
    ahead, *rest = COMMAND_LIMITS
    return ((SIT_COMMAND_M_S if sits else ahead[0], ahead[1]), *rest)


@dataclass(frozen=True)
class WalkConfig:
    """Everything that decides the walker.

    Attributes:
        rounds: of acting and learning.
        motions_a_round: drawn for each round.
        kind_weights: of kinds of motion in a draw, where they are not those of WEIGHTS.
        steps: control steps of each robot in a round; the next time its motion is drawn it goes on where it was.
        longest_rollout: steps after which a robot starts anew; shorter ones never see what adds up over a whole walk.
        starts_at_beginning: share of resets to the clip's first frame.
        starts_at_end: the same to its last, standing.
        teacher_share: of robots that the teacher drives in the second round; half as many in each later one.
        exploration_rad: standard deviation of the noise on targets.
        push_m_s: standard deviation of pushes forward and sideways, one every two seconds; a third of it upwards.
        hidden: layers of the network.
        passes: gradient steps, in passes over the newest lessons.
        batch: lessons a gradient step; half of them are shown in the mirror.
        learning_rate: at the first round; falls to a twentieth by the last.
        averaging: of weights over gradient steps; what acts, and what is shipped, is their mean that forgets at this
            rate.
        lessons: most that are kept; the oldest go.
        validate_every: rounds, on a few courses that are not taught; the best walker of these is kept. 0: the last is.
        validation_courses: of each kind.
        validation_robots: on each.
        least_teacher: share of starts that a teacher must take to the end.
        teacher_gain: times the teachers' own gains, which regression on noisy rollouts leaves timid.
        teacher_limit_rad: of each correction of theirs; after a hard push an ankle or hip needs more.
        lane: how robots and places differ.
        seed: of everything random.
    """

    rounds: int = 60
    motions_a_round: int = 10
    kind_weights: dict[str, float] = field(default_factory=dict)
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
    validate_every: int = 20
    validation_courses: int = 2
    validation_robots: int = 12
    least_teacher: float = 0.8
    teacher_gain: float = 1.4
    teacher_limit_rad: float = MAX_CORRECTION_RAD
    lane: LaneConfig = field(default_factory=lambda: LaneConfig(num_envs=24, exact_grids=0.5))
    seed: int = 0

    def __post_init__(self) -> None:
        numbers = (self.rounds, self.motions_a_round, self.steps, self.batch, *self.hidden)
        if min(numbers) < 1 or self.seed < 0 or self.lessons < self.batch:
            raise VmError(f"{self}: expected whole numbers from 1, a seed from 0, and room for a batch of lessons")
