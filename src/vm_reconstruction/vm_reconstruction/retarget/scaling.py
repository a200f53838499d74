"""How much smaller the G1 is than a person, and the motion and scene at its size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vm_core.scene_asset import SceneAsset
from vm_reconstruction.human_motion import HumanMotion

# Hip axis to sole of the G1 with nearly straight knees: 0.685 m by the link offsets, less a bend that leaves the knees
# room to work (2 % of the leg is 23 degrees of knee flexion).
ROBOT_HIP_TO_SOLE_M = 0.665


def hip_to_sole(motion: HumanMotion) -> float:
    """The person's leg from hip axis to sole [m]: median bone lengths, ankle height over the line heel–toe."""
    lengths = []
    for side in ("left", "right"):
        hip, knee, ankle, toe, heel = (motion.joint(f"{side}_{n}") for n in ("hip", "knee", "ankle", "toe", "heel"))
        along = (toe - heel) / np.linalg.norm(toe - heel, axis=-1, keepdims=True)
        lift = (ankle - heel) - along * np.sum((ankle - heel) * along, axis=-1, keepdims=True)
        bones = [np.linalg.norm(v, axis=-1) for v in (hip - knee, knee - ankle, lift)]
        lengths.append(float(np.median(np.sum(bones, axis=0))))
    return float(np.mean(lengths))


def robot_scale(motion: HumanMotion) -> float:
    """Robot size divided by human size, by leg length."""
    return ROBOT_HIP_TO_SOLE_M / hip_to_sole(motion)


def scale_scene(scene: SceneAsset, factor: float) -> SceneAsset:
    """The scene with all lengths multiplied."""
    boxes = tuple(
        replace(
            box,
            center_world=tuple(factor * v for v in box.center_world),
            half_size=tuple(factor * v for v in box.half_size),
            height_std_m=factor * box.height_std_m,
        )
        for box in scene.boxes
    )
    a, b, c = scene.ground
    return replace(
        scene,
        boxes=boxes,
        ground=(a, b, factor * c),
        ground_std_m=factor * scene.ground_std_m,
        scale=scene.scale * factor,
    )
