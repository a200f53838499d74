"""The G1's state in the words of viewers: link frames from joint angles, a cloud from a scan. Plain arrays, no ROS."""

from __future__ import annotations

import numpy as np

from vm_core import frames, g1
from vm_core.g1_kinematics import JOINT_AXIS, JOINT_LEAN_WXYZ, JOINT_PARENT
from vm_core.livox_cdr import LivoxScan


def _link(motor: int) -> str:
    name = g1.MOTOR_NAMES[motor].removesuffix("_joint")
    return g1.TORSO_BODY if name == "waist_pitch" else f"{name}_link"


LINK_NAMES: tuple[str, ...] = tuple(_link(motor) for motor in range(g1.NUM_MOTORS))
"""The link that each motor moves, in motor order."""
PARENT_NAMES: tuple[str, ...] = tuple(g1.PELVIS_BODY if p < 0 else LINK_NAMES[p] for p in JOINT_PARENT)


def link_quats(joint_pos: np.ndarray) -> np.ndarray:
    """Each link's turn in its parent link, (29, 4) wxyz; the offsets are `JOINT_OFFSET` whatever the angles.

    Args:
        joint_pos: (29,) [rad] in motor order.
    """
    turn = np.zeros((g1.NUM_MOTORS, 4))
    turn[:, 0] = np.cos(0.5 * joint_pos)
    turn[np.arange(g1.NUM_MOTORS), 1 + JOINT_AXIS] = np.sin(0.5 * joint_pos)
    return frames.quat_multiply(JOINT_LEAN_WXYZ, turn)


def cloud_xyzi(scan: LivoxScan) -> np.ndarray:
    """Points and reflectivity (N, 4) float32 [m, 0–255] in the scan's frame, without empty returns."""
    xyz = scan.xyz
    hit = np.any(xyz != 0.0, axis=1)
    return np.concatenate([xyz[hit], scan.points["reflectivity"][hit, None]], axis=1).astype(np.float32)
