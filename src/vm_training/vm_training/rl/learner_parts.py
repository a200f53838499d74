"""What rsl-rl-lib's PPO is made of here: networks, storages of a batch, advantages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from rsl_rl.algorithms import PPO
from rsl_rl.storage import RolloutStorage
from tensordict import TensorDict

from vm_training.rl.anchored_ppo import AnchoredPpo
from vm_training.rl.model import GatedModel
from vm_training.rl.task import AnchorConfig, PpoConfig

_GROUPS = {"actor": ["actor"], "critic": ["critic"]}


@dataclass(frozen=True)
class LearnerParts:
    """Makes the parts of one run, all of them for the same observations and actions.

    Attributes:
        config: of the learner.
        seen: observations of all robots.
        num_actions: J.
        grid_cells: last inputs of the actor that come through the gate.
        anchor: what holds the actor to its first weights; None for nothing.
    """

    config: PpoConfig
    seen: TensorDict
    num_actions: int
    grid_cells: int
    anchor: AnchorConfig | None = None

    def actor(self) -> GatedModel:
        config = self.config
        gaussian = {"class_name": "GaussianDistribution", "init_std": config.init_std, "std_range": (0.02, 2.0)}
        return GatedModel(
            self.seen,
            _GROUPS,
            "actor",
            self.num_actions,
            config.hidden,
            distribution_cfg=gaussian,
            grid_cells=self.grid_cells,
        )

    def critic(self) -> GatedModel:
        return GatedModel(
            self.seen, _GROUPS, "critic", 1, self.anchor.critic_hidden if self.anchor else self.config.hidden
        )

    def storage(self) -> RolloutStorage:
        return RolloutStorage("rl", self.seen.batch_size[0], self.config.steps, self.seen, [self.num_actions])

    def ppo(self, storage: RolloutStorage, workers: Any) -> PPO:
        """The learner, with networks of its own.

        Args:
            storage: that it learns from first.
            workers: rsl_rl's settings of several processes, or None.
        """
        config = self.config
        settings = {
            "num_learning_epochs": config.epochs,
            "num_mini_batches": config.mini_batches,
            "clip_param": config.clip,
            "gamma": config.gamma,
            "lam": config.lam,
            "value_loss_coef": config.value,
            "entropy_coef": config.entropy,
            "learning_rate": config.learning_rate,
            "schedule": "adaptive" if config.desired_kl > 0.0 else "fixed",
            "desired_kl": config.desired_kl,
            "multi_gpu_cfg": workers,
        }
        if self.anchor is None:
            return PPO(self.actor(), self.critic(), storage, **settings)
        return AnchoredPpo(
            self.actor(),
            self.critic(),
            storage,
            anchor=self.anchor.strength,
            anchor_half_life=self.anchor.half_life,
            warm_up=self.anchor.warm_up,
            critic_rate=self.anchor.critic_rate,
            **settings,
        )


def advantages(storage: RolloutStorage, last_values: torch.Tensor, gamma: float, lam: float) -> None:
    """Returns and normalised generalised advantages of a filled storage, as rsl_rl computes them."""
    following, advantage = last_values, torch.zeros_like(last_values)
    for step in reversed(range(storage.num_transitions_per_env)):
        going = 1.0 - storage.dones[step].float()
        delta = storage.rewards[step] + going * gamma * following - storage.values[step]
        advantage = delta + going * gamma * lam * advantage
        storage.returns[step] = advantage + storage.values[step]
        following = storage.values[step]
    found = storage.returns - storage.values
    storage.advantages = (found - found.mean()) / (found.std() + 1e-8)
