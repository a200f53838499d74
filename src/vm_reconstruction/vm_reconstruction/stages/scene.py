"""Stage 6: the scene that contacts prove: the ground, and a box under each place above it where feet or pelvis rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vm_core.scene_asset import SceneAsset, SceneBox
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.stages.stances import STANCE_STD_M, STEP_MIN_M, fit_ground, ground_height, intervals, stances
from vm_reconstruction.stages.steps import box, step_boxes

SEAT_DEPTH_M = 0.11  # hip joints above the seat of a sitting adult of 1.75 m (0.06 H)
SEAT_HALF_M = (0.22, 0.30)


def run(out: Path) -> SceneAsset:
    """Reads human.npz and writes the human-sized scene to stages/scene."""
    scene = scene_of(HumanMotion.load(out / "human.npz"))
    scene.save(out / "stages" / "scene")
    return scene


def scene_of(motion: HumanMotion) -> SceneAsset:
    """The scene under a motion (a person of motion.height_m, so scale 1)."""
    found = stances(motion)
    ground, ground_std, on_ground = fit_ground(found)
    boxes = [*step_boxes(found, on_ground, ground, ground_std, motion), *_seat_boxes(motion, ground)]
    return SceneAsset(
        boxes=tuple(boxes),
        ground=ground,
        ground_std_m=ground_std,
        scale=1.0,
        source="contacts of feet and seat",
        details={"stances": len(found), "stances_on_ground": int(sum(on_ground)), "height_m": motion.height_m},
    )


def _seat_boxes(motion: HumanMotion, ground: tuple[float, float, float]) -> list[SceneBox]:
    flags = motion.contact[:, motion.contact_names.index("seat")] > 0.5
    boxes: list[SceneBox] = []
    for start, end in intervals(flags):
        pelvis = np.median(motion.joint("pelvis")[start:end], axis=0)
        knees = np.median(0.5 * (motion.joint("left_knee") + motion.joint("right_knee"))[start:end], axis=0)
        heels = np.median(0.5 * (motion.joint("left_heel") + motion.joint("right_heel"))[start:end], axis=0)
        forward = (knees - pelvis)[:2] / max(float(np.linalg.norm((knees - pelvis)[:2])), 1e-9)
        top = float(pelvis[2] - SEAT_DEPTH_M * motion.height_m / 1.75)
        # The seat ends before the heels, else the legs would hang inside it.
        front = float(np.clip((heels - pelvis)[:2] @ forward - 0.05, 0.05, SEAT_HALF_M[0]))
        middle = pelvis[:2] + forward * 0.5 * (front - SEAT_HALF_M[0])
        half = (0.5 * (front + SEAT_HALF_M[0]), SEAT_HALF_M[1])
        if any(b.contains_xy(pelvis[None, :2])[0] and abs(b.top - top) < 0.15 for b in boxes):
            continue  # the same seat again
        std = float(np.hypot(np.std(motion.joint("pelvis")[start:end, 2]), STANCE_STD_M))
        if top - ground_height(ground, middle) > STEP_MIN_M:
            boxes.append(box(middle, top, half, forward, ground, "seat", std))
    return boxes
