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
SHARPNESS = 4.0
"""Times the gate's logits: where it is sure, a walker is left alone; where two places look alike, both count."""
EDGES_FROM_M, EDGE_WIDTH_M = (0.044, 0.13), 0.003
"""Edges above these in view are those of kerbs and low stairs, and of high ones; so far above it that is sure. Two
cells of a slope of 11 degrees differ by 0.039 m."""


@dataclass(frozen=True)
class GridPlace:
    """Where in an observation the height grid is.

    Attributes:
        start: its first number.
        rows, columns: ahead and aside.
        scale: times heights of the torso over the ground.
        unknown_m: what a cell says that nobody has seen.
    """

    start: int
    rows: int
    columns: int
    scale: float
    unknown_m: float

    def highest_edge(self, observation: torch.Tensor) -> torch.Tensor:
        """(N,) [m]: the highest rise or drop from a known cell to one of the next two, that half of the columns have.

        Steps are as wide as a robot; single cells are the map's errors, of which some are as high as a kerb. A map
        from scans smears an edge over two cells; no tread is so short that two cells reach over two edges.
        """
        flat = observation[:, self.start : self.start + self.rows * self.columns]
        height = flat.reshape(-1, self.rows, self.columns) / self.scale
        known = ((height - self.unknown_m).abs() > 1e-3).to(height.dtype)
        rises = [
            ((height[:, cells:] - height[:, :-cells]).abs() * known[:, cells:] * known[:, :-cells]).amax(dim=1)
            for cells in (1, 2)
        ]
        return torch.maximum(*rises).topk((self.columns + 1) // 2, dim=1).values[:, -1]


@dataclass(frozen=True)
class EdgeRule:
    """Who has the first walker's share where edges are in view: the last walkers, by the height of the highest.

    Attributes:
        grid: where the ground is seen.
        walkers: how many there are: that of high stairs, or before it that of kerbs and low stairs.
    """

    grid: GridPlace
    walkers: int

    def shares(self, observation: torch.Tensor) -> torch.Tensor:
        """(N, 1 + walkers): the first walker's part of its own share, then theirs; they add up to 1."""
        start = observation.new_tensor(EDGES_FROM_M[-self.walkers :])
        highest = self.grid.highest_edge(observation).unsqueeze(-1)
        above = torch.sigmoid((highest - start) / EDGE_WIDTH_M)
        sure, never = torch.ones_like(highest), torch.zeros_like(highest)
        return torch.cat([sure, above], dim=-1) - torch.cat([above, never], dim=-1)


class GatedStudent(NormalizedNetwork):
    """From (N, inputs) observations to the (N, outputs) raw actions of walkers, weighed by the gate.

    Walkers of edges are no business of the gate's, for their places are a matter of a centimetre: a gate that was
    taught them took rises of 12 and of 14 cm for either one's, several times a second, and robots fell between two
    hands. They have the first walker's share by a rule, as long as an edge is in view.

    Attributes:
        walkers: each with a normalization of its own; the last are those of edges, if there are any.
        least: (W, inputs) under which a walker is shown nothing: how its own contract cut its observations.
        looks_at: (inputs,) 1 for what the gate looks at, else 0. Command and ground say whose place it is; how the body
            stands would only tell in which lessons it stood so.
        edges: the rule by which the last walkers have their places; None: all have them by the gate.
    """

    least: torch.Tensor
    looks_at: torch.Tensor

    def __init__(
        self, walkers: Sequence[Student], least: torch.Tensor, looks_at: torch.Tensor, edges: EdgeRule | None = None
    ) -> None:
        inputs = walkers[0].mean.numel()
        super().__init__(inputs)
        self.walkers, self.edges = nn.ModuleList(walkers), edges
        self.gate = perceptron(inputs, GATE_LAYERS, self.gated)
        self.register_buffer("least", least)
        self.register_buffer("looks_at", looks_at)
        self.mean.copy_(walkers[0].mean)
        self.spread.copy_(walkers[0].spread)

    @property
    def gated(self) -> int:
        """How many walkers have their places by the gate, W."""
        return len(self.walkers) - (self.edges.walkers if self.edges else 0)

    def logits(self, observation: torch.Tensor) -> torch.Tensor:
        """(N, W): how much each walker's place this is."""
        return self.gate(self.looks_at * (observation - self.mean) / self.spread)

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        return self.mixed(observation, torch.softmax(SHARPNESS * self.logits(observation), dim=-1))

    def mixed(self, observation: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        """Raw actions (N, outputs) where the gate's shares are given, (N, W) as for `logits`."""
        if self.edges is not None:
            parts = shares[:, :1] * self.edges.shares(observation)
            shares = torch.cat([parts[:, :1], shares[:, 1:], parts[:, 1:]], dim=-1)
        hands = [
            walker(torch.maximum(observation, least)) for walker, least in zip(self.walkers, self.least, strict=True)
        ]
        return (shares.unsqueeze(-1) * torch.stack(hands, dim=-2)).sum(-2)
