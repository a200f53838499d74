"""Inverse kinematics over a clip with mink: hard joint limits, warm start from frame to frame."""

from __future__ import annotations

from collections.abc import Callable

import mink
import mujoco
import numpy as np

from vm_core import g1
from vm_reconstruction.retarget.targets import BodyTargets
from vm_sim.g1_model import joint_addresses, stand_qpos

FIRST_FRAME_ITERATIONS = 60
ITERATIONS = 2
_STEP_S = 1.0  # each iteration may move by a whole Gauss–Newton step
_POINT_COST = {"knee": 0.3, "elbow": 0.6, "wrist": 0.6}


class ClipSolver:
    """Solves frame after frame; one object a clip."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._configuration = mink.Configuration(model)
        self._configuration.update(stand_qpos(model))
        self._feet = {
            side: mink.FrameTask(body, "body", position_cost=30.0, orientation_cost=5.0, lm_damping=1e-3)
            for side, body in zip(("left", "right"), g1.FOOT_BODIES, strict=True)
        }
        self._pelvis = mink.FrameTask(g1.PELVIS_BODY, "body", position_cost=4.0, orientation_cost=2.0, lm_damping=1e-3)
        self._torso = mink.FrameTask(g1.TORSO_BODY, "body", position_cost=0.0, orientation_cost=1.0)
        self._points: dict[str, mink.FrameTask] = {}
        self._posture = mink.PostureTask(model, cost=0.03)
        self._posture.set_target(stand_qpos(model))
        self._limits = [mink.ConfigurationLimit(model)]
        self._joints, _ = joint_addresses(model, g1.MOTOR_NAMES)

    def solve(self, targets: BodyTargets, on_frame: Callable[[], object] = lambda: None) -> np.ndarray:
        """qpos (T, nq) for all frames."""
        frames = len(targets.pelvis_pos)
        solved = np.zeros((frames, self._model.nq))
        for frame in range(frames):
            tasks = self._set_targets(targets, frame)
            for _ in range(FIRST_FRAME_ITERATIONS if frame == 0 else ITERATIONS):
                velocity = mink.solve_ik(
                    self._configuration, tasks, _STEP_S, solver="daqp", damping=1e-4, limits=self._limits
                )
                self._configuration.integrate_inplace(velocity, _STEP_S)
            solved[frame] = self._configuration.q
            on_frame()
        solved[:, self._joints] = np.clip(solved[:, self._joints], g1.JOINT_LOWER, g1.JOINT_UPPER)
        return solved

    def _set_targets(self, targets: BodyTargets, frame: int) -> list[mink.Task]:
        for side, path in targets.feet.items():
            self._feet[side].set_target(_pose(path.pos_world[frame], path.quat_wxyz[frame]))
        self._pelvis.set_target(_pose(targets.pelvis_pos[frame], targets.pelvis_quat[frame]))
        self._torso.set_target(_pose(targets.pelvis_pos[frame], targets.torso_quat[frame]))
        for body, path in targets.points.items():
            if body not in self._points:
                cost = next(c for part, c in _POINT_COST.items() if part in body)
                self._points[body] = mink.FrameTask(body, "body", position_cost=cost, orientation_cost=0.0)
            self._points[body].set_target(_pose(path[frame], np.array([1.0, 0, 0, 0])))
        return [*self._feet.values(), self._pelvis, self._torso, *self._points.values(), self._posture]


def _pose(pos: np.ndarray, quat_wxyz: np.ndarray) -> mink.SE3:
    return mink.SE3(np.concatenate([quat_wxyz, pos]))
