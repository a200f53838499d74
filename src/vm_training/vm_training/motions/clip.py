"""A planned motion as a clip, with the PD targets that produce it."""

from __future__ import annotations

import numpy as np

from vm_core import g1
from vm_core.motion_clip import MotionClip
from vm_sim.g1_model import joint_addresses
from vm_training.motions.reference import Reference
from vm_training.motions.whole_body import WholeBodyMotion, reference_model

JOINTS = g1.POLICY_JOINT_NAMES
MOTORS = [g1.motor_index(name) for name in JOINTS]
KP, KD = g1.MJLAB_KP[MOTORS], g1.MJLAB_KD[MOTORS]


def reference_clip(reference: Reference, source: str) -> MotionClip:
    """The clip of a reference."""
    contact = {f"{side}_foot": reference.feet.planted[side] for side in ("left", "right")}
    return motion_clip(reference.motion, contact, reference.dt_s, source)


def motion_clip(motion: WholeBodyMotion, contact: dict[str, np.ndarray], dt_s: float, source: str) -> MotionClip:
    """The clip of a motion over T frames: 23 joints, root, contacts (T,) by name, and feed-forward targets.

    A PD actuator kp (target - q) - kd qd makes the torque tau at target = q + (kd qd + tau) / kp. A target is held for
    one frame, so each is the mean of this frame's and the next one's.
    """
    model = reference_model()
    qpos_at, qvel_at = joint_addresses(model, JOINTS)
    joints, speed, torque = motion.qpos[:, qpos_at], motion.qvel[:, qvel_at], motion.torque[:, qvel_at - 6]
    target = joints + (KD * speed + torque) / KP
    held = 0.5 * (target + np.concatenate([target[1:], target[-1:]]))
    return MotionClip(
        fps=1.0 / dt_s,
        joint_names=JOINTS,
        joint_pos=joints,
        root_pos_world=motion.qpos[:, :3],
        root_quat_wxyz=motion.qpos[:, 3:7],
        contact_names=tuple(contact),
        contact=np.stack(list(contact.values()), axis=1).astype(float),
        source=source,
        joint_target=held,
    )
