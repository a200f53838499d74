"""What a run needs to be told: the learner's settings, and what is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from tensordict import TensorDict

from vm_core.errors import VmError
from vm_core.policy_contract import PolicyContract
from vm_training.rl.model import HIDDEN, GatedModel


@dataclass(frozen=True)
class PpoConfig:
    """The learner.

    Attributes:
        iterations: of collecting and learning.
        steps: control steps of each robot an iteration.
        epochs: passes over a batch.
        mini_batches: its parts.
        learning_rate: at first.
        desired_kl: from batch to batch, which adapts the learning rate; 0 keeps it.
        gamma: discount.
        lam: trace of the advantages.
        clip: most that the ratio of probabilities may change.
        entropy: what wide actions are worth.
        value: weight of the critic's error.
        init_std: of the actions, at first.
        hidden: widths of actor and critic.
        save_every: iterations between checkpoints.
        overlap: collect and learn at the same time.
        seed: of everything random.
    """

    iterations: int = 1000
    steps: int = 24
    epochs: int = 3
    mini_batches: int = 4
    learning_rate: float = 5e-4
    desired_kl: float = 0.01
    gamma: float = 0.99
    lam: float = 0.95
    clip: float = 0.2
    entropy: float = 0.002
    value: float = 1.0
    init_std: float = 0.4
    hidden: tuple[int, ...] = HIDDEN
    save_every: int = 50
    overlap: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        counts = (self.iterations, self.steps, self.epochs, self.mini_batches, self.save_every, *self.hidden)
        if min(counts) < 1 or self.seed < 0 or min(self.learning_rate, self.init_std) <= 0.0:
            raise VmError(f"{self}: expected counts from 1, a seed from 0, a positive learning rate and deviation")

    def must_let_end(self, episode_s: float, period_s: float) -> None:
        """Checks that episodes can end: with every checkpoint robots start anew.

        Raises:
            VmError: they cannot.
        """
        between_s = self.save_every * self.steps * period_s
        if episode_s > between_s:
            raise VmError(f"episodes of {episode_s} s, but {between_s:.1f} s between checkpoints; expected as long")


@dataclass(frozen=True)
class AnchorConfig:
    """What keeps a policy that can already do something from forgetting it; see `anchored_ppo`.

    Attributes:
        strength: what a divergence of one from the first policy costs, at first.
        half_life: batches in which that halves.
        warm_up: batches from which only the critic learns.
        critic_rate: learning rate of the critic.
        critic_hidden: its layers.
    """

    strength: float = 0.05
    half_life: float = 200.0
    warm_up: int = 10
    critic_rate: float = 5e-4
    critic_hidden: tuple[int, ...] = (256, 128, 64)

    def __post_init__(self) -> None:
        if min(self.strength, self.warm_up) < 0 or min(self.half_life, self.critic_rate, *self.critic_hidden) <= 0:
            raise VmError(f"{self}: expected nothing negative, and a positive half life, rate and layers")


class Environment(Protocol):
    """What the trainer asks of an environment; see `robot_env.RobotEnv`."""

    num_envs: int
    num_actions: int
    period_s: float

    def reset_all(self) -> TensorDict: ...
    def step(self, action: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]: ...
    def take_statistics(self) -> dict[str, float]: ...
    def close(self) -> None: ...


@dataclass
class Task:
    """What is trained.

    Attributes:
        name: of the stage.
        make_env: an environment for a seed.
        contract: what the policy will say of itself, without golden pair.
        grid_cells: inputs of the actor that go through the gate.
        start: gives the fresh actor its first weights; None: as drawn.
        state, load_state: what the task remembers from segment to segment, as tensors.
        anchor: what keeps it to its first weights; None: plain PPO.
        validate: figures of the actor on places that stay the same, `valid` for all of them; None: there are none.
        validate_every: checkpoints from one validation to the next.
    """

    name: str
    make_env: Callable[[int], Environment]
    contract: PolicyContract
    grid_cells: int = 0
    start: Callable[[GatedModel], None] | None = None
    state: Callable[[], dict[str, torch.Tensor]] = field(default=lambda: {})
    load_state: Callable[[dict[str, torch.Tensor]], None] = field(default=lambda state: None)
    anchor: AnchorConfig | None = None
    validate: Callable[[GatedModel], dict[str, float]] | None = None
    validate_every: int = 1
