"""PPO that does not forget: the policy that it began with holds it, where that one knows what to do.

The anchor is the divergence KL(start || now) of two Gaussians of one width, |mean - start|² / 2 std², weighed by what
each observation says of itself (`anchor`), and fading by half every `anchor_half_life` batches. While the critic warms
up the actor stays: advantages of a critic that knows nothing would take it apart. Actor and critic have learning rates
of their own; only the actor's follows the divergence from batch to batch.
"""

from __future__ import annotations

from typing import Any

import torch
from rsl_rl.algorithms import PPO
from rsl_rl.storage import RolloutStorage
from torch import nn

_FASTEST, _SLOWEST = 1e-3, 5e-6


class AnchoredPpo(PPO):
    """The learner of fine-tuning; observations carry `start` (the first policy's means) and `anchor` (weights).

    Attributes:
        batches: learnt from so far.
    """

    def __init__(
        self,
        *args: Any,
        anchor: float,
        anchor_half_life: float,
        warm_up: int,
        critic_rate: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._anchor, self._half_life, self._warm_up = anchor, anchor_half_life, warm_up
        groups = [
            {"params": list(self.actor.parameters()), "lr": self.learning_rate},
            {"params": list(self.critic.parameters()), "lr": critic_rate},
        ]
        self.optimizer = torch.optim.Adam(groups)
        self.batches = 0

    @property
    def anchor(self) -> float:
        """What the divergence from the first policy costs now."""
        return self._anchor * 0.5 ** (max(self.batches - self._warm_up, 0) / self._half_life)

    def update(self) -> dict[str, float]:
        """Learns from the storage and clears it; returns mean losses."""
        sums: dict[str, float] = {}
        acts = self.batches >= self._warm_up
        for batch in self.storage.mini_batch_generator(self.num_mini_batches, self.num_learning_epochs):
            losses = self._critic_losses(batch) | (self._actor_losses(batch) if acts else {})
            total = torch.stack([losses[name] for name in ("value", "actor") if name in losses]).sum()
            self.optimizer.zero_grad()
            total.backward()
            if self.is_multi_gpu:
                self.reduce_parameters()
            nn.utils.clip_grad_norm_(self.actor.parameters(), self.max_grad_norm)
            nn.utils.clip_grad_norm_(self.critic.parameters(), self.max_grad_norm)
            self.optimizer.step()
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0.0) + float(loss.detach())
        self.storage.clear()
        self.batches += 1
        count = self.num_mini_batches * self.num_learning_epochs
        return {name: total / count for name, total in sums.items()} | {"anchor": self.anchor}

    def _critic_losses(self, batch: RolloutStorage.Batch) -> dict[str, torch.Tensor]:
        error = (self.critic(batch.observations) - batch.returns).square().mean()
        return {"value": self.value_loss_coef * error}

    def _actor_losses(self, batch: RolloutStorage.Batch) -> dict[str, torch.Tensor]:
        seen = batch.observations
        assert seen is not None and batch.actions is not None and batch.advantages is not None
        self.actor(seen, stochastic_output=True)
        mean, std = self.actor.output_distribution_params
        self._adapt(batch, (mean, std))
        log_ratio = self.actor.get_output_log_prob(batch.actions) - batch.old_actions_log_prob[:, 0]  # type: ignore
        ratio, advantage = log_ratio.exp(), batch.advantages[:, 0]
        clipped = ratio.clamp(1.0 - self.clip_param, 1.0 + self.clip_param)
        surrogate = -torch.min(advantage * ratio, advantage * clipped).mean()
        away = 0.5 * ((mean - seen["start"]) / std.detach()).square().sum(1)
        drift = (seen["anchor"][:, 0] * away).mean()
        actor = surrogate + self.anchor * drift - self.entropy_coef * self.actor.output_entropy.mean()
        return {"actor": actor, "surrogate": surrogate.detach(), "drift": away.mean().detach()}

    def _adapt(self, batch: RolloutStorage.Batch, now: tuple[torch.Tensor, ...]) -> None:
        """The actor's learning rate, by how far it moves within a batch."""
        if self.desired_kl is None or self.schedule != "adaptive":
            return
        with torch.no_grad():
            moved = self.actor.get_kl_divergence(batch.old_distribution_params, now).mean()  # type: ignore
        if self.is_multi_gpu:
            torch.distributed.all_reduce(moved)
            moved /= self.gpu_world_size
        if moved > 2.0 * self.desired_kl:
            self.learning_rate = max(_SLOWEST, self.learning_rate / 1.5)
        elif 0.0 < moved < 0.5 * self.desired_kl:
            self.learning_rate = min(_FASTEST, self.learning_rate * 1.5)
        self.optimizer.param_groups[0]["lr"] = self.learning_rate

    def save(self) -> dict:
        return super().save() | {"batches": self.batches}

    def load(self, loaded_dict: dict, load_cfg: dict | None, strict: bool) -> bool:
        self.batches = loaded_dict["batches"]
        return super().load(loaded_dict, load_cfg, strict)
