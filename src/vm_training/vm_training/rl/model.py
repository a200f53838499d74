"""The policy of reinforcement learning: a perceptron whose height map comes in through a gate that starts shut."""

from __future__ import annotations

import torch
from rsl_rl.models import MLPModel
from tensordict import TensorDict
from torch import nn

from vm_training.student import Student

HIDDEN = (256, 128, 64)


class GatedModel(MLPModel):
    """rsl_rl's perceptron; the last `grid_cells` inputs go through a layer of their own, times a gate, into the first.

    With the gate at zero a network that never saw a height map behaves as before (VideoMimic's injection). Inputs are
    brought to the mean and spread of the student that the model began with; without one they stay as they are.
    """

    mean: torch.Tensor
    spread: torch.Tensor

    def __init__(
        self,
        obs: TensorDict,
        obs_groups: dict[str, list[str]],
        obs_set: str,
        output_dim: int,
        hidden_dims: tuple[int, ...] = HIDDEN,
        activation: str = "elu",
        distribution_cfg: dict | None = None,
        grid_cells: int = 0,
    ) -> None:
        self._grid_cells = grid_cells
        super().__init__(
            obs, obs_groups, obs_set, output_dim, hidden_dims, activation, distribution_cfg=distribution_cfg
        )
        self.register_buffer("mean", torch.zeros(self.obs_dim))
        self.register_buffer("spread", torch.ones(self.obs_dim))
        if grid_cells:
            self.grid = nn.Linear(grid_cells, hidden_dims[0], bias=False)
            self.gate = nn.Parameter(torch.zeros(hidden_dims[0]))

    def _get_latent_dim(self) -> int:
        return self.obs_dim - self._grid_cells

    def raw(self, seen: torch.Tensor) -> torch.Tensor:
        """Means (N, outputs) for observations (N, n)."""
        layers, seen = list(self.mlp), (seen - self.mean) / self.spread
        if not self._grid_cells:
            return self.mlp(seen)
        hidden = layers[0](seen[:, : -self._grid_cells]) + self.gate * self.grid(seen[:, -self._grid_cells :])
        for layer in layers[1:]:
            hidden = layer(hidden)
        return hidden

    def forward(self, obs: TensorDict, masks=None, hidden_state=None, stochastic_output: bool = False) -> torch.Tensor:
        mean = self.raw(torch.cat([obs[group] for group in self.obs_groups], dim=-1))
        if self.distribution is None:
            return mean
        self.distribution.update(mean)
        return self.distribution.sample() if stochastic_output else mean


def student_of(state: dict[str, torch.Tensor]) -> Student:
    """The same function as a plain perceptron over the whole observation, for export.

    Args:
        state: of a GatedModel.
    """
    names = [name for name in state if name.startswith("mlp.") and name.endswith(".weight")]
    stems = sorted((name.removesuffix(".weight") for name in names), key=_number)
    weights = [state[f"{stem}.weight"] for stem in stems]
    if "gate" in state:
        weights[0] = torch.cat([weights[0], state["gate"][:, None] * state["grid.weight"]], dim=1)
    student = Student(weights[0].shape[1], weights[-1].shape[0], [len(weight) for weight in weights[:-1]])
    own = [layer for layer in student.layers if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for layer, weight, stem in zip(own, weights, stems, strict=True):
            layer.weight.copy_(weight)
            layer.bias.copy_(state[f"{stem}.bias"])
        student.mean.copy_(state["mean"])
        student.spread.copy_(state["spread"])
    return student.eval()


def _number(stem: str) -> int:
    return int(stem.split(".")[1])


def take_student(model: GatedModel, student: Student) -> None:
    """Gives the model a student's function: its map's weights behind an open gate."""
    own = [layer for layer in model.mlp if isinstance(layer, nn.Linear)]
    theirs = [layer for layer in student.layers if isinstance(layer, nn.Linear)]
    cells = model._grid_cells
    with torch.no_grad():
        for mine, given in zip(own, theirs, strict=True):
            mine.bias.copy_(given.bias)
            mine.weight.copy_(given.weight if mine is not own[0] or not cells else given.weight[:, :-cells])
        model.mean.copy_(student.mean)
        model.spread.copy_(student.spread)
        if cells:
            model.grid.weight.copy_(theirs[0].weight[:, -cells:])
            model.gate.fill_(1.0)


def take_without_map(model: GatedModel, state: dict[str, torch.Tensor]) -> None:
    """Loads a policy that had no height map into one that has, its gate shut.

    Raises:
        RuntimeError: the rest does not fit.
    """
    state = {name: value for name, value in state.items() if name not in ("mean", "spread")}
    missing, unexpected = model.load_state_dict(state, strict=False)  # sizes that differ raise, too
    left = [name for name in missing if not name.startswith(("grid.", "gate", "distribution.", "mean", "spread"))]
    if left or unexpected:
        raise RuntimeError(f"missing {left}, unexpected {unexpected}")
