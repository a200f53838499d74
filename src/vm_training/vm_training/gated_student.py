"""Several walkers in one network: a gate says, from the same observation, whose hand counts.

What one of them knows is not unlearnt when another learns something new, for they share no weights
(Jacobs et al., Adaptive mixtures of local experts, 1991); here the gate is told whose place it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from vm_training.student import NormalizedNetwork, Student, perceptron

GATE_LAYERS = (64, 32)
SHARPNESS = 4.0
"""Times the gate's logits: where it is sure, a walker is left alone; where two places look alike, both count."""


class GatedStudent(NormalizedNetwork):
    """From (N, inputs) observations to the (N, outputs) raw actions of walkers, weighed by the gate.

    Attributes:
        walkers: each with a normalization of its own.
        least: (W, inputs) under which a walker is shown nothing: how its own contract cut its observations.
        looks_at: (inputs,) 1 for what the gate looks at, else 0. Command and ground say whose place it is; how the body
            stands would only tell in which lessons it stood so.
    """

    least: torch.Tensor
    looks_at: torch.Tensor

    def __init__(self, walkers: Sequence[Student], least: torch.Tensor, looks_at: torch.Tensor) -> None:
        inputs = walkers[0].mean.numel()
        super().__init__(inputs)
        self.walkers = nn.ModuleList(walkers)
        self.gate = perceptron(inputs, GATE_LAYERS, len(walkers))
        self.register_buffer("least", least)
        self.register_buffer("looks_at", looks_at)
        self.mean.copy_(walkers[0].mean)
        self.spread.copy_(walkers[0].spread)

    def logits(self, observation: torch.Tensor) -> torch.Tensor:
        """(N, W): how much each walker's place this is."""
        return self.gate(self.looks_at * (observation - self.mean) / self.spread)

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        shares = torch.softmax(SHARPNESS * self.logits(observation), dim=-1)
        hands = [
            walker(torch.maximum(observation, least)) for walker, least in zip(self.walkers, self.least, strict=True)
        ]
        return (shares.unsqueeze(-1) * torch.stack(hands, dim=-2)).sum(-2)
