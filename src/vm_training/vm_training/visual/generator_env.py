"""Reinforcement learning of a generator over a frozen tracker: the environment that `rl.trainer` asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tensordict import TensorDict
from torch import nn

from vm_core.keypoint_command import COMMAND_SIZE
from vm_training.visual.gait_table import GaitTable
from vm_training.visual.generator import COMMAND_SCALE_M, GeneratorEyes
from vm_training.visual.object_world import PERIOD_S, ObjectWorld, Tracker, WorldConfig
from vm_training.visual.task_rewards import TaskRewards
from vm_training.visual.tasks.base import DECIMETRE, ObjectTask


class GeneratorEnv:
    """N worlds; actions are commands in units of COMMAND_SCALE_M; see `rl.task.Environment`."""

    def __init__(
        self,
        task: ObjectTask,
        tracker: Tracker,
        table: GaitTable,
        config: WorldConfig,
        longest_s: float,
        seed: int,
        first: nn.Module | None = None,
    ) -> None:
        """Args: where it acts, the longest episode, the seed, and from observations the actions of who began."""
        self._first = first
        self.world = ObjectWorld(task, tracker, table, config, seed)
        self._eyes = GeneratorEyes(self.world, "state", seed=seed)
        self._longest = round(longest_s / PERIOD_S)
        self.num_envs, self.num_actions, self.period_s = self.world.num_envs, COMMAND_SIZE, PERIOD_S
        self._task_rewards = TaskRewards(task, self.num_envs)
        self._ended: list[tuple[float, float, bool]] = []

    def reset_all(self) -> TensorDict:
        """All worlds anew."""
        self._reset(np.arange(self.num_envs))
        return self._observe()

    def step(self, action: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Commands (N, 18) in COMMAND_SCALE_M; observations, rewards (N,), ends (N,) and which are for time."""
        world, before = self.world, self.world.command
        world.step(COMMAND_SCALE_M * action.numpy().astype(np.float64))
        failed = world.fallen()
        reward = self._rewards(before, failed)
        timed_out = ~failed & (world.age >= self._longest)
        over = np.flatnonzero(failed | timed_out)
        view = world.view()
        for env in over.tolist():
            if world.run[env]:
                moved = view.thing[env] - view.start[env]
                self._ended.append(
                    (float(np.nan_to_num(moved[0])), float(abs(np.nan_to_num(moved[1]))), bool(failed[env]))
                )
        self._reset(over)
        ends = torch.from_numpy((failed | timed_out).astype(np.float32))
        extras = {"time_outs": torch.from_numpy(timed_out.astype(np.float32))}
        return self._observe(), torch.from_numpy(reward.astype(np.float32)), ends, extras

    def _reset(self, envs: np.ndarray) -> None:
        self.world.reset(envs)
        self._eyes.reset(envs)
        self._task_rewards.reset(envs)

    def _observe(self) -> TensorDict:
        self.world.tick()
        seen = torch.from_numpy(self._eyes.look()[0])
        found = {"actor": seen, "critic": seen}
        if self._first is not None:
            with torch.no_grad():
                found["start"] = self._first(seen)
            found["anchor"] = torch.from_numpy(self.world.run.astype(np.float32))[:, None]  # else a law commands
        return TensorDict(found, batch_size=[self.num_envs])

    def _rewards(self, before: np.ndarray, failed: np.ndarray) -> np.ndarray:
        world, weights = self.world, self.world.task.weights
        joints = np.sqrt(np.mean(world.qvel[:, 6:] ** 2, axis=1))
        change = np.sqrt(np.mean((world.command - before) ** 2, axis=1)) / DECIMETRE
        working = self._task_rewards.working(world.view())
        still = weights.still * np.exp(-np.square(joints / 0.5))
        total = np.where(world.run, working, still) + weights.alive - weights.smooth * change**2
        return np.nan_to_num(total) * PERIOD_S + weights.fall * failed

    def take_statistics(self) -> dict[str, float]:
        """Means of working episodes that ended since the last call; starts over."""
        ended, self._ended = self._ended, []
        if not ended:
            return {"forward_m": float("nan"), "drift_m": float("nan"), "falls": float("nan")}
        forward, drift, falls = np.mean(ended, axis=0)
        return {"forward_m": float(forward), "drift_m": float(drift), "falls": float(falls)}

    def close(self) -> None:
        """Ends the physics' threads."""
        self.world.close()
