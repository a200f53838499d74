"""DAgger's rounds: one student in the classrooms of many motions, and what it was told there."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from vm_core.height_grid import HeightGridSpec
from vm_training.mdp import mirror
from vm_training.mdp.clip_tracking import NUM_JOINTS
from vm_training.mdp.lane import make_lane
from vm_training.mdp.walk_observations import observation_size, walk_terms
from vm_training.student import Student
from vm_training.tasks.classroom import Classroom
from vm_training.tasks.earlier_walker import take_earlier
from vm_training.tasks.lessons import Lessons, Pair, learn
from vm_training.tasks.motion_folder import Motion
from vm_training.tasks.walk_config import WEIGHTS, WalkConfig
from vm_training.teachers.sampled_lqr import LqrTeacher

LEARNING = "learning."
"""Before the names of weights that are not averaged."""


def half_mirroring(grid: HeightGridSpec) -> Callable[[np.ndarray, np.ndarray], Pair]:
    """What shows the first half of a batch as a mirror does: observations, with the ground by `grid`, and actions."""
    order, signs = mirror.term_table(walk_terms(grid), grid)
    sign = signs.astype(np.float32)

    def half_mirrored(observation: np.ndarray, action: np.ndarray) -> Pair:
        half = len(action) // 2
        observation[:half] = observation[:half][:, order] * sign
        action[:half] = action[:half][:, mirror.JOINT_ORDER] * mirror.JOINT_SIGN.astype(np.float32)
        return observation, action

    return half_mirrored


class School:
    """The student, what it was told, and robots on all motions that were drawn so far.

    Attributes:
        student: that learns.
        walker: the mean of its weights, which acts.
    """

    def __init__(self, motions: dict[str, tuple[Motion, LqrTeacher]], default: np.ndarray, config: WalkConfig) -> None:
        self.config, self._motions, self.default = config, motions, default
        grid = config.lane.grid
        self.student = Student(observation_size(grid), NUM_JOINTS, config.hidden)
        self.walker = copy.deepcopy(self.student)
        self._lessons = Lessons.room_for(config.lessons, observation_size(grid), NUM_JOINTS)
        self._half_mirrored = half_mirroring(grid)
        self._optimizer = torch.optim.Adam(self.student.parameters(), lr=config.learning_rate)
        self._classrooms: dict[str, Classroom] = {}

    def round(self, index: int, *, fresh: bool) -> dict[str, float]:
        """One round of acting and learning.

        Args:
            index: of the round.
            fresh: the student knows nothing yet: the teachers act.
        """
        config, rng = self.config, np.random.default_rng([self.config.seed, index])
        picked = self._drawn(rng, everything=index == 0 and not fresh)
        before, falls, acted = self._lessons.written, 0, 0
        for name in picked:
            share = config.teacher_share * 0.5 ** (index - 1)
            done = self._classroom(name).gather(None if fresh else self.walker, share, config, self._lessons)
            falls, acted = falls + done[0], acted + done[1]
        if fresh:
            self.student.normalize(self._lessons.observation[: self._lessons.count].astype(np.float32))
            self.walker.load_state_dict(self.student.state_dict())
        newest = self._lessons.written - before
        for group in self._optimizer.param_groups:
            group["lr"] = config.learning_rate * 0.05 ** (index / max(config.rounds - 1, 1))
        steps = max(round(config.passes * newest / config.batch), 1)
        loss = learn(
            self.student,
            self._optimizer,
            self._lessons,
            newest,
            steps,
            config.batch,
            rng,
            self._half_mirrored,
            self._average,
        )
        return {"steps": self._lessons.written, "loss": loss, "seconds_a_fall": acted / 50.0 / max(falls, 1)}

    def take(self, earlier: Path) -> None:
        """Begins with what an earlier walker knows."""
        take_earlier(self.student, self.default, earlier, self.config.lane.grid)
        self.walker.load_state_dict(self.student.state_dict())

    def _drawn(self, rng: np.random.Generator, *, everything: bool) -> list[str]:
        """A round's motions. A walker that goes on sees all of them first: it forgets what it is not shown."""
        names = list(self._motions)
        count = min(self.config.motions_a_round, len(names))
        return names if everything else list(rng.choice(names, count, replace=False, p=self._shares()))

    def _shares(self) -> np.ndarray:
        """Of motions in a draw: every kind by its weight, whatever there are of it."""
        kinds, weights = [motion.kind for motion, _ in self._motions.values()], WEIGHTS | self.config.kind_weights
        shares = np.array([weights.get(kind, 1.0) / kinds.count(kind) for kind in kinds])
        return shares / shares.sum()

    def weights(self) -> dict[str, np.ndarray]:
        """The walker's, and under LEARNING the student's."""
        student = {LEARNING + key: value.numpy() for key, value in self.student.state_dict().items()}
        return {key: value.numpy() for key, value in self.walker.state_dict().items()} | student

    def _average(self) -> None:
        with torch.no_grad():
            for mean, value in zip(self.walker.parameters(), self.student.parameters(), strict=True):
                mean.lerp_(value, 1.0 - self.config.averaging)

    def _classroom(self, name: str) -> Classroom:
        if name not in self._classrooms:
            motion, teacher = self._motions[name]
            seed = self.config.seed + 1000 * (1 + list(self._motions).index(name))
            self._classrooms[name] = Classroom.begin(
                make_lane(motion, teacher, self.default, self.config.lane, seed), self.config
            )
        return self._classrooms[name]
