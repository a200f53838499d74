"""What the robot did in a demo, in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vm_core.scene_asset import SEAT, SceneAsset
from vm_policy_node.onnx_policy import OnnxPolicy

_LEAST_PELVIS_HEIGHT_M = 0.45
_STANDING_PELVIS_HEIGHT_M = 0.65
_SEATED_PELVIS_HEIGHT_M = 0.25
"""Of a pelvis above the seat that its hips rest on: 0.13 to 0.17."""
_TOP_TOLERANCE_M = 0.03


def result_line(policy: Path, scene: SceneAsset, record: Path, pelvis: np.ndarray | None) -> tuple[str, bool]:
    """What happened, and whether it is what the policy is for.

    Args:
        policy: whose clip says whether it sits.
        scene: where.
        record: the simulated robot's log.
        pelvis: (3,) [m] by the odometry at the end, if any came.
    """
    clip = OnnxPolicy.load(policy).clip
    if clip is None or SEAT not in clip.contact_names:
        return top_line(scene, pelvis)
    with np.load(record, allow_pickle=False) as log:  # as vm-sim --record writes it
        return seat_line(scene, log["time_s"], log["qpos"][:, :3])


def top_line(scene: SceneAsset, pelvis: np.ndarray | None) -> tuple[str, bool]:
    """Where the robot ended, in words, and whether it stands on the highest surface of the scene."""
    if pelvis is None:
        return "result:  no odometry came", False
    height = float(scene.height_at(pelvis[None, :2])[0])
    top = max((box.top for box in scene.boxes), default=float(scene.ground[2]))
    upright = pelvis[2] - height > _LEAST_PELVIS_HEIGHT_M
    reached = upright and height > top - _TOP_TOLERANCE_M
    posture = "stands" if upright else "lies"
    where = "the top is reached" if reached else f"the top, at {top:.2f} m, is NOT reached"
    return f"result:  the G1 {posture} on a surface at {height:.2f} m; {where}", bool(reached)


def seat_line(scene: SceneAsset, time_s: np.ndarray, pelvis: np.ndarray) -> tuple[str, bool]:
    """For how long the pelvis (T, 3) [m] was on a seat, in words, and whether it was and stands in the end."""
    seated = np.zeros(len(pelvis), dtype=bool)
    for box in scene.boxes:
        if box.label == SEAT:
            low = pelvis[:, 2] - box.top
            seated |= box.contains_xy(pelvis[:, :2]) & (low > 0.0) & (low < _SEATED_PELVIS_HEIGHT_M)
    seated_s = float(np.gradient(time_s)[seated].sum())
    ground = float(scene.ground_height_at(pelvis[-1:, :2])[0])
    stands = bool(pelvis[-1, 2] - ground > _STANDING_PELVIS_HEIGHT_M)
    end = "stands again" if stands else "does NOT stand in the end"
    did = f"sat for {seated_s:.1f} s" if seated_s > 0.5 else "did NOT sit"
    return f"result:  the G1 {did} and {end}", seated_s > 0.5 and stands
