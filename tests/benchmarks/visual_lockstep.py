"""A visual policy in the policy node's own code before the simulated robot and its camera, in lockstep.

What `vm-evaluate` judges in batches on the physics of training runs here as the nodes run it, message by message: the
robot's full collision model at 2 ms, the D435i's picture with its noise, all safety checks. No machine is late in it.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
from lockstep import STEPS_A_PERIOD, InLockstep

from vm_core.scene_asset import SceneAsset
from vm_core.unitree_cdr import parse_low_cmd
from vm_policy_node.safety import State
from vm_policy_node.visual.depth_input import MILLIMETRES, RawPicture
from vm_policy_node.visual.visual_policy import VisualPolicy
from vm_sim.depth_thread import D435I, HORIZONTAL_FOV_DEG, DepthThread
from vm_sim.objects import OBJECT_SCENES
from vm_sim.robot import SimulatedG1

PICTURE_LATE_S = 0.015
"""From an exposure to the node: about what rendering and transport take between the running nodes."""
RUNS_BEFORE_TASK_S = 1.0


class VisualLockstep(InLockstep):
    """One robot before a task's object; its control steps count while the policy runs.

    Attributes:
        thing: the object, drawn by the seed.
    """

    def __init__(self, folder: Path, task: str, seed: int) -> None:
        scene = OBJECT_SCENES[task]
        self.thing = scene.ranges.draw(scene.thing, np.random.default_rng(seed))
        robot = SimulatedG1(SceneAsset(), seed=seed, start_noise=0.5, hang=False, thing=self.thing)
        super().__init__(robot, VisualPolicy.load(folder))
        self._camera = DepthThread(self.robot.model, lambda stamp_ns, picture: None, seed)
        self._on_their_way: list[tuple[float, RawPicture]] = []
        self._next_picture_s = 0.0
        focal = 0.5 * D435I.width / math.tan(0.5 * math.radians(HORIZONTAL_FOV_DEG))
        center = 0.5 * (D435I.width - 1), 0.5 * (D435I.height - 1)
        assert self.controller.depth_input is not None
        self.controller.depth_input.on_info((D435I.width, D435I.height, focal, focal, *center))

    @property
    def object_pos(self) -> np.ndarray:
        """(3,) of the object in the world [m]."""
        pose = self.robot.object_pose
        assert pose is not None
        return pose[:3].copy()

    def start(self) -> None:
        """Stands up, runs, and is told to do its task."""
        self.controller.on_low_state(self.robot.low_state().tobytes(), 0.0)
        self._look(late_s=0.0)
        self.stand_and_run()
        self.run(RUNS_BEFORE_TASK_S)
        self.told("task")

    def run(self, seconds: float) -> float:
        """Goes on for so long, or until the robot damps; how long it went on [s]."""
        end_s, began_s = self.now_s + seconds, self.now_s
        while self.now_s < end_s and self.state != State.DAMPING:
            self.period()
        return self.now_s - began_s

    def period(self) -> None:
        """One control period: the controller, then ten steps of physics with their messages."""
        self._look()
        before = time.perf_counter()
        record = self.controller.step(self.now_s)
        if self.state == State.RUNNING:
            self.control_s.append(time.perf_counter() - before)
        if record is not None:
            self.robot.command(parse_low_cmd(record.tobytes()))
        for _ in range(STEPS_A_PERIOD):
            self.robot.step()
            self._steps += 1
            self.controller.on_low_state(self.robot.low_state().tobytes(), self.now_s)

    def close(self) -> None:
        """Ends the camera's thread."""
        self._camera.stop()

    def _look(self, late_s: float = PICTURE_LATE_S) -> None:
        """Takes the pictures that are due and hands over those that have arrived."""
        if self.now_s >= self._next_picture_s:
            self._next_picture_s += self._camera.period_s
            data = self._camera.picture(self.robot.data.qpos.copy()).tobytes()
            size = D435I.width, D435I.height
            picture = RawPicture(*size, MILLIMETRES, 2 * D435I.width, False, data, round(1000 * self.now_s))
            self._on_their_way.append((self.now_s + late_s, picture))
        camera = self.controller.depth_input
        assert camera is not None
        while self._on_their_way and self._on_their_way[0][0] <= self.now_s:
            camera.on_picture(self._on_their_way.pop(0)[1], self.now_s)
