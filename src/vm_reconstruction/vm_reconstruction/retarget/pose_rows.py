"""The person's motion as residual rows: feet, hands, pelvis, trunk, knees, elbows, and the joints themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np

from vm_core import g1
from vm_core.frames import matrix_from_quat
from vm_reconstruction.retarget.robot_tree import Links, Motion, RobotTree
from vm_reconstruction.retarget.rows import JointRows, Rows
from vm_reconstruction.retarget.targets import HAND_POINT, BodyTargets
from vm_reconstruction.solver.joint import so3


@dataclass(frozen=True)
class Weights:
    """One over the standard deviation of every kind of residual, and the limits [1/m, 1/rad, ...].

    planted_foot, swinging_foot: of position and orientation.
    calm_joint, calm_pelvis: of accelerations of joints [s²/rad], of the pelvis' position [s²/m] and turn [s²/rad].
    acceleration_limit: above it [rad/s²] joints are held `stiff` times as firmly.
    scene, itself: of depth beyond the margins; margins [m] of body, soles and of shapes among themselves.
    """

    planted_foot: tuple[float, float] = (150.0, 20.0)
    swinging_foot: tuple[float, float] = (20.0, 2.0)
    pelvis: tuple[float, float] = (6.0, 3.0)
    torso: float = 2.0
    knee: float = 2.0
    elbow: float = 1.5
    hand: float = 15.0
    touching_hand: float = 60.0
    posture: float = 0.15
    wrist_posture: float = 0.15
    limit: float = 60.0
    limit_margin_rad: float = 0.02
    calm_joint: float = 1 / 50.0
    calm_pelvis: tuple[float, float] = (1 / 8.0, 1 / 30.0)
    acceleration_limit: float = 45.0
    stiff: float = 4.0
    speed_share: float = 0.9
    scene: float = 400.0
    scene_margin_m: float = 0.004
    sole_margin_m: float = -0.002
    itself: float = 300.0
    self_margin_m: float = 0.002
    balance: float = 20.0


class PoseTargets:
    """What links, joints and hands should do, as rows."""

    def __init__(self, model: mujoco.MjModel, targets: BodyTargets, weights: Weights) -> None:
        self._count = len(targets.pelvis_pos)
        self._w = weights
        body = {model.body(i).name: i for i in range(model.nbody)}
        frames = np.arange(self._count)
        points: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = []
        turns: list[tuple[int, np.ndarray, np.ndarray]] = []
        ones = np.ones(self._count)
        for side, name in zip(("left", "right"), g1.FOOT_BODIES, strict=True):
            path = targets.feet[side]
            position, orientation = (
                path.firmness**2 * a + (1.0 - path.firmness**2) * b
                for a, b in zip(weights.planted_foot, weights.swinging_foot, strict=True)
            )
            points.append((body[name], np.zeros(3), path.pos_world, position))
            turns.append((body[name], path.quat_wxyz, orientation))
            touching = targets.hand_touching[side]
            hand = touching * weights.touching_hand + (1.0 - touching) * weights.hand
            points.append((body[f"{side}_wrist_yaw_link"], HAND_POINT, targets.hands[side], hand))
            for part, weight in (("knee", weights.knee), ("elbow", weights.elbow)):
                name = f"{side}_{part}_link"
                points.append((body[name], np.zeros(3), targets.points[name], weight * ones))
        points.append((body[g1.PELVIS_BODY], np.zeros(3), targets.pelvis_pos, weights.pelvis[0] * ones))
        turns.append((body[g1.PELVIS_BODY], targets.pelvis_quat, weights.pelvis[1] * ones))
        turns.append((body[g1.TORSO_BODY], targets.torso_quat, weights.torso * ones))
        self._point_frames = np.repeat(frames, len(points))
        self._point_bodies = np.tile([p[0] for p in points], self._count)
        self._point_local = np.tile([p[1] for p in points], (self._count, 1))
        self._point_goal = np.stack([p[2] for p in points], axis=1).reshape(-1, 3)
        self._point_weight = np.stack([p[3] for p in points], axis=1).ravel()
        self._turn_frames = np.repeat(frames, len(turns))
        self._turn_bodies = np.tile([t[0] for t in turns], self._count)
        self._turn_goal = matrix_from_quat(np.stack([t[1] for t in turns], axis=1).reshape(-1, 4))
        self._turn_weight = np.stack([t[2] for t in turns], axis=1).ravel()

    def rows(self, tree: RobotTree, links: Links, motion: Motion) -> Iterator[Rows | JointRows]:
        """Residuals and Jacobians at the present motion."""
        frames, bodies, weight = self._point_frames, self._point_bodies, self._point_weight[:, None]
        at = links.points(frames, bodies, self._point_local)
        jacobian = tree.point_jacobian(links, frames, bodies, at)
        yield Rows(frames, weight * (at - self._point_goal), weight[..., None] * jacobian)
        frames, bodies, weight = self._turn_frames, self._turn_bodies, self._turn_weight[:, None]
        error = so3.log(links.rot[frames, bodies] @ self._turn_goal.transpose(0, 2, 1))
        yield Rows(frames, weight * error, weight[..., None] * tree.turn_jacobian(links, frames, bodies))
        yield self._joint_rows(motion)

    def _joint_rows(self, motion: Motion) -> JointRows:
        """The stand as the posture to prefer, and a spring before every limit."""
        w = self._w
        margin = w.limit_margin_rad
        beyond = motion.joints - np.clip(motion.joints, g1.JOINT_LOWER + margin, g1.JOINT_UPPER - margin)
        posture = np.array([w.wrist_posture if n in g1.WRIST_JOINT_NAMES else w.posture for n in g1.MOTOR_NAMES])
        from_stand = motion.joints - g1.DEFAULT_STAND_POSE
        slope = [np.broadcast_to(posture, beyond.shape), np.where(beyond != 0.0, w.limit, 0.0)]
        return JointRows(np.stack([posture * from_stand, w.limit * beyond], axis=1), np.stack(slope, axis=1))
