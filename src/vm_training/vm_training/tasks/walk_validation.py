"""Which round's walker is the best: how many robots walk a few courses that no lesson and no final check has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vm_training.mdp.lane import make_lane
from vm_training.motions.footsteps import Gait
from vm_training.student import Student
from vm_training.tasks.earlier_walker import take_weights
from vm_training.tasks.motion_folder import Motion
from vm_training.tasks.walk_config import WalkConfig
from vm_training.tasks.walk_evaluation import follow, fresh_motions
from vm_training.tasks.work_folder import WorkFolder

BEST_FILE = "best.npz"
_SEED = 500_000  # courses other than those of the checks after training


class Validation:
    """Judges a walker every few rounds on the same courses, robots and noise, and keeps the best in a folder."""

    def __init__(
        self, config: WalkConfig, gait: Gait, kinds: Sequence[str], default_joint_pos: np.ndarray, folder: WorkFolder
    ) -> None:
        self._kinds = kinds
        self._config, self._gait, self._default, self._folder = config, gait, default_joint_pos, folder
        self._motions: list[Motion] = []

    def is_due(self, rounds: int) -> bool:
        """Whether to judge after so many rounds: every few, and after the last."""
        every = self._config.validate_every
        return every > 0 and (rounds % every == 0 or rounds == self._config.rounds)

    def judge(self, walker: Student, weights: dict[str, np.ndarray]) -> float:
        """Share of robots that stay upright to the end and stand near it; keeps the weights if none were better."""
        if not self._motions:
            count, seed = self._config.validation_courses, _SEED + self._config.seed
            self._motions = [m for kind in self._kinds for m in fresh_motions(kind, count, self._gait, seed)]
        lane = replace(self._config.lane, num_envs=self._config.validation_robots)
        lanes = (make_lane(m, None, self._default, lane, _SEED + k) for k, m in enumerate(self._motions))
        score = float(np.mean([follow(found, walker) for found in lanes]))
        if score >= self.best_score():
            self._folder.write_arrays(BEST_FILE, weights | {"score": np.array(score)})
        return score

    def best_score(self) -> float:
        """Of the walker that is kept; below zero if none is."""
        return float(self._folder.read_arrays(BEST_FILE)["score"]) if (self._folder / BEST_FILE).is_file() else -1.0

    def take_best(self, walker: Student) -> None:
        """Fills a walker with the best one, if one is kept."""
        if (self._folder / BEST_FILE).is_file():
            take_weights(walker, self._folder.read_arrays(BEST_FILE))
