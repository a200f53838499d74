"""How fast the pelvis goes, by the legs alone: over the foot that bears. Integrated it is an odometry of decimetres a
minute, where what a robot was told to do is a metre off before a thing that gives no way."""

from __future__ import annotations

from vm_core.arrays import array_namespace
from vm_core.frames import Array
from vm_core.halting import sensed

BEARS_M = 0.004
"""The lower foot bears; of two whose heights differ by less than a few of these both do."""


def leg_velocity(quat_wxyz: Array, gyro: Array, joint_pos: Array, joint_vel: Array) -> Array:
    """(..., 2) of the pelvis, ahead and to the left in its heading's axes [m/s].

    Args:
        quat_wxyz: (..., 4) of the pelvis, any heading.
        gyro: (..., 3) in the pelvis frame [rad/s].
        joint_pos, joint_vel: (..., 23) in `g1.POLICY_JOINT_NAMES`' order [rad], [rad/s].
    """
    xp = array_namespace(joint_pos)
    points, speed, _ = sensed(quat_wxyz, gyro, joint_pos, joint_vel)
    left_above = ((points[..., 3, 2] - points[..., 4, 2]) / BEARS_M).clip(-30.0, 30.0)
    left = (1.0 / (1.0 + xp.exp(left_above)))[..., None]
    return -(left * speed[..., 0, :2] + (1.0 - left) * speed[..., 1, :2])
