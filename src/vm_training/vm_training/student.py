"""The network that runs on the robot."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class Student(nn.Module):
    """A multilayer perceptron from (N, inputs) observations to (N, outputs) raw actions."""

    def __init__(self, inputs: int, outputs: int, hidden: Sequence[int] = (256, 128, 64)) -> None:
        super().__init__()
        sizes = [inputs, *hidden]
        layers: list[nn.Module] = []
        for before, after in zip(sizes[:-1], sizes[1:], strict=True):
            layers += [nn.Linear(before, after), nn.ELU()]
        last = nn.Linear(sizes[-1], outputs)
        nn.init.uniform_(last.weight, -1e-3, 1e-3)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(*layers, last)

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        return self.layers(observation)
