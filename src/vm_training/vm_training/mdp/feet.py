"""Where the pelvis is over the feet that bear it: all that a robot without odometry knows of its place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core import g1
from vm_core.frames import (
    quat_conjugate,
    quat_from_yaw,
    quat_multiply,
    quat_rotate,
    quat_rotate_inverse,
    rotvec_from_quat,
    yaw_from_quat,
)
from vm_core.g1_kinematics import JOINT_AXIS, JOINT_LEAN_WXYZ, JOINT_OFFSET

_SIDES = ("left", "right")
_LEG = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
_MOTORS = np.array([[g1.motor_index(f"{side}_{joint}_joint") for side in _SIDES] for joint in _LEG])  # (6, 2)
LEG_JOINTS = np.array([[g1.POLICY_JOINT_NAMES.index(f"{side}_{joint}_joint") for joint in _LEG] for side in _SIDES])
"""(2, 6) places of the left and right leg's joints among the policy's."""
_IN_QPOS = 7 + np.array([[g1.POLICY_JOINT_NAMES.index(f"{side}_{joint}_joint") for side in _SIDES] for joint in _LEG])

_LEANT_AXIS = quat_multiply(JOINT_LEAN_WXYZ, np.column_stack([np.zeros(len(JOINT_AXIS)), np.eye(3)[JOINT_AXIS]]))
"""A joint's fixed lean times its axis: turned by an angle, the lean is cos(angle/2) lean + sin(angle/2) of this."""


def foot_poses(qpos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sole centres (N, 2, 3) [m] and orientations (N, 2, 4) of the left and right foot in the world.

    Args:
        qpos: (N, 30) configurations of the 23-joint model.
    """
    count = len(qpos)
    quat = np.repeat(qpos[:, None, 3:7], 2, axis=1)
    position = np.repeat(qpos[:, None, :3], 2, axis=1)
    for motors, columns in zip(_MOTORS, _IN_QPOS, strict=True):
        position = position + quat_rotate(quat, np.broadcast_to(JOINT_OFFSET[motors], (count, 2, 3)))
        half = 0.5 * qpos[:, columns, None]
        quat = quat_multiply(quat, np.cos(half) * JOINT_LEAN_WXYZ[motors] + np.sin(half) * _LEANT_AXIS[motors])
    return position + quat_rotate(quat, np.broadcast_to(g1.SOLE_CENTER, (count, 2, 3))), quat


def leg_jacobians(qpos: np.ndarray, step_rad: float = 1e-4) -> np.ndarray:
    """(2, 6, 6): how each foot moves [m, rad] in the pelvis frame with its leg's joints, at a configuration (30,)."""
    moved = np.tile(qpos, (7, 1))
    moved[:, :7] = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    jacobians = []
    for side in range(2):
        bent = moved.copy()
        bent[np.arange(1, 7), 7 + LEG_JOINTS[side]] += step_rad
        position, quat = (part[:, side] for part in foot_poses(bent))
        turn = rotvec_from_quat(quat_multiply(quat[1:], quat_conjugate(np.tile(quat[0], (6, 1)))))
        jacobians.append(np.hstack([position[1:] - position[0], turn]).T / step_rad)
    return np.array(jacobians)


def without_what_feet_block(joints: np.ndarray, jacobians: np.ndarray) -> np.ndarray:
    """Joint errors (N, J) [rad] of standing robots less the part that only another stance would mend.

    Feet that stand wider, longer or more turned than planned hold both legs away from the plan; what the pelvis can
    undo is what both feet are off by alike.

    Args:
        joints: errors of the policy's joints.
        jacobians: (N, 2, 6, 6) of the plan, or (2, 6, 6) for all.
    """
    legs = joints[:, LEG_JOINTS]  # (N, 2, 6)
    jacobians = np.broadcast_to(jacobians, (len(joints), 2, 6, 6))
    off = np.einsum("nsij,nsj->nsi", jacobians, legs)
    apart = 0.5 * (off[:, 0] - off[:, 1])
    found = joints.copy()
    for side, sign in enumerate((1.0, -1.0)):
        found[:, LEG_JOINTS[side]] = (
            legs[:, side] - sign * np.linalg.solve(jacobians[:, side], apart[..., None])[..., 0]
        )
    return found


@dataclass(frozen=True)
class PelvisOverFeet:
    """Pelvis seen from each foot.

    Attributes:
        xyz: (N, 2, 3) from the sole's centre [m], ahead, left and above the foot.
        yaw: (N, 2) heading of the pelvis against the foot's [rad].
    """

    xyz: np.ndarray
    yaw: np.ndarray

    @staticmethod
    def of(qpos: np.ndarray) -> PelvisOverFeet:
        """Reads configurations (N, 30) of the 23-joint model."""
        position, quat = foot_poses(qpos)
        foot_yaw = yaw_from_quat(quat)
        seen = quat_rotate_inverse(quat_from_yaw(foot_yaw), qpos[:, None, :3] - position)
        return PelvisOverFeet(seen, yaw_from_quat(qpos[:, 3:7])[:, None] - foot_yaw)

    def error(self, wanted: PelvisOverFeet, bearing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Minus what is wanted, over the feet that bear: ahead, left and up (N, 3) [m], yaw (N,) [rad].

        Args:
            wanted: the same of a plan.
            bearing: (N, 2) weights of the feet, that sum to one.
        """
        yaw = np.angle(np.exp(1j * (self.yaw - wanted.yaw)))
        return ((self.xyz - wanted.xyz) * bearing[..., None]).sum(axis=1), (yaw * bearing).sum(axis=1)
