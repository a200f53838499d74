"""How fast the pelvis goes, by the legs alone: over the foot that bears. Integrated it is an odometry of decimetres a
minute, where what a robot was told to do is a metre off before a thing that gives no way."""

from __future__ import annotations

import numpy as np

from vm_core.halting import sensed

BEARS_M = 0.004
"""The lower foot bears; of two whose heights differ by less than a few of these both do."""


def leg_velocity(quat_wxyz: np.ndarray, gyro: np.ndarray, joint_pos: np.ndarray, joint_vel: np.ndarray) -> np.ndarray:
    """(..., 2) of the pelvis, ahead and to the left in its heading's axes [m/s].

    Args:
        quat_wxyz: (..., 4) of the pelvis, any heading.
        gyro: (..., 3) in the pelvis frame [rad/s].
        joint_pos, joint_vel: (..., 23) in `g1.POLICY_JOINT_NAMES`' order [rad], [rad/s].
    """
    batch = joint_pos.shape[:-1]
    flat = (np.reshape(value, (-1, value.shape[-1])) for value in (quat_wxyz, gyro, joint_pos, joint_vel))
    points, speed, _ = sensed(*flat)
    height = points[:, 3:, 2]
    above = np.clip((height - height[:, ::-1]) / BEARS_M, -30.0, 30.0)
    share = 1.0 / (1.0 + np.exp(above))
    return -np.einsum("nf,nfc->nc", share, speed[..., :2]).reshape(*batch, 2)
