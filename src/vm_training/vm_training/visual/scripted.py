"""Scripted generators: a task's script holds the stick, the gait table says where root and keypoints go."""

from __future__ import annotations

import numpy as np

from vm_core.errors import VmError
from vm_core.frames import yaw_from_quat
from vm_training.visual.gait_table import command_of, plan_time
from vm_training.visual.object_world import PERIOD_S, ObjectWorld

SMOOTHING_S = 0.35
LEAST_REACH_M = 0.15


class ScriptedGenerator:
    """Commands of a task's script for all worlds; sees everything, needs no training."""

    def __init__(self, world: ObjectWorld) -> None:
        """Takes the task's script.

        Raises:
            VmError: it has none.
        """
        script = world.task.script
        if script is None:
            raise VmError(
                f"{world.task.name} has no script: no walk does it; expected a teacher that was trained for it"
            )
        self._world, self._script = world, script
        self._stick = np.zeros((world.num_envs, 3))

    def reset(self, envs: np.ndarray) -> None:
        """Worlds (E,) start anew."""
        self._stick[envs] = 0.0

    @property
    def place(self) -> None:
        """It knows."""

    def command(self, thought: np.ndarray | None = None) -> np.ndarray:
        """(N, 18) [m] for this control period; after `ObjectWorld.tick`.

        Args:
            thought: (N, 3) where the thing is taken to be, ahead and to the left of the pelvis, and the pelvis, to the
                left of the task frame's x axis [m]; None: as it is.
        """
        world = self._world
        view = world.view()
        stick = self._script(view if thought is None else view.as_thought(thought))
        wanted = np.stack([stick.stride, stick.turn, stick.style], axis=1)
        wanted[~world.run] = 0.0
        self._stick += PERIOD_S / SMOOTHING_S * (np.nan_to_num(wanted) - self._stick)
        time_s, mirrored = plan_time(*world.clock, world.table.step_s)
        rows, weights = world.table.look_up(time_s, mirrored, *self._stick.T)
        points = world.keypoints()
        command = command_of(rows, weights, world.qpos, points)
        if stick.reach is not None:
            self._hold_back(command, points, np.where(world.run, stick.reach, np.inf))
        return command

    def _hold_back(self, command: np.ndarray, points: np.ndarray, reach: np.ndarray) -> None:
        """Keeps the palms from going farther ahead than `reach` (N,)."""
        yaw = yaw_from_quat(self._world.qpos[:, 3:7])
        for palm, column in ((1, 6), (2, 9)):
            offset = points[:, palm] - self._world.qpos[:, :3]
            ahead = np.cos(yaw) * offset[:, 0] + np.sin(yaw) * offset[:, 1]
            command[:, column] = np.minimum(command[:, column], np.maximum(reach, LEAST_REACH_M) - ahead)
