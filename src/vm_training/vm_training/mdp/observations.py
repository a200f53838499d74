"""What a student sees: vm_core's terms over batched simulation, with the errors that sensors make."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core import g1
from vm_core.frames import quat_from_rotvec, quat_multiply
from vm_core.observation import build_terms
from vm_core.observation_terms import ObservationInputs, ReferenceFrame
from vm_core.policy_contract import ObservationTerm
from vm_training.mdp.clip_tracking import NUM_JOINTS, ClipTracking

DEFAULT_JOINT_POS = g1.DEFAULT_STAND_POSE[[g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]]
TRACKING_TERMS = (
    ObservationTerm("base_ang_vel", 3, (0.5,)),
    ObservationTerm("projected_gravity", 3, (4.0,)),
    ObservationTerm("ref_root_ori_error", 3, (10.0,), (-1.0, 1.0)),
    ObservationTerm("ref_root_pos_error", 3, (20.0,), (-0.5, 0.5)),
    ObservationTerm("ref_root_lin_vel_error", 3, (4.0,), (-2.0, 2.0)),
    ObservationTerm("ref_joint_pos_error", NUM_JOINTS, (10.0,), (-1.0, 1.0)),
    ObservationTerm("joint_vel_rel", NUM_JOINTS, (0.3,), (-20.0, 20.0)),
    ObservationTerm("ref_joint_pos_rel", NUM_JOINTS, (2.0,)),
    ObservationTerm("ref_joint_vel", NUM_JOINTS, (0.3,)),
    ObservationTerm("ref_phase", 1, (2.0,)),
)
"""Position and velocity of the pelvis come from odometry; a policy with these terms refuses to run without it."""
ANY_CLIP_TERMS = TRACKING_TERMS[:-1]
"""Of a student of many clips, among which a phase says nothing."""


@dataclass(frozen=True)
class SensorNoise:
    """Standard deviations of white noise on what a student sees.

    Attributes:
        joint_rad: encoders.
        joint_rad_s: their speeds.
        tilt_rad: gravity's direction.
        gyro_rad_s: angular velocity.
        position_m: odometry.
        linear_m_s: its velocity.
    """

    joint_rad: float = 0.003
    joint_rad_s: float = 0.1
    tilt_rad: float = 0.005
    gyro_rad_s: float = 0.05
    position_m: float = 0.003
    linear_m_s: float = 0.02


def observe(
    env: ClipTracking, noise: SensorNoise | None, terms: tuple[ObservationTerm, ...] = TRACKING_TERMS
) -> np.ndarray:
    """(N, inputs) observations of all robots, in the order of `terms`; 108 numbers of TRACKING_TERMS."""
    qpos, qvel, rng = env.physics.qpos.copy(), env.physics.qvel.copy(), env.rng
    if noise is not None:
        qpos[:, :3] += rng.normal(0.0, noise.position_m, (env.num_envs, 3))
        tilt = quat_from_rotvec(rng.normal(0.0, noise.tilt_rad, (env.num_envs, 3)))
        qpos[:, 3:7] = quat_multiply(qpos[:, 3:7], tilt)
        qpos[:, 7:] += rng.normal(0.0, noise.joint_rad, (env.num_envs, NUM_JOINTS))
        qvel[:, :3] += rng.normal(0.0, noise.linear_m_s, (env.num_envs, 3))
        qvel[:, 3:6] += rng.normal(0.0, noise.gyro_rad_s, (env.num_envs, 3))
        qvel[:, 6:] += rng.normal(0.0, noise.joint_rad_s, (env.num_envs, NUM_JOINTS))
    inputs = ObservationInputs(
        joint_pos=qpos[:, 7:],
        joint_vel=qvel[:, 6:],
        default_joint_pos=DEFAULT_JOINT_POS,
        root_quat_wxyz=qpos[:, 3:7],
        root_ang_vel_body=qvel[:, 3:6],
        last_action=np.zeros((env.num_envs, NUM_JOINTS)),
        root_pos_world=qpos[:, :3],
        root_lin_vel_world=qvel[:, :3],
        reference=reference_frame(env),
    )
    built = build_terms(terms, inputs)
    return np.concatenate([built[term.name] for term in terms], axis=1).astype(np.float32)


def reference_frame(env: ClipTracking) -> ReferenceFrame:
    """The clip's frame of each robot; at rest once the clip has ended."""
    at = env.clip_frame
    ended = (env.frame >= env.clip.num_frames)[:, None]
    qpos, qvel = env.reference_qpos[at], np.where(ended, 0.0, env.reference_qvel[at])
    return ReferenceFrame(
        joint_pos=qpos[:, 7:],
        joint_vel=qvel[:, 6:],
        root_pos_world=qpos[:, :3],
        root_quat_wxyz=qpos[:, 3:7],
        root_lin_vel_world=qvel[:, :3],
        phase=at / (env.clip.num_frames - 1),
        joint_target=env.reference_target[at],
    )
