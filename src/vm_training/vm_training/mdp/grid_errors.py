"""The errors that this project's height map was measured to make, drawn for many robots at once.

Cells are memory: what is wrong about a place stays wrong while the robot walks over it, so errors are fields in the
world, one for each robot, redrawn at every reset. Measured are the share of cells on the wrong side of an edge by
distance to it, the spread by age away from edges, unknown cells, and the drift of the height. The figures are those of
`vm_heightmap`'s own benchmark, in `vm_core.height_grid.MEASURED_ERRORS_FILE`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import torch

from vm_core.height_grid import MEASURED_ERRORS_FILE, HeightGridSpec

_FIELD = 64  # cells of a side of the world-fixed noise fields, which repeat
_BLIND_M = 0.9  # ahead of the torso, where a cell was seen last before it came under the robot


@dataclass(frozen=True)
class GridErrorScales:
    """How large the errors are.

    Attributes:
        misplaced_m: standard deviation of a cell's horizontal error; what puts it on the wrong side of an edge.
        age_s, spread_m: standard deviation of the height by age, away from edges.
        unknown_share: of cells.
        drift_m: standard deviation of the change of the height in DRIFT_S.
    """

    misplaced_m: float
    age_s: tuple[float, ...]
    spread_m: tuple[float, ...]
    unknown_share: float
    drift_m: float

    DRIFT_S = 2.0

    @staticmethod
    def measured(factor: float = 1.0) -> GridErrorScales:
        """The measured ones with the mapper's own odometry, times a factor."""
        found = json.loads(MEASURED_ERRORS_FILE.read_text())["own odometry"]
        rows = found["by_age_s"]
        return GridErrorScales(
            misplaced_m=factor * _misplacement(found["by_edge_distance_m"]),
            age_s=tuple(0.5 * (row["from"] + row["to"]) for row in rows),
            spread_m=tuple(factor * row["std_m"] for row in rows),
            unknown_share=min(factor * found["unknown_share"], 1.0),
            drift_m=factor * found["z_drift_2s_m"]["p95"] / 1.96,
        )


def _misplacement(rows: list[dict[str, float]]) -> float:
    """The standard deviation whose tails give the measured shares of cells that are wrong by more than an edge.

    A cell at distance d is wrong when it was put farther than d across the edge: share = P(N(0, 1) > d / std).
    """
    weighed = total = 0.0
    for row in rows:
        share = row["share_over_5cm"]
        if not 0.01 < share < 0.3:  # rarer are outliers of another kind; nearer is within the truth's own raster
            continue
        tail = math.sqrt(2.0) * float(torch.erfinv(torch.tensor(1.0 - 2.0 * share)))
        weighed += row["cells"] * 0.5 * (row["from"] + row["to"]) / tail
        total += row["cells"]
    return weighed / total


class GridErrors:
    """Error fields of N robots.

    Half of a misplacement is one offset of the whole map (odometry), half belongs to the place.
    """

    def __init__(
        self, num: int, grid: HeightGridSpec, scales: GridErrorScales, generator: torch.Generator, period_s: float
    ) -> None:
        device = generator.device
        self._scales, self._generator, self._period_s = scales, generator, period_s
        options = {"generator": generator, "device": device}
        # x and y offset of a place and its height, and how readily it is unknown
        self._place = scales.misplaced_m * math.sqrt(0.5) * torch.randn((_FIELD * _FIELD, 2), **options)
        self._height = torch.randn(_FIELD * _FIELD, **options)
        # NaN where unknown, so that one look-up and one sum make a hole
        self._height[torch.rand(_FIELD * _FIELD, **options) < scales.unknown_share] = torch.nan
        offsets = torch.tensor(grid.cell_offsets_xy, dtype=torch.float32, device=device)
        self._behind = _BLIND_M - offsets[:, 0]
        self._age_s = torch.tensor(scales.age_s, device=device)
        self._spread = torch.tensor(scales.spread_m, device=device)
        self._per_cell = 1.0 / grid.resolution
        self._map_offset = torch.zeros((num, 2), device=device)
        self._z = torch.zeros(num, device=device)
        self._corner = torch.zeros((num, 2), dtype=torch.int64, device=device)
        self._since_s = torch.zeros(num, device=device)
        self.reset(torch.arange(num, device=device))

    def reset(self, envs: torch.Tensor) -> None:
        """Draws the errors of robots (E,) anew."""
        count, options = len(envs), {"generator": self._generator, "device": self._z.device}
        std = self._scales.misplaced_m * math.sqrt(0.5)
        self._map_offset[envs] = std * torch.randn((count, 2), **options)
        self._z[envs] = self._scales.drift_m * torch.randn(count, **options)
        self._corner[envs] = torch.randint(0, _FIELD, (count, 2), **options)
        self._since_s[envs] = 4.0 * torch.rand(count, **options)

    def uniform(self, count: int) -> torch.Tensor:
        """(count,) numbers from 0 to 1 of the errors' own generator."""
        return torch.rand(count, generator=self._generator, device=self._z.device)

    def shift(self, cells_xy: torch.Tensor) -> torch.Tensor:
        """Points (N, C, 2) whose terrain is read instead of that at the cells (N, C, 2) [m]."""
        self._at = self._place_index(cells_xy)
        flat = self._at.reshape(-1)
        self._height_noise = torch.take(self._height, self._at)
        return cells_xy + self._place.index_select(0, flat).view(*self._at.shape, 2) + self._map_offset[:, None]

    def disturb(self, heights: torch.Tensor, speed: torch.Tensor) -> torch.Tensor:
        """Terrain heights (N, C) [m] read at `shift`'s points, as the map has them; NaN where it knows nothing.

        Args:
            heights: of the terrain.
            speed: (N,) of the robot [m/s], which says how old the cells are.
        """
        spread = self._spread_at(speed)
        wrong = heights + self._z[:, None] + self._height_noise * spread
        self._drift()
        return wrong

    def _place_index(self, cells_xy: torch.Tensor) -> torch.Tensor:
        cell = (cells_xy * self._per_cell).round_().to(torch.int64) + self._corner[:, None]
        cell &= _FIELD - 1  # the remainder, for the field's side is a power of two
        return cell[..., 0] * _FIELD + cell[..., 1]

    def _spread_at(self, speed: torch.Tensor) -> torch.Tensor:
        """(N, C) standard deviations: a cell's age is the way since it was seen, by the speed, and no longer than since
        the start."""
        age = self._behind / speed.clamp(min=0.05)[:, None]
        age = torch.minimum(age, self._since_s[:, None])
        return self._spread[torch.bucketize(age, self._age_s).clamp_(max=len(self._spread) - 1)]

    def _drift(self) -> None:
        """An Ornstein-Uhlenbeck walk of the map's height, as far in 2 s as measured."""
        step = self._period_s / self._scales.DRIFT_S
        kick = torch.randn(len(self._z), generator=self._generator, device=self._z.device)
        self._z += -0.25 * step * self._z + self._scales.drift_m * math.sqrt(step) * kick
        self._since_s += self._period_s
