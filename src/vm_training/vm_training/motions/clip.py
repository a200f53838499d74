"""A planned motion as a clip, with the PD targets that produce it."""

from __future__ import annotations

import numpy as np

from vm_core import g1
from vm_core.motion_clip import MotionClip
from vm_sim.g1_model import joint_addresses
from vm_training.motions.reference import Reference
from vm_training.motions.whole_body import reference_model

JOINTS = g1.POLICY_JOINT_NAMES
MOTORS = [g1.motor_index(name) for name in JOINTS]
KP, KD = g1.MJLAB_KP[MOTORS], g1.MJLAB_KD[MOTORS]


def reference_clip(reference: Reference, source: str) -> MotionClip:
    """The clip of a reference: 23 joints, root, foot contacts and feed-forward targets.

    A PD actuator kp (target - q) - kd qd makes the torque tau at target = q + (kd qd + tau) / kp. A target is held for
    one frame, so each is the mean of this frame's and the next one's.
    """
    motion, model = reference.motion, reference_model()
    qpos_at, qvel_at = joint_addresses(model, JOINTS)
    joints, speed, torque = motion.qpos[:, qpos_at], motion.qvel[:, qvel_at], motion.torque[:, qvel_at - 6]
    target = joints + (KD * speed + torque) / KP
    held = 0.5 * (target + np.concatenate([target[1:], target[-1:]]))
    planted = np.stack([reference.feet.planted[side] for side in ("left", "right")], axis=1)
    return MotionClip(
        fps=1.0 / reference.dt_s,
        joint_names=JOINTS,
        joint_pos=joints,
        root_pos_world=motion.qpos[:, :3],
        root_quat_wxyz=motion.qpos[:, 3:7],
        contact_names=("left_foot", "right_foot"),
        contact=planted.astype(float),
        source=source,
        joint_target=held,
    )
