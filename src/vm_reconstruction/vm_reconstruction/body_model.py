"""A skeleton whose proportions come from the person's height alone.

Heights above the ground are the fractions of stature of Drillis & Contini (1966) as printed in D. A. Winter,
Biomechanics and Motor Control of Human Movement, 4th ed., fig. 4.1: ankle 0.039, knee 0.285, hip 0.530, shoulder
0.818. Arms and breadths of that figure are taken on the outside of the body; between joint centres P. de Leva (1996),
J. Biomech. 29(9), table 4, has for men of 1.741 m: upper arm 0.2817 m, forearm 0.2689 m, foot 0.2581 m. Neither lists
the distances between the two hip and the two shoulder centres: 0.100 and 0.210 of stature are this project's choice,
near what pose models of the body use; `solver.body_problem.adapted_lengths` corrects them from the video.
"""

from __future__ import annotations

import numpy as np

from vm_core.errors import VmError
from vm_core.frames import quat_from_matrix
from vm_reconstruction.human_motion import JOINT_NAMES, joint_index

MIN_HEIGHT_M, MAX_HEIGHT_M = 0.8, 2.5
ANKLE, KNEE, HIP, SHOULDER = 0.039, 0.285, 0.530, 0.818
UPPER_ARM, FOREARM, FOOT = 0.2817 / 1.741, 0.2689 / 1.741, 0.2581 / 1.741
HALF_SHOULDERS, HALF_HIPS = 0.105, 0.050
HEAD = 0.930  # between the ears, on the level of the eyes (0.936)
HEEL_BACK = 0.25  # share of the foot that lies behind the ankle


def check_height(height_m: float) -> None:
    """Raises VmError unless the height can be a person's [m]."""
    if not (np.isfinite(height_m) and MIN_HEIGHT_M <= height_m <= MAX_HEIGHT_M):
        raise VmError(
            f"height {height_m} m: expected the person's height between {MIN_HEIGHT_M} and {MAX_HEIGHT_M} m, as 1.75"
        )


def rest_positions(height_m: float) -> np.ndarray:
    """Joints (J, 3) [m] in the rest pose: upright, arms hanging, facing +x, soles at z = 0, pelvis above the origin."""
    points = {
        "pelvis": (0.0, 0.0, HIP),
        "spine": (0.0, 0.0, HIP + (SHOULDER - HIP) / 3),
        "chest": (0.0, 0.0, HIP + 2 * (SHOULDER - HIP) / 3),
        "neck": (0.0, 0.0, SHOULDER),
        "head": (0.0, 0.0, HEAD),
    }
    for side, sign in (("left", 1.0), ("right", -1.0)):
        hip_y, shoulder_y = sign * HALF_HIPS, sign * HALF_SHOULDERS
        points |= {
            f"{side}_hip": (0.0, hip_y, HIP),
            f"{side}_knee": (0.0, hip_y, KNEE),
            f"{side}_ankle": (0.0, hip_y, ANKLE),
            f"{side}_heel": (-HEEL_BACK * FOOT, hip_y, 0.0),
            f"{side}_toe": ((1 - HEEL_BACK) * FOOT, hip_y, 0.0),
            f"{side}_shoulder": (0.0, shoulder_y, SHOULDER),
            f"{side}_elbow": (0.0, shoulder_y, SHOULDER - UPPER_ARM),
            f"{side}_wrist": (0.0, shoulder_y, SHOULDER - UPPER_ARM - FOREARM),
        }
    return height_m * np.array([points[name] for name in JOINT_NAMES])


def segment_quats(joint_pos: np.ndarray) -> np.ndarray:
    """Orientations (T, J, 4) wxyz of the segments that start at each joint, from joint positions (T, J, 3) [m, world].

    Identity in the rest pose. Turn about a limb's own axis is not seen by points; it is taken from the plane that hip,
    knee and ankle (shoulder, elbow, wrist) span, or from the pelvis (chest) where the limb is nearly straight.
    """
    p = {name: joint_pos[:, joint_index(name)] for name in JOINT_NAMES}
    left_pelvis, left_chest = p["left_hip"] - p["right_hip"], p["left_shoulder"] - p["right_shoulder"]
    frames: dict[str, np.ndarray] = {"pelvis": _up_left(p["neck"] - p["pelvis"], left_pelvis)}
    trunk = _up_left(p["neck"] - p["pelvis"], left_pelvis + left_chest)
    chest = _up_left(p["neck"] - p["pelvis"], left_chest)
    frames |= {"spine": trunk, "chest": chest, "neck": _up_left(p["head"] - p["neck"], left_chest)}
    frames["head"] = frames["neck"]
    for side in ("left", "right"):
        thigh, shank = p[f"{side}_hip"] - p[f"{side}_knee"], p[f"{side}_knee"] - p[f"{side}_ankle"]
        left_leg = _hinge_left(thigh, shank, frames["pelvis"][..., 1])
        frames[f"{side}_hip"], frames[f"{side}_knee"] = _up_left(thigh, left_leg), _up_left(shank, left_leg)
        foot = _forward_left(p[f"{side}_toe"] - p[f"{side}_heel"], left_leg)
        frames |= {f"{side}_{part}": foot for part in ("ankle", "toe", "heel")}
        upper, fore = p[f"{side}_shoulder"] - p[f"{side}_elbow"], p[f"{side}_elbow"] - p[f"{side}_wrist"]
        left_arm = _hinge_left(fore, upper, chest[..., 1])
        frames[f"{side}_shoulder"], frames[f"{side}_elbow"] = _up_left(upper, left_arm), _up_left(fore, left_arm)
        frames[f"{side}_wrist"] = frames[f"{side}_elbow"]
    return quat_from_matrix(np.stack([frames[name] for name in JOINT_NAMES], axis=1))


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


def _up_left(up: np.ndarray, left: np.ndarray) -> np.ndarray:
    z = _unit(up)
    x = _unit(np.cross(left, z))
    return np.stack([x, np.cross(z, x), z], axis=-1)


def _forward_left(forward: np.ndarray, left: np.ndarray) -> np.ndarray:
    x = _unit(forward)
    z = _unit(np.cross(x, left))
    return np.stack([x, np.cross(z, x), z], axis=-1)


def _hinge_left(upper: np.ndarray, lower: np.ndarray, fallback_left: np.ndarray) -> np.ndarray:
    """The hinge's axis, pointing left: knees bend so that upper x lower points left; trusted as the bend grows."""
    axis = np.cross(_unit(upper), _unit(lower))
    bend = np.linalg.norm(axis, axis=-1, keepdims=True)
    weight = np.clip((bend - 0.2) / 0.4, 0.0, 1.0)
    toward_left = axis * np.sign(np.sum(axis * fallback_left, axis=-1, keepdims=True) + 1e-12)
    return weight * _unit(toward_left) + (1.0 - weight) * fallback_left
