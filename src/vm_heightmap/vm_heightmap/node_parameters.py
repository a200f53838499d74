"""The node's parameters: defaults, what they mean, and the configuration that they make."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from vm_core import frames, g1
from vm_core.errors import VmError
from vm_core.height_grid import HeightGridSpec
from vm_heightmap.elevation_map import MapConfig
from vm_heightmap.mapper_config import ODOMETRY_BODIES, MapperConfig
from vm_heightmap.mount_check import MountLimits
from vm_heightmap.point_filters import FilterConfig

_LIDAR_X, _LIDAR_Y, _LIDAR_Z = g1.LIDAR_POS_IN_TORSO.tolist()
PARAMETERS: dict[str, tuple[Any, str]] = {
    "autostart": (True, "configure and activate at once; false: wait for a lifecycle manager"),
    "lidar_topic": ("/livox/lidar", "livox_ros_driver2/CustomMsg in"),
    "cloud_topic": ("", "sensor_msgs/PointCloud2 in, in place of lidar_topic if given: a LiDAR's or a depth camera's"),
    "odometry_source": ("topic", "topic: poses come by odometry_topic; own: estimated from LiDAR, IMU and legs"),
    "odometry_topic": ("/ground_truth/odometry", "nav_msgs/Odometry in, in a frame whose z is up"),
    "odometry_body": ("pelvis", f"whose pose that is: {', '.join(ODOMETRY_BODIES)}"),
    "imu_topic": ("/livox/imu", "sensor_msgs/Imu of the LiDAR in, for the own odometry; g or m/s²"),
    "own_odometry_topic": ("/odometry", "nav_msgs/Odometry of the pelvis out, of the own odometry"),
    "map_frame": ("map", "frame of the own odometry's world"),
    "odom_frame": ("odom", "frame between it and the pelvis"),
    "base_frame": ("pelvis", "frame of the pelvis"),
    "lowstate_topic": ("/lowstate", "unitree_hg/LowState in, for the waist and the feet"),
    "grid_topic": ("/height_grid", "vm_msgs/HeightGrid out; pictures go to <grid_topic>/points, /markers, /map…"),
    "rate_hz": (50.0, "rate of the grid [Hz]"),
    "grid_size_x": (HeightGridSpec.size_x, "cells along the heading"),
    "grid_size_y": (HeightGridSpec.size_y, "cells to the side"),
    "grid_resolution_m": (HeightGridSpec.resolution, "distance between the grid's cells [m]"),
    "grid_center_x_m": (HeightGridSpec.center_x, "from the torso forward to the grid's middle, to look ahead [m]"),
    "grid_samples_per_side": (HeightGridSpec.samples_per_side, "a height is the mean at so many² points of its cell"),
    "grid_full_attitude": (HeightGridSpec.full_attitude, "the grid leans with the torso"),
    "map_size_m": (MapConfig.size_m, "side of the rolling map [m]"),
    "map_resolution_m": (MapConfig.resolution_m, "side of a map cell [m]"),
    "lidar_tilt_rad": (g1.LIDAR_TILT_RAD, "nose-down tilt of the LiDAR, which hangs upside down [rad]"),
    "lidar_roll_rad": (math.pi, "roll of the LiDAR in the torso; 0: upright [rad]"),
    "lidar_yaw_rad": (0.0, "yaw of the LiDAR in the torso; yaw, tilt and roll turn as in a URDF's rpy [rad]"),
    "lidar_x_m": (_LIDAR_X, "place of the LiDAR in the torso link, forward [m]"),
    "lidar_y_m": (_LIDAR_Y, "place of the LiDAR in the torso link, to the left [m]"),
    "lidar_z_m": (_LIDAR_Z, "height of the LiDAR in the torso link [m]"),
    "mount_check_deg": (MountLimits.tilt_deg, "at the start, floor and soles may differ by this; 0: no check [deg]"),
    "body_radius_m": (FilterConfig.body_radius_m, "radius of the cylinder that holds the robot's own body [m]"),
    "ceiling_m": (FilterConfig.ceiling_m, "points this high above the torso origin are ignored [m]"),
    "odometry_stale_s": (MapperConfig.odometry_stale_s, "older odometry is an error [s]"),
    "lidar_stale_s": (MapperConfig.lidar_stale_s, "an older scan is reported [s]"),
}


def mapper_config(get: Callable[[str], Any]) -> MapperConfig:
    """What the parameters say, read by name.

    Raises:
        VmError: a value that cannot be.
    """
    if not 1.0 <= get("rate_hz") <= 200.0:
        raise VmError(f"parameter rate_hz is {get('rate_hz')}; expected 1–200")
    if get("odometry_source") not in ("topic", "own"):
        raise VmError(f"parameter odometry_source is {get('odometry_source')!r}; expected topic or own")
    turns = [frames.quat_from_rotvec(get(f"lidar_{name}_rad") * axis) for name, axis in _URDF_TURNS]
    mount = frames.quat_multiply(frames.quat_multiply(turns[0], turns[1]), turns[2])
    geometry = ("size_x", "size_y", "resolution_m", "full_attitude", "center_x_m", "samples_per_side")
    return MapperConfig(
        grid=HeightGridSpec(*(get(f"grid_{name}") for name in geometry)),
        map=MapConfig(size_m=get("map_size_m"), resolution_m=get("map_resolution_m")),
        filters=FilterConfig(body_radius_m=get("body_radius_m"), ceiling_m=get("ceiling_m")),
        mount=MountLimits(tilt_deg=get("mount_check_deg")),
        odometry_body=get("odometry_body"),
        own_odometry=get("odometry_source") == "own",
        lidar_pos_torso=tuple(get(f"lidar_{axis}_m") for axis in "xyz"),
        lidar_quat_torso_wxyz=tuple(mount.tolist()),
        odometry_stale_s=get("odometry_stale_s"),
        lidar_stale_s=get("lidar_stale_s"),
    )


_URDF_TURNS = tuple(zip(("yaw", "tilt", "roll"), np.eye(3)[::-1], strict=True))
