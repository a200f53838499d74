"""The simulator's options, on the command line and as ROS parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro


@dataclass(frozen=True)
class SimConfig:
    """The simulated robot; each field is a ROS parameter of the same name, too (`--ros-args -p NAME:=VALUE`).

    Attributes:
        scene: scene folder.
        start_clip: clip (.npz) in whose first frame the robot starts; empty or "stand": the stand at the origin.
        record: robot log (.npz) to write at the end, or a video (.mp4) with the log beside it.
        report: JSON to write at the end.
        duration_s: simulated time after which it ends [s]; 0: never.
        seed: of start and sensor noise.
        start_noise: factor on the noise of the start (1: 0.02 rad, 1 cm).
        hang: hold the pelvis by a virtual gantry until the legs have been commanded stiff for a second.
        gantry_stays: and longer, until the service /gantry/release, as on a rope.
        lidar_pattern: .npz with azimuth_deg and elevation_deg in place of the built-in pattern.
        motion_mode: controller of the robot's own that is active at the start, such as ai; commands count once it is
            released (vm-motion-mode release); empty: released.
        object: thing before the robot, by its task, such as push_box (docs/visual.md); empty: none.
        vary_object: draw its size, mass, friction and place by the seed.
        depth: publish the head's depth camera; with an object it is on anyway.
        fault: name of a fault to play (`vm-fault --list`); may be set at any time, empty ends it.
        fault_at_s: simulated time at which a fault given at the start begins [s].
        lowstate_topic: out.
        lowcmd_topic: in.
        lidar_topic: out.
        lidar_imu_topic: out, acceleration in g.
        odometry_topic: true pose of the pelvis, out.
        lidar_frame: frame of points and LiDAR IMU.
        world_frame: frame of the scene.
        depth_topic: out, millimetres as the RealSense driver has them.
        depth_info_topic: out.
        depth_frame: optical frame of the depth camera.
        object_topic: true pose of the object, out; for evaluation only.
        cmd_vel_topic: out, for faults of velocity commands only.
        estop_topic: out, for the fault estop only.
        grid_topic: out, for faults of the height grid only.
    """

    scene: str = ""
    start_clip: Annotated[str, tyro.conf.arg(aliases=("--start",))] = ""
    record: str = ""
    report: str = ""
    duration_s: Annotated[float, tyro.conf.arg(aliases=("--duration",))] = 0.0
    seed: int = 0
    start_noise: float = 1.0
    hang: bool = True
    gantry_stays: bool = False
    lidar_pattern: str = ""
    motion_mode: str = ""
    object: str = ""
    vary_object: bool = False
    depth: bool = False
    fault: str = ""
    fault_at_s: float = 0.0
    lowstate_topic: str = "/lowstate"
    lowcmd_topic: str = "/lowcmd"
    lidar_topic: str = "/livox/lidar"
    lidar_imu_topic: str = "/livox/imu"
    odometry_topic: str = "/ground_truth/odometry"
    lidar_frame: str = "livox_frame"
    world_frame: str = "map"
    depth_topic: str = "/camera/depth/image_rect_raw"
    depth_info_topic: str = "/camera/depth/camera_info"
    depth_frame: str = "camera_depth_optical_frame"
    object_topic: str = "/ground_truth/object"
    cmd_vel_topic: str = "/cmd_vel"
    estop_topic: str = "/estop"
    grid_topic: str = "/height_grid"
