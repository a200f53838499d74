"""The torso's pose from that of the body whose odometry is given, and the pelvis's from the own odometry."""

from __future__ import annotations

import numpy as np

from vm_core import frames, g1
from vm_heightmap.kinematics import torso_in_pelvis
from vm_heightmap.mapper_config import MapperConfig
from vm_heightmap.odometry import LidarInertialOdometry
from vm_heightmap.pose_buffer import Pose

_STRAIGHT = np.zeros(g1.NUM_MOTORS)


def torso_pose(
    config: MapperConfig, joint_pos: np.ndarray | None, pos: np.ndarray, quat_wxyz: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Position (3,) and quaternion (4,) of the torso, from those of `config.odometry_body`.

    Args:
        config: says whose pose comes, and where the LiDAR hangs.
        joint_pos: (29,) [rad]; None: the waist is taken as straight.
        pos, quat_wxyz: the pose.
    """
    if config.odometry_body == "torso":
        return pos, quat_wxyz
    if config.odometry_body == "pelvis":
        offset, turn = torso_in_pelvis(_STRAIGHT if joint_pos is None else joint_pos)
    else:
        turn = frames.quat_conjugate(np.array(config.lidar_quat_torso_wxyz))
        offset = -frames.quat_rotate(turn, np.array(config.lidar_pos_torso))
    return pos + frames.quat_rotate(quat_wxyz, offset), frames.quat_multiply(quat_wxyz, turn)


def pelvis_motion(own: LidarInertialOdometry, joint_pos: np.ndarray | None) -> tuple[Pose, np.ndarray] | None:
    """The own odometry's pose of the pelvis and its velocity (3,) in that frame [m/s], once it has started."""
    pose = own.newest_pose
    if pose is None:
        return None
    offset, turn = torso_in_pelvis(_STRAIGHT if joint_pos is None else joint_pos)
    quat = frames.quat_multiply(pose.quat_wxyz, frames.quat_conjugate(turn))
    arm = frames.quat_rotate(quat, offset)
    velocity = own.newest_velocity - np.cross(own.newest_rate, arm)
    return Pose(pose.time_s, pose.pos - arm, quat), frames.quat_rotate_inverse(quat, velocity)
