"""What the G1's bodies should do: the person's bone directions on the robot's bone lengths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from vm_core.frames import quat_rotate
from vm_core.scene_asset import SceneAsset
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.retarget.feet import FootPath, foot_path

HIP_CENTER_IN_PELVIS = np.array([0.0, 0.0, -0.1027])
SHOULDER_IN_TORSO = np.array([0.004, 0.138, 0.234])  # left; the right one is mirrored
THIGH_M, UPPER_ARM_M, FOREARM_M = 0.334, 0.187, 0.20
SMOOTHING_S = 0.05
SEAT_CLEARANCE_M = 0.105  # G1's hip axis above a surface that it sits on: half a thigh and its cover


@dataclass
class BodyTargets:
    """Targets over T frames, world frame [m], wxyz."""

    pelvis_pos: np.ndarray
    pelvis_quat: np.ndarray
    torso_quat: np.ndarray
    feet: dict[str, FootPath]
    points: dict[str, np.ndarray]


def body_targets(motion: HumanMotion, scale: float, scene: SceneAsset, leg_scale: float) -> BodyTargets:
    """Targets of pelvis, torso, feet, knees, elbows and wrists.

    Args:
        motion: the person.
        scale: factor on world positions (1 keeps the human's scene).
        scene: at that scale.
        leg_scale: robot leg divided by human leg; the pelvis height above its support follows it.
    """
    feet = {side: foot_path(motion, side, scale, scene) for side in ("left", "right")}
    sigma = SMOOTHING_S * motion.fps
    hips = gaussian_filter1d(0.5 * (motion.joint("left_hip") + motion.joint("right_hip")) * scale, sigma, axis=0)
    if scale != leg_scale:
        support = np.minimum(feet["left"].pos_world[:, 2], feet["right"].pos_world[:, 2])
        support = gaussian_filter1d(support, sigma)
        hips[:, 2] = support + (hips[:, 2] - support) * leg_scale / scale
    pelvis_quat = _smooth_quat(motion, "pelvis", sigma)
    torso_quat = _smooth_quat(motion, "chest", sigma)
    _sit(hips, motion, scene, sigma)
    pelvis = hips - quat_rotate(pelvis_quat, np.broadcast_to(HIP_CENTER_IN_PELVIS, hips.shape))
    points = {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        hip = pelvis + quat_rotate(pelvis_quat, np.broadcast_to([0.0, sign * 0.116, -0.11], hips.shape))
        points[f"{side}_knee_link"] = hip + THIGH_M * _direction(motion, f"{side}_hip", f"{side}_knee")
        shoulder = pelvis + quat_rotate(
            torso_quat, np.broadcast_to(SHOULDER_IN_TORSO * [1, sign, 1] + [0, 0, 0.044], hips.shape)
        )
        elbow = shoulder + UPPER_ARM_M * _direction(motion, f"{side}_shoulder", f"{side}_elbow")
        points[f"{side}_elbow_link"] = elbow
        points[f"{side}_wrist_yaw_link"] = elbow + FOREARM_M * _direction(motion, f"{side}_elbow", f"{side}_wrist")
    return BodyTargets(pelvis, pelvis_quat, torso_quat, feet, points)


def _direction(motion: HumanMotion, start: str, end: str) -> np.ndarray:
    vector = gaussian_filter1d(motion.joint(end) - motion.joint(start), SMOOTHING_S * motion.fps, axis=0)
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-6)


def _smooth_quat(motion: HumanMotion, joint: str, sigma: float) -> np.ndarray:
    q = motion.joint_quat_wxyz_world[:, motion.joint_names.index(joint)].copy()
    signs = np.where(np.sum(q[1:] * q[:-1], axis=-1) < 0, -1.0, 1.0)
    q[1:] *= np.cumprod(signs)[:, None]
    q = gaussian_filter1d(q, sigma, axis=0)
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def _sit(hips: np.ndarray, motion: HumanMotion, scene: SceneAsset, sigma: float) -> None:
    """Brings the hip axis to the robot's sitting height while the person sits; fades with the contact."""
    seats = [box for box in scene.boxes if box.label.startswith("seat")]
    contact = motion.contact[:, motion.contact_names.index("seat")] > 0.5
    if not seats or not contact.any():
        return
    top = min(seats, key=lambda b: np.linalg.norm(np.array(b.center_world[:2]) - hips[contact, :2].mean(0))).top
    weight = np.clip(gaussian_filter1d(contact.astype(float), 4 * sigma) * 2.0, 0.0, 1.0)
    sitting = np.where(contact, top + SEAT_CLEARANCE_M, np.maximum(hips[:, 2], top + SEAT_CLEARANCE_M))
    hips[:, 2] += weight * (sitting - hips[:, 2])
