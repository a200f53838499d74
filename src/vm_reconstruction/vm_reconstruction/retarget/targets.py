"""What the G1's bodies should do: the person's bone directions on the robot's bone lengths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from vm_core.frames import quat_rotate
from vm_core.scene_asset import SceneAsset
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.retarget.feet import FootPath, foot_path, long_runs, runs

HIP_CENTER_IN_PELVIS = np.array([0.0, 0.0, -0.1027])
SHOULDER_IN_TORSO = np.array([0.004, 0.138, 0.234])  # left; the right one is mirrored
THIGH_M, UPPER_ARM_M, FOREARM_M = 0.334, 0.187, 0.20
SMOOTHING_S = 0.05
HAND_POINT = np.array([0.08, 0.0, 0.0])  # the knuckles, in the wrist yaw link
KNUCKLES = 0.052  # of the stature, from the wrist on along the forearm
HAND_TOUCH_M, HAND_STILL_M_S, HAND_TOUCH_S = 0.06, 0.15, 0.15  # hands that lean on something; at human size
PALM_M = 0.035  # the robot's knuckles over what its hand lies on
SEAT_REACH_M = 0.15  # hips farther than this from their height over a box do not sit on it
SEAT_CLEARANCE_M = 0.105  # G1's hip axis above a surface that it sits on: half a thigh and its cover


@dataclass
class BodyTargets:
    """Targets over T frames, world frame [m], wxyz.

    hands: side -> knuckles (T, 3); hand_touching: side -> (T,) 0..1, they lean on a surface.
    """

    pelvis_pos: np.ndarray
    pelvis_quat: np.ndarray
    torso_quat: np.ndarray
    feet: dict[str, FootPath]
    points: dict[str, np.ndarray]
    hands: dict[str, np.ndarray]
    hand_touching: dict[str, np.ndarray]


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
    points, hands, touching = {}, {}, {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        hip = pelvis + quat_rotate(pelvis_quat, np.broadcast_to([0.0, sign * 0.116, -0.11], hips.shape))
        points[f"{side}_knee_link"] = hip + THIGH_M * _direction(motion, f"{side}_hip", f"{side}_knee")
        shoulder = pelvis + quat_rotate(
            torso_quat, np.broadcast_to(SHOULDER_IN_TORSO * [1, sign, 1] + [0, 0, 0.044], hips.shape)
        )
        elbow = shoulder + UPPER_ARM_M * _direction(motion, f"{side}_shoulder", f"{side}_elbow")
        points[f"{side}_elbow_link"] = elbow
        points[f"{side}_wrist_yaw_link"] = elbow + FOREARM_M * _direction(motion, f"{side}_elbow", f"{side}_wrist")
        hands[side], touching[side] = _hand(motion, side, scale, leg_scale, hips)
        touching[side] = _rest_hand(hands[side], touching[side], scene, sigma)
    return BodyTargets(pelvis, pelvis_quat, torso_quat, feet, points, hands, touching)


def _hand(
    motion: HumanMotion, side: str, scale: float, leg_scale: float, hips: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Knuckles (T, 3) of the scaled person, and where they lie still (T,) bool."""
    wrist = motion.joint(f"{side}_wrist")
    forearm = wrist - motion.joint(f"{side}_elbow")
    forearm /= np.maximum(np.linalg.norm(forearm, axis=-1, keepdims=True), 1e-6)
    knuckles = gaussian_filter1d(wrist + KNUCKLES * motion.height_m * forearm, SMOOTHING_S * motion.fps, axis=0)
    if scale == leg_scale:
        return scale * knuckles, lies_still(motion, side, knuckles)
    human_hips = 0.5 * (motion.joint("left_hip") + motion.joint("right_hip"))
    return hips + leg_scale * (knuckles - human_hips), np.zeros(len(wrist), dtype=bool)


def lies_still(motion: HumanMotion, side: str, knuckles: np.ndarray) -> np.ndarray:
    """(T,) bool: the hand rests, as the motion tells, or lies still if it does not tell of hands."""
    if f"{side}_hand" in motion.contact_names:
        return motion.contact[:, motion.contact_names.index(f"{side}_hand")] > 0.5
    return np.linalg.norm(np.gradient(knuckles, 1 / motion.fps, axis=0), axis=-1) < HAND_STILL_M_S


def _rest_hand(hand: np.ndarray, still: np.ndarray, scene: SceneAsset, sigma: float) -> np.ndarray:
    """Hands that lie still near the top of a box are brought onto it; how firmly (T,) 0..1 they lie there."""
    top = scene.height_at(hand[:, :2])
    near = still & (np.abs(hand[:, 2] - top) < HAND_TOUCH_M) & (top > scene.ground[2] + HAND_TOUCH_M)
    firm = gaussian_filter1d(long_runs(near, HAND_TOUCH_S * sigma / SMOOTHING_S).astype(float), sigma)
    hand[:, 2] += firm * (top + PALM_M - hand[:, 2])
    return firm


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
    contact = motion.contact[:, motion.contact_names.index("seat")] > 0.5
    height, weight = hips[:, 2].copy(), np.zeros(len(hips))
    for start, end in runs(contact):
        top = _seat_top(np.median(hips[start:end], axis=0), scene)
        if top is None:
            continue
        sitting = np.zeros(len(hips))
        sitting[start:end] = np.abs(hips[start:end, 2] - top - SEAT_CLEARANCE_M) < SEAT_REACH_M
        near = np.clip(gaussian_filter1d(sitting, 4 * sigma) * 2.0, 0.0, 1.0)
        wanted = np.where(sitting > 0.0, top + SEAT_CLEARANCE_M, np.maximum(hips[:, 2], top + SEAT_CLEARANCE_M))
        height, weight = np.where(near > weight, wanted, height), np.maximum(weight, near)
    hips[:, 2] += gaussian_filter1d(weight * (height - hips[:, 2]), 2 * sigma)


def _seat_top(hips: np.ndarray, scene: SceneAsset) -> float | None:
    """Height of the box's top that hips (3,) sit on; None when none is near."""
    best, top = SEAT_REACH_M, None
    for box in scene.boxes:
        c, s = np.cos(box.yaw), np.sin(box.yaw)
        off = np.array([[c, s], [-s, c]]) @ (hips[:2] - np.array(box.center_world[:2]))
        beside = np.linalg.norm(np.maximum(np.abs(off) - np.array(box.half_size[:2]), 0.0))
        away = float(beside + abs(hips[2] - box.top - SEAT_CLEARANCE_M))
        if away < best:
            best, top = away, box.top
    return top
