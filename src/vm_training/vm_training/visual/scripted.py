"""Scripted generators: a task's script holds the stick, the gait table says where root and keypoints go."""

from __future__ import annotations

import numpy as np

from vm_training.visual.gait_table import command_of, plan_time
from vm_training.visual.object_world import PERIOD_S, ObjectWorld

SMOOTHING_S = 0.35


class ScriptedGenerator:
    """Commands of a task's script for all worlds; sees everything, needs no training."""

    def __init__(self, world: ObjectWorld) -> None:
        self._world = world
        self._stick = np.zeros((world.num_envs, 3))

    def reset(self, envs: np.ndarray) -> None:
        """Worlds (E,) start anew."""
        self._stick[envs] = 0.0

    def command(self) -> np.ndarray:
        """(N, 18) [m] for this control period; after `ObjectWorld.tick`."""
        world = self._world
        stick = world.task.script(world.view())
        wanted = np.stack([stick.stride, stick.turn, stick.style], axis=1)
        wanted[~world.run] = 0.0
        self._stick += PERIOD_S / SMOOTHING_S * (np.nan_to_num(wanted) - self._stick)
        time_s, mirrored = plan_time(*world.clock)
        rows, weights = world.table.look_up(time_s, mirrored, *self._stick.T)
        return command_of(rows, weights, world.qpos, world.keypoints())
