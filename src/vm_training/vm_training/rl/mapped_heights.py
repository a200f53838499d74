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
        self._cells, self._samples = (
            torch.tensor(offsets, dtype=torch.float32, device=scene_of.device)
            for offsets in (grid.cell_offsets_xy, grid.sample_offsets_xy)
        )

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
        cells = torso_pos[:, None, :2] + _turned(self._cells, torso_yaw)
        terrain = self._ground(self._scene_of, self._errors.shift(cells), torso_yaw)
        mapped = self._errors.disturb(terrain, speed)
        exact = self._exact.nonzero()[:, 0]
        if len(exact):
            mapped[exact] = self._ground(self._scene_of[exact], cells[exact], torso_yaw[exact])
        return policy_heights(torso_pos[:, 2], mapped, self._unknown_m)

    def _ground(self, scene: torch.Tensor, cells: torch.Tensor, yaw: torch.Tensor) -> torch.Tensor:
        """Terrain z (N, C) [m], means over cells with middles (N, C, 2)."""
        if len(self._samples) == 1:
            return self._terrain.heights(scene, cells)
        points = cells[:, :, None] + _turned(self._samples, yaw)[:, None]
        return self._terrain.heights(scene, points.flatten(1, 2)).view(*points.shape[:3]).mean(-1)


def _turned(offsets: torch.Tensor, yaw: torch.Tensor) -> torch.Tensor:
    """Offsets (P, 2) by headings (N,) [rad]: (N, P, 2)."""
    c, s = yaw.cos()[:, None], yaw.sin()[:, None]
    x, y = offsets[:, 0], offsets[:, 1]
    return torch.stack([c * x - s * y, s * x + c * y], dim=-1)
