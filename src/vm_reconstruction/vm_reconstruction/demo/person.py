"""The demo's person, frame by frame: joint positions and segment rotations along the planned footsteps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from vm_reconstruction import body_model, human_motion
from vm_reconstruction.demo.footsteps import plan_footsteps
from vm_reconstruction.demo.walking_motion import (
    LEG_REACH,
    STAND_REACH,
    FootPath,
    Skeleton,
    carry_pelvis,
    foot_path,
    knees,
    pelvis_target,
)  # fmt: skip

SIDES = ("left", "right")


@dataclass(frozen=True)
class PersonMotion:
    """Joint positions by name (T, 3) [m, world], segment rotations by name (T, 3, 3), contact (T, 2 or 3):
    left foot, right foot, seat."""

    fps: float
    joints: dict[str, np.ndarray]
    rotations: dict[str, np.ndarray]
    contact: np.ndarray


def about(axis: int, angle: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) about a coordinate axis by angles (T,) [rad]."""
    c, s = np.cos(angle), np.sin(angle)
    out = np.zeros((len(angle), 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out[:, axis, axis] = 1.0
    out[:, i, i], out[:, j, j], out[:, i, j], out[:, j, i] = c, c, -s, s
    return out


def turned(rotation: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Vectors (T, 3) turned by rotations (T, 3, 3); a single vector (3,) is turned by each."""
    return (
        np.einsum("tij,...j->ti", rotation, vector) if vector.ndim == 1 else np.einsum("tij,tj->ti", rotation, vector)
    )


def limb_frame(along: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Orthonormal frames (..., 3, 3) with first axis `along` and second axis near `left`."""
    a = along / np.linalg.norm(along, axis=-1, keepdims=True)
    up = np.cross(a, left)
    up /= np.linalg.norm(up, axis=-1, keepdims=True)
    return np.stack([a, np.cross(up, a), up], axis=-1)


def shortest_arc(rest: np.ndarray, posed: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) that bring direction rest (3,) onto posed (T, 3) without twist; opposite ones stay finite."""
    a = rest / np.linalg.norm(rest)
    b = posed / np.linalg.norm(posed, axis=1, keepdims=True)
    v, c = np.cross(a, b), b @ a
    k = np.zeros((len(b), 3, 3))
    k[:, 0, 1], k[:, 0, 2], k[:, 1, 2] = -v[:, 2], v[:, 1], -v[:, 0]
    k -= np.swapaxes(k, 1, 2)
    return np.eye(3) + k + k @ k / np.maximum(1.0 + c, 1e-6)[:, None, None]


def _trunk(feet: list[FootPath], target: np.ndarray, fps: float) -> dict[str, np.ndarray]:
    """Rotations of pelvis, spine, chest, neck, head from the stride and the climb."""
    stride = gaussian_filter1d(feet[1].ground[:, 0] - feet[0].ground[:, 0], 0.06 * fps)
    climb = gaussian_filter1d(np.gradient(target[:, 2]) * fps, 0.25 * fps)
    speed = gaussian_filter1d(np.gradient(target[:, 0]) * fps, 0.25 * fps)
    load = gaussian_filter1d(feet[0].contact - feet[1].contact, 0.10 * fps)
    lean = 0.03 + 0.03 * speed + 0.45 * climb
    turn = 0.14 * np.clip(stride, -0.6, 0.6)
    pelvis = about(2, turn) @ about(1, 0.6 * lean) @ about(0, 0.03 * load)
    chest = about(2, -0.8 * turn) @ about(1, 1.2 * lean) @ about(0, -0.015 * load)
    spine = about(2, 0.1 * turn) @ about(1, 0.9 * lean)
    nod = about(1, 0.10 + 0.6 * lean + 0.10 * (climb > 0.02) * np.clip(climb / 0.1, 0, 1))
    return {"pelvis": pelvis, "spine": spine, "chest": chest, "neck": about(1, 0.6 * lean), "head": nod}


def place_trunk(pelvis_pos: np.ndarray, rotations: dict[str, np.ndarray], body: Skeleton) -> dict[str, np.ndarray]:
    """Joints (T, 3) from the pelvis up to the head, the hips and the shoulders [m, world]."""
    joints = {"pelvis": pelvis_pos}
    for joint, parent in (("spine", "pelvis"), ("chest", "spine"), ("neck", "chest"), ("head", "neck")):
        joints[joint] = joints[parent] + turned(rotations[parent], body.offset(joint, parent))
    for side in SIDES:
        joints[f"{side}_hip"] = pelvis_pos + turned(rotations["pelvis"], body.offset(f"{side}_hip", "pelvis"))
        joints[f"{side}_shoulder"] = joints["chest"] + turned(
            rotations["chest"], body.offset(f"{side}_shoulder", "chest")
        )
    return joints


def _foot(side: str, path: FootPath, body: Skeleton, joints: dict, rotations: dict) -> None:
    """Foot turned about the ball of its sole; toes stay flat while the heel rises."""
    ankle_rest = body.joints[f"{side}_ankle"]
    ball_rest = body.joints[f"{side}_ball"] * [1, 0, 0] + ankle_rest * [0, 1, 0]
    foot = about(1, path.pitch)
    lifted = np.clip((path.ball[:, 2] - path.ground[:, 2]) / 0.06, 0.0, 1.0)
    toes = about(1, np.where(path.pitch > 0, lifted * path.pitch, path.pitch))
    joints[f"{side}_ankle"] = path.ball + turned(foot, ankle_rest - ball_rest)
    joints[f"{side}_ball"] = path.ball + turned(foot, body.joints[f"{side}_ball"] - ball_rest)
    for part in ("heel", "toe"):
        sole = body.joints[f"{side}_{part}"] * [1, 1, 0]
        joints[f"{side}_{part}"] = path.ball + turned(toes if part == "toe" else foot, sole - ball_rest)
    rotations[f"{side}_foot"], rotations[f"{side}_toes"] = foot, toes


def pose_leg(side: str, body: Skeleton, joints: dict, rotations: dict) -> None:
    """Adds knee, thigh and shin of one side between the hip and the ankle that `joints` holds."""
    hip, ankle = joints[f"{side}_hip"], joints[f"{side}_ankle"]
    thigh, shin = body.length(f"{side}_knee", f"{side}_hip"), body.length(f"{side}_ankle", f"{side}_knee")
    forward = turned(rotations["pelvis"], np.array([1.0, 0.06 if side == "left" else -0.06, 0.0]))
    joints[f"{side}_knee"] = knees(hip, ankle, thigh, shin, forward)
    left = np.cross(np.array([0.0, 0.0, 1.0]), forward)
    for segment, top, bottom in (("thigh", "hip", "knee"), ("shin", "knee", "ankle")):
        rest = limb_frame(body.offset(f"{side}_{bottom}", f"{side}_{top}"), np.array([0.0, 1.0, 0.0]))
        posed = limb_frame(joints[f"{side}_{bottom}"] - joints[f"{side}_{top}"], left)
        rotations[f"{side}_{segment}"] = posed @ rest.T


def pose_arm(side: str, swing: np.ndarray, body: Skeleton, joints: dict, rotations: dict) -> None:
    """Adds one arm; swing (T,): angle of the upper arm ahead of the trunk [rad]."""
    out = 0.16 if side == "left" else -0.16
    bend = 0.30 + 0.5 * np.maximum(swing, 0.0)
    chest_yaw = rotations["chest"] @ about(1, np.zeros(len(swing)))
    for segment, top, bottom, angle in (
        ("upper_arm", "shoulder", "elbow", swing), ("forearm", "elbow", "wrist", swing + bend),
    ):  # fmt: skip
        direction = np.stack(
            [np.sin(angle), np.full_like(angle, out * (1.0 if segment == "upper_arm" else 0.2)), -np.cos(angle)], -1
        )
        direction = turned(chest_yaw, direction / np.linalg.norm(direction, axis=1, keepdims=True))
        rest = body.offset(f"{side}_{bottom}", f"{side}_{top}")
        rotations[f"{side}_{segment}"] = shortest_arc(rest, direction)
        joints[f"{side}_{bottom}"] = joints[f"{side}_{top}"] + direction * np.linalg.norm(rest)
    rotations[f"{side}_hand"] = rotations[f"{side}_forearm"]


def walk_and_climb(body: Skeleton, fps: float, duration_s: float) -> PersonMotion:
    """The whole motion of the demo: stand, walk a metre, climb three steps, stand on the landing."""
    time_s = np.arange(round(duration_s * fps)) / fps
    steps = plan_footsteps()
    rest_ankle = body.joints["left_ankle"]
    ball_x = body.joints["left_ball"][0] - rest_ankle[0]
    heel_x = body.joints["left_heel"][0] - rest_ankle[0]
    feet = [foot_path(side, steps, time_s, ball_x, heel_x) for side in (0, 1)]
    target = pelvis_target(feet, fps)
    rotations, joints = _trunk(feet, target, fps), {}
    for side, path in zip(SIDES, feet, strict=True):
        _foot(side, path, body, joints, rotations)
    leg = body.length("left_knee", "left_hip") + body.length("left_ankle", "left_knee")
    hips = [turned(rotations["pelvis"], body.offset(f"{side}_hip", "pelvis")) for side in SIDES]
    stand = np.array([0.015, 0.0, rest_ankle[2] + STAND_REACH * leg])
    pelvis = carry_pelvis(target + stand, hips, [joints[f"{side}_ankle"] for side in SIDES], LEG_REACH * leg, fps)
    joints |= place_trunk(pelvis, rotations, body)
    for side, path, other in zip(SIDES, feet, reversed(feet), strict=True):
        pose_leg(side, body, joints, rotations)
        reach = gaussian_filter1d(other.ground[:, 0] - path.ground[:, 0], 0.12 * fps, mode="nearest")
        pose_arm(side, 0.02 + 0.45 * reach, body, joints, rotations)
    return PersonMotion(fps, joints, rotations, np.stack([foot.contact for foot in feet], axis=1))


def as_human_motion(motion: PersonMotion, height_m: float) -> human_motion.HumanMotion:
    """The motion in the reconstruction's own terms: neck between the shoulders, spine and chest at its thirds."""
    joints = dict(motion.joints)
    joints["neck"] = 0.5 * (joints["left_shoulder"] + joints["right_shoulder"])
    for share, name in ((1 / 3, "spine"), (2 / 3, "chest")):
        joints[name] = joints["pelvis"] + share * (joints["neck"] - joints["pelvis"])
    positions = np.stack([joints[name] for name in human_motion.JOINT_NAMES], axis=1)
    missing = len(human_motion.CONTACT_NAMES) - motion.contact.shape[1]  # the demo's person never sits
    contact = np.concatenate([motion.contact, np.zeros((len(positions), missing))], axis=1)
    return human_motion.HumanMotion(
        motion.fps, height_m, positions, body_model.segment_quats(positions), contact, np.ones(len(positions)),
        details={"source": "vm-make-demo-video"},
    )  # fmt: skip
