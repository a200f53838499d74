"""Where the simulated robot starts: a stand, or the first frame of a clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vm_core import g1
from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip

STAND = "stand"


def start_qpos(start: str) -> np.ndarray | None:
    """qpos (36,) of the start, or None for the stand at the scene's origin.

    Args:
        start: "stand", or the path of a clip (.npz).

    Raises:
        VmError: neither, or a clip with joints that the G1 does not have.
    """
    if start in ("", STAND):
        return None
    if not Path(start).is_file():
        raise VmError(f"start {start!r}: expected {STAND!r} or a clip file (.npz)")
    return clip_qpos(MotionClip.load(start))[0]


def clip_qpos(clip: MotionClip) -> np.ndarray:
    """All frames of a clip as qpos (T, 36); joints that the clip does not name stand at their default."""
    unknown = [name for name in clip.joint_names if name not in g1.MOTOR_NAMES]
    if unknown:
        raise VmError(f"clip has joints that the G1 lacks: {', '.join(unknown)}; joints: {', '.join(g1.MOTOR_NAMES)}")
    joints = np.tile(g1.DEFAULT_STAND_POSE, (clip.num_frames, 1))
    joints[:, [g1.motor_index(name) for name in clip.joint_names]] = clip.joint_pos
    return np.concatenate([clip.root_pos_world, clip.root_quat_wxyz, joints], axis=1)
