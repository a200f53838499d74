"""The robot's links as the map needs them: torso, soles, capsules around the body. A test compares with the model."""

from __future__ import annotations

import numba
import numpy as np

from vm_core import frames, g1
from vm_core.g1_kinematics import JOINT_AXIS, JOINT_LEAN_WXYZ, JOINT_OFFSET, JOINT_PARENT

# link (by its joint; "" is the pelvis), ends of the axis [m], radius [m]: mjlab's collision shapes, and the parts that
# those leave out
_CAPSULES = (
    ("", (0.0, 0.0, -0.08), (0.0, 0.0, 0.0), 0.09),
    ("waist_pitch", (0.01, 0.0, 0.05), (0.01, 0.0, 0.25), 0.12),
    ("waist_pitch", (0.0, 0.0, 0.30), (0.0, 0.0, 0.43), 0.07),
    ("hip_roll", (0.02, 0.0, -0.08), (0.02, 0.0, 0.0), 0.06),
    ("hip_yaw", (-0.06003, 0.0, -0.17004), (0.00003, 0.0, -0.02996), 0.055),
    ("knee", (0.01, 0.0, -0.15), (0.01, 0.0, 0.0), 0.045),
    ("knee", (0.01, 0.0, -0.28), (0.01, 0.0, -0.20), 0.03),
    ("ankle_roll", (-0.05, 0.0, -0.01), (0.12, 0.0, -0.01), 0.04),
    ("shoulder_roll", (0.0, 0.0, -0.08), (0.0, 0.0, 0.0), 0.05),
    ("shoulder_yaw", (0.0, 0.0, -0.08), (0.0, 0.0, 0.05), 0.035),
    ("elbow", (-0.01, 0.0, -0.01), (0.08, 0.0, -0.01), 0.035),
    ("wrist_pitch", (-0.01, 0.0, 0.0), (0.06, 0.0, 0.0), 0.035),
    ("wrist_yaw", (0.07, 0.0, 0.0), (0.15, 0.0, 0.0), 0.05),
)


def _capsule_table() -> np.ndarray:
    """(C, 8): motor of the link (-1: pelvis), ends of the axis, radius."""
    rows = []
    for joint, low, high, radius in _CAPSULES:
        central = joint == "" or joint.startswith("waist")
        for side, mirror in (("", 1.0),) if central else (("left_", 1.0), ("right_", -1.0)):
            motor = g1.motor_index(f"{side}{joint}_joint") if joint else -1
            turned = [(x, mirror * y, z) for x, y, z in (low, high)]
            rows.append([motor, *turned[0], *turned[1], radius])
    return np.array(rows)


_TREE = (JOINT_PARENT, JOINT_OFFSET, JOINT_LEAN_WXYZ, JOINT_AXIS)
_CAPSULE = _capsule_table()
_TORSO = g1.motor_index("waist_pitch_joint")
_FEET = np.array([g1.motor_index(f"{side}_ankle_roll_joint") for side in ("left", "right")])
_SOLE = g1.SOLE_CENTER
_SOLE_ENDS = np.array([[x, 0.0, -g1.SOLE_HEIGHT_M] for x in (g1.SOLE_POINTS[:, 0].min(), g1.SOLE_POINTS[:, 0].max())])


def link_poses(joint_pos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions (29, 3) [m] and rotation matrices (29, 3, 3) in the pelvis of the links that the motors move."""
    return _forward(np.asarray(joint_pos, dtype=np.float64), *_TREE)


def torso_in_pelvis(joint_pos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position (3,) [m] and quaternion (4,) of the torso link in the pelvis, for motor angles (29,) [rad]."""
    pos, turn = link_poses(joint_pos)
    return pos[_TORSO], frames.quat_from_matrix(turn[_TORSO])


def soles_in_pelvis(joint_pos: np.ndarray) -> np.ndarray:
    """Middles (2, 3) [m] of the left and the right sole in the pelvis, for motor angles (29,) [rad]."""
    pos, turn = link_poses(joint_pos)
    return pos[_FEET] + turn[_FEET] @ _SOLE


def soles_in_torso(joint_pos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middles (2, 3) [m] and upward normals (2, 3) of both soles in the torso link."""
    pos, turn = link_poses(joint_pos)
    soles = pos[_FEET] + turn[_FEET] @ _SOLE
    return (soles - pos[_TORSO]) @ turn[_TORSO], turn[_FEET][:, :, 2] @ turn[_TORSO]


def sole_ends_in_torso(joint_pos: np.ndarray) -> np.ndarray:
    """Heels and toes (2 feet, 2 ends, 3) [m] of both soles in the torso link: a foot that rolls stands on one."""
    pos, turn = link_poses(joint_pos)
    ends = pos[_FEET][:, None] + _SOLE_ENDS @ turn[_FEET].transpose(0, 2, 1)
    return (ends - pos[_TORSO]) @ turn[_TORSO]


def capsules_in_torso(joint_pos: np.ndarray) -> np.ndarray:
    """(C, 7) around the body in the torso link: both ends of the axis (3) [m] and the radius."""
    pos, turn = link_poses(joint_pos)
    out = np.empty((len(_CAPSULE), 7))
    _place_capsules(pos, turn, _CAPSULE, _TORSO, out)
    return out


@numba.njit(cache=True, nogil=True)
def _forward(joint_pos, parent, offset, lean, axis):
    pos, turn = np.zeros((len(parent), 3)), np.zeros((len(parent), 3, 3))
    for i in range(len(parent)):
        own = _quat_matrix(lean[i]) @ _axis_matrix(axis[i], joint_pos[i])
        if parent[i] < 0:
            pos[i], turn[i] = offset[i], own
        else:
            pos[i] = pos[parent[i]] + turn[parent[i]] @ offset[i]
            turn[i] = turn[parent[i]] @ own
    return pos, turn


@numba.njit(cache=True, nogil=True)
def _place_capsules(pos, turn, table, torso, out):
    for i in range(len(table)):
        link = int(table[i, 0])
        for end in range(2):
            point = table[i, 1 + 3 * end : 4 + 3 * end].copy()
            if link >= 0:
                point = pos[link] + turn[link] @ point
            out[i, 3 * end : 3 * end + 3] = turn[torso].T @ (point - pos[torso])
        out[i, 6] = table[i, 7]


@numba.njit(cache=True, nogil=True)
def _axis_matrix(axis, angle):
    c, s = np.cos(angle), np.sin(angle)
    if axis == 0:
        return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
    if axis == 1:
        return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


@numba.njit(cache=True, nogil=True)
def _quat_matrix(q):
    w, x, y, z = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
