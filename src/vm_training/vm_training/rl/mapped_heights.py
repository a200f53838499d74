"""The height grid of many robots as their maps would have it, from the true terrain and the errors that maps make."""

from __future__ import annotations

import torch

from vm_core.height_grid import HeightGridSpec, policy_heights
from vm_training.mdp.grid_errors import GridErrors
from vm_training.mdp.terrain_raster import TerrainRaster


class MappedHeights:
    """Height grids of N robots in S scenes."""

    def __init__(
        self,
        grid: HeightGridSpec,
        errors: GridErrors,
        terrain: TerrainRaster,
        scene_of: torch.Tensor,
        unknown_m: float,
        exact: float = 0.0,
    ) -> None:
        """Takes the grid's geometry, what maps do wrong, the scenes and each robot's (N,), what unknown cells read, and
        the share of robots whose grid is exact all the same; for how an edge is known from a grid without errors is
        another skill."""
        self._errors, self._terrain, self._scene_of, self._unknown_m = errors, terrain, scene_of, unknown_m
        self._share, self._exact = exact, torch.zeros(len(scene_of), dtype=torch.bool, device=scene_of.device)
        self._cells = torch.tensor(grid.cell_offsets_xy, dtype=torch.float32, device=scene_of.device)

    def reset(self, envs: torch.Tensor) -> None:
        """Draws the errors of robots (E,) anew."""
        self._errors.reset(envs)
        if self._share > 0.0:
            self._exact[envs] = self._errors.uniform(len(envs)) < self._share

    def read(self, torso_pos: torch.Tensor, torso_yaw: torch.Tensor, speed: torch.Tensor) -> torch.Tensor:
        """(N, cells) torso z minus terrain z [m].

        Args:
            torso_pos: (N, 3) [m] in the world.
            torso_yaw: (N,) [rad].
            speed: (N,) horizontal [m/s], which says how old the cells are.
        """
        c, s = torso_yaw.cos()[:, None], torso_yaw.sin()[:, None]
        x, y = self._cells[:, 0], self._cells[:, 1]
        cells = torch.stack([torso_pos[:, :1] + c * x - s * y, torso_pos[:, 1:2] + s * x + c * y], dim=-1)
        terrain = self._terrain.heights(self._scene_of, self._errors.shift(cells))
        mapped = self._errors.disturb(terrain, speed)
        exact = self._exact.nonzero()[:, 0]
        if len(exact):
            mapped[exact] = self._terrain.heights(self._scene_of[exact], cells[exact])
        return policy_heights(torso_pos[:, 2], mapped, self._unknown_m)
