"""A clip from the motion that a network carries, in the policy's joint order."""

from __future__ import annotations

import numpy as np

from vm_core import frames, g1
from vm_core.errors import VmError
from vm_core.g1_kinematics import torso_pose
from vm_core.motion_clip import MotionClip

_WAIST = tuple(f"waist_{axis}_joint" for axis in ("yaw", "roll", "pitch"))
_MOST_APART_M, _MOST_APART_RAD = 0.01, 0.02


def clip_of_pelvis(
    fps: float, joint_names: tuple[str, ...], tables: dict[str, np.ndarray], bodies: tuple[str, ...], source: str
) -> MotionClip:
    """From `joint_pos`, `joint_vel` (T, J), `body_pos_w` (T, B, 3) [m] and `body_quat_w` (T, B, 4) wxyz.

    Raises:
        VmError: no pelvis among the bodies, shapes that differ, or a torso that is not where the waist puts it.
    """
    pos, quat = tables["body_pos_w"], tables["body_quat_w"]
    if g1.PELVIS_BODY not in bodies or pos.shape[1:] != (len(bodies), 3) or quat.shape[1:] != (len(bodies), 4):
        raise VmError(f"the motion tells of {', '.join(bodies)} in tables {pos.shape}; expected the pelvis among them")
    at = bodies.index(g1.PELVIS_BODY)
    clip = _clip(fps, joint_names, tables, pos[:, at], quat[:, at], source)
    if g1.TORSO_BODY in bodies:
        torso = bodies.index(g1.TORSO_BODY)
        _check_torso(clip, pos[:, torso], quat[:, torso])
    return clip


def clip_of_torso(fps: float, joint_names: tuple[str, ...], tables: dict[str, np.ndarray], source: str) -> MotionClip:
    """From `joint_pos`, `joint_vel` (T, J), and the torso's `ref_pos_xyz` (T, 3) [m] and `ref_quat_xyzw` (T, 4).

    Raises:
        VmError: shapes that differ, or a joint of the waist is missing.
    """
    torso_pos, torso_quat = tables["ref_pos_xyz"], frames.quat_from_xyzw(tables["ref_quat_xyzw"])
    count = len(torso_pos)
    if torso_pos.shape != (count, 3) or torso_quat.shape != (count, 4):
        raise VmError(f"the motion's torso comes as {torso_pos.shape} and {torso_quat.shape}; expected 3 and 4 numbers")
    still = np.tile([1.0, 0.0, 0.0, 0.0], (count, 1))
    own_pos, own_quat = torso_pose(np.zeros((count, 3)), still, _waist(joint_names, tables["joint_pos"]))
    pelvis_quat = frames.quat_multiply(torso_quat, frames.quat_conjugate(own_quat))
    pelvis_pos = torso_pos - frames.quat_rotate(pelvis_quat, own_pos)
    return _clip(fps, joint_names, tables, pelvis_pos, pelvis_quat, source)


def _clip(
    fps: float,
    joint_names: tuple[str, ...],
    tables: dict[str, np.ndarray],
    pos: np.ndarray,
    quat: np.ndarray,
    source: str,
) -> MotionClip:
    length = np.linalg.norm(quat, axis=-1, keepdims=True)
    if not np.all(np.abs(length - 1.0) < 0.01):
        raise VmError("the motion has quaternions that are not of length 1")
    return MotionClip(
        fps, joint_names, tables["joint_pos"], pos, quat / length, source=source, given_joint_vel=tables["joint_vel"]
    )


def _waist(joint_names: tuple[str, ...], joint_pos: np.ndarray) -> np.ndarray:
    missing = [name for name in _WAIST if name not in joint_names]
    if missing or joint_pos.shape[1:] != (len(joint_names),):
        raise VmError(f"the motion of {len(joint_names)} joints lacks {', '.join(missing) or 'columns'}")
    return joint_pos[:, [joint_names.index(name) for name in _WAIST]]


def _check_torso(clip: MotionClip, pos: np.ndarray, quat: np.ndarray) -> None:
    own_pos, own_quat = torso_pose(clip.root_pos_world, clip.root_quat_wxyz, _waist(clip.joint_names, clip.joint_pos))
    apart = float(np.abs(own_pos - pos).max())
    turned = frames.rotvec_from_quat(frames.quat_multiply(frames.quat_conjugate(own_quat), quat))
    angle = float(np.linalg.norm(turned, axis=-1).max())
    if apart > _MOST_APART_M or angle > _MOST_APART_RAD:
        raise VmError(
            f"the motion's torso is up to {apart:.3f} m and {angle:.3f} rad from where this G1's waist puts it; "
            "expected the 29-joint G1"
        )
