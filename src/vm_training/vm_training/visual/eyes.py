"""Eyes of generators: where the thing is, from a depth picture and what the robot feels of its own pose.

They have lessons of their own, the truth about the place, and learn nothing from commands: a command tells much about
the thing while a teacher acts who knows it, and nothing once the network acts itself.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from vm_core.depth_image import DepthSpec

KINDS = 16
LATENT = 3 * KINDS
HOLE_M, NEAREST_M, WINDOW_PX = 0.2, 0.33, 13
_CELL_PX = 4
_SPEC = DepthSpec()
_ROWS, _COLUMNS = -(-_SPEC.height // _CELL_PX), -(-_SPEC.width // _CELL_PX)
NOWHERE = _ROWS * _COLUMNS


def shown(depth: torch.Tensor) -> torch.Tensor:
    """(N, 3, height, width) of scaled pictures (N, height, width): what stands out, holes, and closeness.

    One over the depth of a plane changes evenly over the picture, whatever way the camera looks. Less its mean around
    each pixel nothing is left of the floor, but of what stands on it; holes count neither way.
    """
    metres = (depth[:, None] + 0.5) * (_SPEC.far_m - _SPEC.near_m) + _SPEC.near_m
    measured = (metres > HOLE_M).to(depth.dtype)
    near = measured / metres.clamp(min=NEAREST_M)
    around = _around(near) / _around(measured).clamp(min=0.05)
    stands_out = (4.0 * (near - measured * around)).clamp(-2.0, 2.0)
    return torch.cat([stands_out, 1.0 - measured, near - 0.9 * measured], dim=1)


def _around(part: torch.Tensor) -> torch.Tensor:
    """Means around each pixel, first up and down, then across: a tenth of the work of a square at once."""
    half = WINDOW_PX // 2
    rows = functional.avg_pool2d(part, (WINDOW_PX, 1), 1, (half, 0), count_include_pad=False)
    return functional.avg_pool2d(rows, (1, WINDOW_PX), 1, (0, half), count_include_pad=False)


def cell_of(across: np.ndarray, down: np.ndarray, there: np.ndarray) -> np.ndarray:
    """(N,) the cell of places in the picture, -1 to 1, or NOWHERE."""
    column = np.clip(np.rint(0.5 * (across + 1.0) * (_COLUMNS - 1)), 0, _COLUMNS - 1)
    row = np.clip(np.rint(0.5 * (down + 1.0) * (_ROWS - 1)), 0, _ROWS - 1)
    return np.where(there, row * _COLUMNS + column, NOWHERE).astype(np.int64)


class Eyes(nn.Module):
    """From scaled pictures (N, height, width) to (N, LATENT): for each of KINDS of detail whether it is there, and its
    place across and down the picture, -1 to 1 (a spatial softmax, as Finn et al., 2016; over nowhere, too)."""

    places: torch.Tensor
    pixels: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        grid = _places(_SPEC.height, _SPEC.width).T.reshape(1, 2, _SPEC.height, _SPEC.width)
        self.register_buffer("pixels", grid, persistent=False)
        self.register_buffer("places", _places(_ROWS, _COLUMNS), persistent=False)
        self.layers = nn.Sequential(
            nn.Conv2d(5, 8, 5, stride=2, padding=2), nn.ELU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ELU(),
            nn.Conv2d(16, KINDS, 3, padding=1),
        )  # fmt: skip

    def details(self, depth: torch.Tensor) -> torch.Tensor:
        """(N, KINDS, NOWHERE + 1) logarithms of how likely each kind is where; the first kind is the thing's middle."""
        seen = torch.cat([shown(depth), self.pixels.expand(len(depth), -1, -1, -1)], dim=1)
        found = self.layers(seen).flatten(2)
        return torch.cat([found, torch.zeros_like(found[:, :, :1])], dim=2)

    def forward(self, depth: torch.Tensor) -> torch.Tensor:
        return self.summary(self.details(depth))

    def summary(self, details: torch.Tensor) -> torch.Tensor:
        """(N, LATENT) of `details`."""
        share = torch.softmax(details, dim=2)[:, :, :-1]
        return torch.cat([(share @ self.places).flatten(1), share.sum(dim=2)], dim=1)


def _places(height: int, width: int) -> torch.Tensor:
    """(height width, 2) across and down, -1 to 1."""
    down, across = (torch.linspace(-1.0, 1.0, size) for size in (height, width))
    return torch.cartesian_prod(down, across).flip(1)
