"""Several walkers in one network: a gate says, from the same observation, whose hand counts.

What one of them knows is not unlearnt when another learns something new, for they share no weights
(Jacobs et al., Adaptive mixtures of local experts, 1991); here the gate is told whose place it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from vm_training.student import NormalizedNetwork, Student, perceptron

GATE_LAYERS = (64, 32)
RISE_SCALE = 10.0  # a step of 13 cm is 1.3, as large as the gate's other inputs
SHARPNESS = 4.0
"""Times the gate's logits: where it is sure, a walker is left alone; where two places look alike, both count."""


RISES = 3
"""Numbers of `GridPlace.rises`."""


@dataclass(frozen=True)
class GridPlace:
    """Where in an observation the height grid is: its first number, rows ahead and columns aside, and its scale."""

    start: int
    rows: int
    columns: int
    scale: float

    def rises(self, observation: torch.Tensor) -> torch.Tensor:
        """(N, 3) [m]: the highest rise and drop from a row to the next one ahead, the highest edge between columns."""
        flat = observation[:, self.start : self.start + self.rows * self.columns]
        down = flat.reshape(-1, self.rows, self.columns) / self.scale  # heights of the torso over the ground
        ahead, aside = down[:, 1:] - down[:, :-1], (down[:, :, 1:] - down[:, :, :-1]).abs()
        most = [(-ahead).amax(dim=(1, 2)), ahead.amax(dim=(1, 2)), aside.amax(dim=(1, 2))]
        return torch.stack(most, dim=-1)


class GatedStudent(NormalizedNetwork):
    """From (N, inputs) observations to the (N, outputs) raw actions of walkers, weighed by the gate.

    Attributes:
        walkers: each with a normalization of its own.
        least: (W, inputs) under which a walker is shown nothing: how its own contract cut its observations.
        looks_at: (inputs,) 1 for what the gate looks at, else 0. Command and ground say whose place it is; how the body
            stands would only tell in which lessons it stood so.
        grid: where in the observation the ground is. The gate is told its highest rises, too: where stairs begin to be
            another's is a matter of a centimetre, which a small network does not find in 121 heights.
    """

    least: torch.Tensor
    looks_at: torch.Tensor

    def __init__(
        self, walkers: Sequence[Student], least: torch.Tensor, looks_at: torch.Tensor, grid: GridPlace
    ) -> None:
        inputs = walkers[0].mean.numel()
        super().__init__(inputs)
        self.grid = grid
        self.walkers = nn.ModuleList(walkers)
        self.gate = perceptron(inputs + RISES, GATE_LAYERS, len(walkers))
        self.register_buffer("least", least)
        self.register_buffer("looks_at", looks_at)
        self.mean.copy_(walkers[0].mean)
        self.spread.copy_(walkers[0].spread)

    def logits(self, observation: torch.Tensor) -> torch.Tensor:
        """(N, W): how much each walker's place this is."""
        seen = self.looks_at * (observation - self.mean) / self.spread
        return self.gate(torch.cat([seen, RISE_SCALE * self.grid.rises(observation)], dim=-1))

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        shares = torch.softmax(SHARPNESS * self.logits(observation), dim=-1)
        hands = [
            walker(torch.maximum(observation, least)) for walker, least in zip(self.walkers, self.least, strict=True)
        ]
        return (shares.unsqueeze(-1) * torch.stack(hands, dim=-2)).sum(-2)
