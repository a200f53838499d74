"""Height grids for the benchmark's robots: the truth, or the truth with the errors that the mapper was seen to make."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from vm_core.g1_kinematics import torso_pose
from vm_core.height_grid import HeightGridSpec, cell_points_world, mean_heights, policy_heights
from vm_training.benchmark.robots import WAIST, Robots
from vm_training.mdp.grid_errors import GridErrors, GridErrorScales


class TrueGrid:
    """What an error-free map would give."""

    def __init__(self, robots: Robots) -> None:
        spec = robots.contract.height_grid
        assert spec is not None
        self.spec: HeightGridSpec = spec

    def torso(self, robots: Robots) -> tuple[np.ndarray, np.ndarray]:
        """Position (N, 3) [m] and orientation (N, 4) of the torso."""
        qpos = np.nan_to_num(robots.physics.qpos)
        return torso_pose(qpos[:, :3], qpos[:, 3:7], qpos[:, 7:][:, WAIST])

    def heights(self, robots: Robots) -> np.ndarray:
        position, quat = self.torso(robots)
        cells = cell_points_world(self.spec, position, quat)[..., :2]
        return self._read(robots, cells, position[:, 2], quat)

    def after_step(self, robots: Robots, active: np.ndarray) -> None:
        """The truth remembers nothing."""

    def _read(self, robots: Robots, cells: np.ndarray, torso_height: np.ndarray, quat: np.ndarray) -> np.ndarray:
        terrain = self._means(robots, cells, quat)
        return policy_heights(torso_height, terrain, robots.contract.height_grid_unknown)

    def _means(self, robots: Robots, cells: np.ndarray, quat: np.ndarray) -> np.ndarray:
        """Terrain (N, cells) [m] over cells with middles (N, cells, 2)."""
        return mean_heights(self.spec, cells, quat, lambda xy: terrain_heights(robots, xy))


class NoisyGrid(TrueGrid):
    """The truth, misplaced, drifting and with holes as measured."""

    def __init__(self, robots: Robots, seed: int) -> None:
        super().__init__(robots)
        generator = torch.Generator().manual_seed(seed)
        period = robots.contract.control_period_s
        self._errors = GridErrors(robots.num, self.spec, GridErrorScales.measured(), generator, period)

    def _read(self, robots: Robots, cells: np.ndarray, torso_height: np.ndarray, quat: np.ndarray) -> np.ndarray:
        read_at = self._errors.shift(torch.from_numpy(cells.astype(np.float32)))
        terrain = torch.from_numpy(self._means(robots, read_at.numpy(), quat))
        speed = torch.from_numpy(np.nan_to_num(np.linalg.norm(robots.physics.qvel[:, :2], axis=1)).astype(np.float32))
        wrong = self._errors.disturb(terrain, speed).numpy()
        return policy_heights(torso_height, wrong, robots.contract.height_grid_unknown)


def terrain_heights(robots: Robots, xy: np.ndarray, without: str = "") -> np.ndarray:
    """Terrain z (N, P) [m] at points xy (N, P, 2), each robot's in its own scene; without boxes of a label."""
    found = np.zeros(xy.shape[:2])
    scenes = {id(episode.scene): episode.scene for episode in robots.episodes}
    for key, scene in scenes.items():
        rows = np.array([id(episode.scene) == key for episode in robots.episodes])
        points = xy[rows]
        kept = replace(scene, boxes=tuple(box for box in scene.boxes if box.label != without))
        found[rows] = kept.height_at(points.reshape(-1, 2)).reshape(points.shape[:2])
    return found
