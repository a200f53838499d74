"""Stage 5: when feet, seat and hands rest on something."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vm_core.errors import VmError
from vm_reconstruction.body_model import segment_quats
from vm_reconstruction.human_motion import CONTACT_NAMES, HAND_NAMES, HumanMotion, joint_index
from vm_reconstruction.stages.body import BodyTrack
from vm_reconstruction.stages.frames import FrameSource
from vm_reconstruction.stages.stances import intervals
from vm_reconstruction.stages.stillness import STANCE_SPEED, hysteresis, speed, stance, steady

MIN_SEAT_S = 0.3
MAX_SEAT_GAP_S = 0.5  # shifting on the seat
SEAT_SPEED = 0.25
SEAT_MAX_SHARE = 0.75  # of the legs' length between pelvis and soles: lower than any walking pelvis
THIGH_MAX_RISE = 0.55  # rise over length: a thigh within ~33 deg of level
# Without depth nobody sees what a hand is on; a hand that stays in the world while its shoulder moves is held by it.
HAND_SPEED, MIN_HAND_S = (0.12, 0.25), 0.4  # begins below the first [m/s], lasts below the second
HELD_WHILE_M = 0.15  # so far does the shoulder go meanwhile; arms that hang or lie in a lap move with it


def run(out: Path, height_m: float) -> HumanMotion:
    """Finds the contacts and writes human.npz."""
    source = FrameSource.load(out / "stages" / "frames.json")
    track = BodyTrack.load(out / "stages" / "body.npz")
    joints = track.joint_pos_world
    contact = np.column_stack([*foot_contacts(joints, source.fps), seat_contact(joints, source.fps)])
    hands = hand_contacts(joints, source.fps)
    if not contact.any():
        raise VmError("no foot and no seat ever rests on anything in this video; expected a person on the ground")
    details = {
        "focal_source": source.focal_source,
        "camera_tilt_deg": track.camera_tilt_deg.tolist(),
        "reprojection_px": float(np.mean(track.reprojection_px)),
    }
    motion = HumanMotion(
        source.fps, height_m, joints, segment_quats(joints), np.column_stack([contact, *hands]), track.confidence,
        contact_names=(*CONTACT_NAMES, *HAND_NAMES), details=details,
    )  # fmt: skip
    motion.save(out / "human.npz")
    return motion


def foot_contacts(joints: np.ndarray, fps: float) -> list[np.ndarray]:
    """(T,) 0/1 for the left and the right foot: heel or toe stands still for longer than a swing turns."""
    result = []
    for side in ("left", "right"):
        speeds = [speed(joints[:, joint_index(f"{side}_{part}")], fps) for part in ("heel", "toe")]
        result.append(stance(np.minimum(*speeds), STANCE_SPEED, fps).astype(float))
    return result


def hand_contacts(joints: np.ndarray, fps: float) -> list[np.ndarray]:
    """(T,) 0/1 for the left and the right hand: the wrist stays where it is while the shoulder goes somewhere."""
    result = []
    for side in ("left", "right"):
        wrist, shoulder = (joints[:, joint_index(f"{side}_{part}")] for part in ("wrist", "shoulder"))
        fast = speed(wrist, fps)
        still = steady(hysteresis(*(fast < limit for limit in HAND_SPEED)), MIN_HAND_S * fps)
        held = np.zeros(len(still))
        for start, end in intervals(still):
            if np.linalg.norm(np.ptp(shoulder[start:end], axis=0)) > HELD_WHILE_M:
                held[start:end] = 1.0
        result.append(held)
    return result


def seat_contact(joints: np.ndarray, fps: float) -> np.ndarray:
    """(T,) 0/1: the pelvis is low and still, and the thighs are level."""
    pelvis = joints[:, joint_index("pelvis")]
    soles = [joints[:, joint_index(f"{side}_{part}"), 2] for side in ("left", "right") for part in ("heel", "toe")]
    leg, rises = 0.0, []
    for side in ("left", "right"):
        hip, knee, ankle = (joints[:, joint_index(f"{side}_{part}")] for part in ("hip", "knee", "ankle"))
        thigh = np.linalg.norm(hip - knee, axis=-1)
        leg += 0.5 * float(np.median(thigh + np.linalg.norm(knee - ankle, axis=-1)))
        rises.append((hip - knee)[:, 2] / np.maximum(thigh, 1e-6))
    low = pelvis[:, 2] - np.median(soles, axis=0) < SEAT_MAX_SHARE * leg
    level = np.mean(rises, axis=0) < THIGH_MAX_RISE
    return steady(low & level & (speed(pelvis, fps) < SEAT_SPEED), MIN_SEAT_S * fps, MAX_SEAT_GAP_S * fps).astype(float)
