"""The networks that run on the robot: what all have in common, and the student of one observation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn


class NormalizedNetwork(nn.Module):
    """Observations come to zero mean and unit spread by buffers that belong to the network.

    Until `normalize` is called they change nothing.
    """

    mean: torch.Tensor
    spread: torch.Tensor

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))

    def normalize(self, observations: np.ndarray, least_spread: float = 0.1) -> None:
        """Takes mean and spread from observations (n, inputs); what hardly moves there is not blown up."""
        self.mean.copy_(torch.from_numpy(observations.mean(axis=0, dtype=np.float64)))
        self.spread.copy_(torch.from_numpy(np.maximum(observations.std(axis=0, dtype=np.float64), least_spread)))


def digest(network: object) -> str | None:
    """What tells a network's weights from other ones, for a run's settings; None for what is no network."""
    if not isinstance(network, nn.Module):
        return None
    parts = [part for name, value in network.state_dict().items() for part in (name.encode(), value.numpy().tobytes())]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]


def perceptron(inputs: int, hidden: Sequence[int], outputs: int) -> nn.Sequential:
    """Layers with ELU between them; the last begins near zero, so that nothing moves before it has learnt."""
    sizes = [inputs, *hidden]
    layers: list[nn.Module] = []
    for before, after in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(before, after), nn.ELU()]
    last = nn.Linear(sizes[-1], outputs)
    nn.init.uniform_(last.weight, -1e-3, 1e-3)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)


class Student(NormalizedNetwork):
    """A multilayer perceptron from (N, inputs) observations to (N, outputs) raw actions."""

    def __init__(self, inputs: int, outputs: int, hidden: Sequence[int] = (256, 128, 64)) -> None:
        super().__init__(inputs)
        self.hidden = tuple(hidden)
        self.layers = perceptron(inputs, hidden, outputs)

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        return self.layers((observation - self.mean) / self.spread)
