"""The two chains that the map needs: pelvis to torso, and pelvis to the soles. A test compares them with the model."""

from __future__ import annotations

import math

import numpy as np

from vm_core import frames, g1

_AXES = {"yaw": (0.0, 0.0, 1.0), "roll": (1.0, 0.0, 0.0), "pitch": (0.0, 1.0, 0.0)}
_THIGH_TILT_RAD = 0.174896  # the hip roll link leans back by this, the knee link forward again
_LEAN = np.array([math.cos(_THIGH_TILT_RAD / 2), 0.0, math.sin(_THIGH_TILT_RAD / 2), 0.0])

# joint, its axis, its link's offset of the left leg [m] and lean (sign of _THIGH_TILT_RAD); Unitree's description
_LEG = (
    ("hip_pitch", "pitch", (0.0, 0.064452, -0.1027), 0),
    ("hip_roll", "roll", (0.0, 0.052, -0.030465), -1),
    ("hip_yaw", "yaw", (0.025001, 0.0, -0.12412), 0),
    ("knee", "pitch", (-0.078273, 0.0021489, -0.17734), 1),
    ("ankle_pitch", "pitch", (0.0, -9.4445e-05, -0.30001), 0),
    ("ankle_roll", "roll", (0.0, 0.0, -0.017558), 0),
)


def torso_in_pelvis(joint_pos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position (3,) [m] and quaternion (4,) of the torso link in the pelvis, for motor angles (29,) [rad]."""
    angles = [joint_pos[g1.motor_index(f"waist_{axis}_joint")] for axis in ("yaw", "roll", "pitch")]
    yaw, roll, pitch = _turn("yaw", angles[0]), _turn("roll", angles[1]), _turn("pitch", angles[2])
    pos = frames.quat_rotate(yaw, g1.WAIST_ROLL_IN_WAIST_YAW)
    return pos, frames.quat_multiply(frames.quat_multiply(yaw, roll), pitch)


def soles_in_pelvis(joint_pos: np.ndarray) -> np.ndarray:
    """Middles (2, 3) [m] of the left and the right sole in the pelvis, for motor angles (29,) [rad]."""
    return np.stack([_sole(joint_pos, "left", 1.0), _sole(joint_pos, "right", -1.0)])


def _sole(joint_pos: np.ndarray, side: str, mirror: float) -> np.ndarray:
    pos, quat = np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])
    for joint, axis, (x, y, z), lean in _LEG:
        pos = pos + frames.quat_rotate(quat, np.array([x, mirror * y, z]))
        if lean:
            quat = frames.quat_multiply(quat, _LEAN if lean > 0 else frames.quat_conjugate(_LEAN))
        quat = frames.quat_multiply(quat, _turn(axis, joint_pos[g1.motor_index(f"{side}_{joint}_joint")]))
    middle = np.array([g1.SOLE_POINTS[:, 0].mean(), 0.0, -g1.SOLE_HEIGHT_M])
    return pos + frames.quat_rotate(quat, middle)


def _turn(axis: str, angle: float) -> np.ndarray:
    return frames.quat_from_rotvec(np.array(_AXES[axis]) * angle)
