"""Inverse kinematics frame by frame with mink, each from the last: the start for `all_frames`."""

from __future__ import annotations

from collections.abc import Callable

import mink
import mujoco
import numpy as np
from mink.tasks.task import BaseTask

from vm_core import g1
from vm_core.frames import heading_quat
from vm_core.scene_asset import SceneAsset
from vm_reconstruction.retarget.clearance import BodySpheres, ClearanceTask
from vm_reconstruction.retarget.targets import BodyTargets
from vm_sim.g1_model import joint_addresses, stand_qpos

FIRST_FRAME_ITERATIONS = 60
EVERY = 2  # of so many frames one is solved, those between are interpolated: the start need not be better
ITERATIONS = 2
FOOT_COST = np.array([30.0, 5.0])  # of the position [1/m] and the orientation [1/rad] of a planted foot
SWING_COST = np.array([15.0, 1.5])  # of a swinging one: it turns with the leg rather than the robot with it
CALM_COST = 0.05  # on joint steps: arms near their singularities neither jump nor shake
PELVIS_CALM_COST = (2.0, 1.0)  # on its steps: what a limb meets moves the limb, not the whole robot
_POINT_COST = {"knee": 0.3, "elbow": 0.6, "wrist": 0.6}


class ClipSolver:
    """Solves frame after frame; one object a clip."""

    def __init__(self, model: mujoco.MjModel, scene: SceneAsset) -> None:
        self._model = model
        # a task and no limit: a foot that a hard limit stops at an edge never comes over it
        self._clearance = ClearanceTask(BodySpheres(model, scene))
        self._configuration = mink.Configuration(model)
        self._configuration.update(stand_qpos(model))
        self._feet = {
            side: mink.FrameTask(body, "body", *FOOT_COST, lm_damping=1e-3)
            for side, body in zip(("left", "right"), g1.FOOT_BODIES, strict=True)
        }
        self._pelvis = mink.FrameTask(g1.PELVIS_BODY, "body", position_cost=4.0, orientation_cost=2.0, lm_damping=1e-3)
        self._torso = mink.FrameTask(g1.TORSO_BODY, "body", position_cost=0.0, orientation_cost=1.0)
        self._points: dict[str, mink.FrameTask] = {}
        self._posture = mink.PostureTask(model, cost=0.03)
        self._posture.set_target(stand_qpos(model))
        self._limits = [mink.ConfigurationLimit(model)]
        self._speed = mink.VelocityLimit(model, dict(zip(g1.MOTOR_NAMES, g1.VELOCITY_LIMIT, strict=True)))
        self._pelvis_calm = mink.FrameTask(
            g1.PELVIS_BODY, "body", position_cost=PELVIS_CALM_COST[0], orientation_cost=PELVIS_CALM_COST[1]
        )
        self._calm = mink.DampingTask(model, cost=CALM_COST)
        self._joints, _ = joint_addresses(model, g1.MOTOR_NAMES)

    def solve(
        self, targets: BodyTargets, fps: float, on_frame: Callable[[int], object] = lambda count: None
    ) -> np.ndarray:
        """qpos (T, nq) for all frames at fps; no joint turns faster between two frames than its motor can."""
        frames = len(targets.pelvis_pos)
        chosen = np.unique(np.append(np.arange(0, frames, EVERY), frames - 1))
        step_s = EVERY / (fps * ITERATIONS)
        solved = np.zeros((len(chosen), self._model.nq))
        for row, frame in enumerate(chosen):
            tasks = self._set_targets(targets, frame)
            if frame == 0:
                self._begin(targets)
            limits = self._limits if frame == 0 else [*self._limits, self._speed]
            for _ in range(FIRST_FRAME_ITERATIONS if frame == 0 else ITERATIONS):
                self._pelvis_calm.set_target_from_configuration(self._configuration)
                velocity = mink.solve_ik(self._configuration, tasks, step_s, solver="daqp", damping=1e-4, limits=limits)
                self._configuration.integrate_inplace(velocity, step_s)
            solved[row] = self._configuration.q
            on_frame(frame - chosen[row - 1] if row else 1)
        solved[:, self._joints] = np.clip(solved[:, self._joints], g1.JOINT_LOWER, g1.JOINT_UPPER)
        return _between(solved, chosen, frames)

    def _begin(self, targets: BodyTargets) -> None:
        """The stand at the first pelvis target: from another heading the solver would turn the robot the wrong way."""
        qpos = stand_qpos(self._model)
        qpos[:3], qpos[3:7] = targets.pelvis_pos[0], heading_quat(targets.pelvis_quat[0])
        self._configuration.update(qpos)

    def _set_targets(self, targets: BodyTargets, frame: int) -> list[BaseTask]:
        for side, path in targets.feet.items():
            firm = path.firmness[frame]
            position_cost, orientation_cost = firm * FOOT_COST + (1.0 - firm) * SWING_COST
            self._feet[side].set_position_cost(position_cost)
            self._feet[side].set_orientation_cost(orientation_cost)
            self._feet[side].set_target(_pose(path.pos_world[frame], path.quat_wxyz[frame]))
        self._pelvis.set_target(_pose(targets.pelvis_pos[frame], targets.pelvis_quat[frame]))
        self._torso.set_target(_pose(targets.pelvis_pos[frame], targets.torso_quat[frame]))
        for body, path in targets.points.items():
            if body not in self._points:
                cost = next(c for part, c in _POINT_COST.items() if part in body)
                self._points[body] = mink.FrameTask(body, "body", position_cost=cost, orientation_cost=0.0)
            self._points[body].set_target(_pose(path[frame], np.array([1.0, 0, 0, 0])))
        return [
            *self._feet.values(),
            self._pelvis,
            self._torso,
            *self._points.values(),
            self._posture,
            self._calm,
            self._pelvis_calm,
            self._clearance,
        ]


def _between(solved: np.ndarray, chosen: np.ndarray, frames: int) -> np.ndarray:
    """qpos (frames, 36) on straight lines between those of chosen frames (N,)."""
    flip = np.cumprod(np.append(1.0, np.where(np.sum(solved[1:, 3:7] * solved[:-1, 3:7], axis=1) < 0.0, -1.0, 1.0)))
    solved[:, 3:7] *= flip[:, None]
    qpos = np.stack([np.interp(np.arange(frames), chosen, column) for column in solved.T], axis=1)
    qpos[:, 3:7] /= np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True)
    return qpos


def _pose(pos: np.ndarray, quat_wxyz: np.ndarray) -> mink.SE3:
    return mink.SE3(np.concatenate([quat_wxyz, pos]))
