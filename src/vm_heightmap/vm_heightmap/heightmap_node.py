"""The ROS skin of the mapper: raw LiDAR and odometry in, the height grid out at 50 Hz."""

from __future__ import annotations

import gc
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from livox_ros_driver2.msg import CustomMsg
from nav_msgs.msg import OccupancyGrid, Odometry
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Imu, PointCloud2
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from unitree_hg.msg import LowState
from visualization_msgs.msg import MarkerArray

from vm_core import command_line, frames, g1
from vm_core.errors import VmError
from vm_core.height_grid import HeightGridSpec
from vm_heightmap import ros_conversions
from vm_heightmap.elevation_map import MapConfig
from vm_heightmap.mapper import HeightMapper, MapperConfig
from vm_heightmap.mount_check import MountLimits
from vm_heightmap.point_filters import FilterConfig
from vm_heightmap.saved_map import save_map
from vm_heightmap.warm_up import compile_now
from vm_msgs.msg import HeightGrid

PARAMETERS: dict[str, tuple[Any, str]] = {
    "lidar_topic": ("/livox/lidar", "livox_ros_driver2/CustomMsg in"),
    "cloud_topic": ("", "sensor_msgs/PointCloud2 in, in place of lidar_topic if given"),
    "odometry_source": ("topic", "topic: poses come by odometry_topic; own: estimated from LiDAR, IMU and legs"),
    "odometry_topic": ("/ground_truth/odometry", "nav_msgs/Odometry of the pelvis in"),
    "imu_topic": ("/livox/imu", "sensor_msgs/Imu of the LiDAR in, for the own odometry; g or m/s²"),
    "own_odometry_topic": ("/odometry", "nav_msgs/Odometry of the pelvis out, of the own odometry"),
    "map_frame": ("map", "frame of the own odometry's world"),
    "odom_frame": ("odom", "frame between it and the pelvis"),
    "base_frame": ("pelvis", "frame of the pelvis"),
    "lowstate_topic": ("/lowstate", "unitree_hg/LowState in, for the waist and the feet"),
    "grid_topic": ("/height_grid", "vm_msgs/HeightGrid out; the points go to <grid_topic>/points"),
    "rate_hz": (50.0, "rate of the grid [Hz]"),
    "grid_size_x": (11, "cells along the heading"),
    "grid_size_y": (11, "cells to the side"),
    "grid_resolution_m": (0.1, "distance between the grid's cells [m]"),
    "map_size_m": (4.0, "side of the rolling map [m]"),
    "map_resolution_m": (MapConfig.resolution_m, "side of a map cell [m]"),
    "lidar_tilt_rad": (g1.LIDAR_TILT_RAD, "nose-down tilt of the LiDAR, which hangs upside down [rad]"),
    "lidar_roll_rad": (math.pi, "roll of the LiDAR in the torso; 0: upright [rad]"),
    "lidar_z_m": (float(g1.LIDAR_POS_IN_TORSO[2]), "height of the LiDAR in the torso link [m]"),
    "mount_check_deg": (MountLimits.tilt_deg, "at the start, floor and soles may differ by this; 0: no check [deg]"),
    "body_radius_m": (FilterConfig.body_radius_m, "radius of the cylinder that holds the robot's own body [m]"),
    "ceiling_m": (FilterConfig.ceiling_m, "points this high above the torso origin are ignored [m]"),
    "odometry_stale_s": (MapperConfig.odometry_stale_s, "older odometry is an error [s]"),
    "lidar_stale_s": (MapperConfig.lidar_stale_s, "an older scan is an error [s]"),
}


class HeightmapNode(Node):
    """Feeds the mapper and publishes what it samples."""

    def __init__(self) -> None:
        super().__init__("vm_heightmap")
        for name, (default, description) in PARAMETERS.items():
            self.declare_parameter(name, default, ParameterDescriptor(description=description, read_only=True))
        config = self._make_config()
        started = time.monotonic()
        compile_now(config)
        self.get_logger().info(f"compiled in {time.monotonic() - started:.1f} s, waiting for messages")
        self._mapper = HeightMapper(config)
        self._frame_id, self._imu_count = "map", 0
        self._told: dict[str, str] = {}
        self._make_topics()

    def _get(self, name: str):
        return self.get_parameter(name).value

    def _make_config(self) -> MapperConfig:
        if not 1.0 <= self._get("rate_hz") <= 200.0:
            raise VmError(f"parameter rate_hz is {self._get('rate_hz')}; expected 1–200")
        if self._get("odometry_source") not in ("topic", "own"):
            raise VmError(f"parameter odometry_source is {self._get('odometry_source')!r}; expected topic or own")
        tilt, roll = (
            np.array([0.0, self._get("lidar_tilt_rad"), 0.0]),
            np.array([self._get("lidar_roll_rad"), 0.0, 0.0]),
        )
        mount = frames.quat_multiply(frames.quat_from_rotvec(tilt), frames.quat_from_rotvec(roll))
        return MapperConfig(
            grid=HeightGridSpec(self._get("grid_size_x"), self._get("grid_size_y"), self._get("grid_resolution_m")),
            map=MapConfig(size_m=self._get("map_size_m"), resolution_m=self._get("map_resolution_m")),
            filters=FilterConfig(body_radius_m=self._get("body_radius_m"), ceiling_m=self._get("ceiling_m")),
            mount=MountLimits(tilt_deg=self._get("mount_check_deg")),
            own_odometry=self._get("odometry_source") == "own",
            lidar_pos_torso=(*g1.LIDAR_POS_IN_TORSO[:2].tolist(), self._get("lidar_z_m")),
            lidar_quat_torso_wxyz=tuple(mount.tolist()),
            odometry_stale_s=self._get("odometry_stale_s"),
            lidar_stale_s=self._get("lidar_stale_s"),
        )

    def _make_topics(self) -> None:
        def newest(depth: int) -> QoSProfile:
            return QoSProfile(depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT)

        if self._get("cloud_topic"):
            self.create_subscription(PointCloud2, self._get("cloud_topic"), self._on_cloud, newest(2))
        else:
            self.create_subscription(CustomMsg, self._get("lidar_topic"), self._on_scan, newest(2), raw=True)
        if self._mapper.own is None:
            self.create_subscription(Odometry, self._get("odometry_topic"), self._on_odometry, newest(20))
        else:
            self._frame_id = self._get("map_frame")
            self.create_subscription(Imu, self._get("imu_topic"), self._on_imu, newest(50))
            self._own_odometry = self.create_publisher(Odometry, self._get("own_odometry_topic"), 10)
            self._transforms = self.create_publisher(TFMessage, "/tf", 20)
        self.create_subscription(LowState, self._get("lowstate_topic"), self._on_low_state, newest(1), raw=True)
        grid_topic = self._get("grid_topic")
        self._grid = self.create_publisher(HeightGrid, grid_topic, 5)
        self._points = self.create_publisher(PointCloud2, f"{grid_topic}/points", 1)
        self._markers = self.create_publisher(MarkerArray, f"{grid_topic}/markers", 1)
        self._layers = self.create_publisher(OccupancyGrid, f"{grid_topic}/map", 1)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(1.0 / self._get("rate_hz"), self._on_timer)
        self.create_timer(0.5, self._on_diagnostics)
        self.create_timer(0.2, self._on_pictures)
        self.create_service(Trigger, "~/save_map", self._on_save)

    # `Any` below: with raw=True rclpy hands over bytes, which its types do not say
    def _on_scan(self, data: Any) -> None:
        self._mapper.on_scan(data, time.monotonic())

    def _on_cloud(self, msg: PointCloud2) -> None:
        try:
            scan = ros_conversions.scan_from_msg(msg)
        except VmError as error:
            self._mapper.refuse_scan(str(error))
            return
        self._mapper.on_points(scan, time.monotonic())

    def _on_imu(self, msg: Imu) -> None:
        self._mapper.on_imu(*ros_conversions.imu_from_msg(msg), time.monotonic())
        self._imu_count += 1
        found = self._mapper.pelvis_motion() if self._imu_count % 2 == 0 else None
        if found is None or self._mapper.own is None:
            return
        frame_ids = (self._get("odom_frame"), self._get("base_frame"))
        self._own_odometry.publish(ros_conversions.odometry_msg(*found, self._mapper.own.covariance, *frame_ids))
        self._transforms.publish(ros_conversions.transforms_msg(found[0], self._frame_id, *frame_ids))

    def _on_low_state(self, data: Any) -> None:
        self._mapper.on_low_state(data)

    def _on_odometry(self, msg: Odometry) -> None:
        self._frame_id = msg.header.frame_id or "map"
        self._mapper.on_odometry(*ros_conversions.pose_from_msg(msg), time.monotonic())

    def _on_timer(self) -> None:
        found = self._mapper.grid(time.monotonic())
        if found is None:
            return
        sample, pose = found
        msg = ros_conversions.grid_msg(sample, pose, self._mapper.config.grid, self._frame_id, self._mapper.epoch)
        self._grid.publish(msg)
        if self._points.get_subscription_count():
            self._points.publish(ros_conversions.points_msg(sample, msg))

    def _on_diagnostics(self) -> None:
        now_s = time.monotonic()
        found = self._mapper.grid(now_s)
        stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(ros_conversions.diagnostics_msg(self._mapper, found and found[0], stamp, now_s))
        errors = self._mapper.errors(now_s)
        for part in errors.keys() - self._told.keys():
            self.get_logger().warning(f"{part}: {errors[part]}")
        for part in self._told.keys() - errors.keys():
            self.get_logger().info(f"{part}: back to normal")
        self._told = errors

    def _on_pictures(self) -> None:
        wanted = self._markers.get_subscription_count(), self._layers.get_subscription_count()
        found = self._mapper.grid(time.monotonic()) if any(wanted) else None
        if found is None:
            return
        header = ros_conversions.grid_msg(*found, self._mapper.config.grid, self._frame_id, self._mapper.epoch)
        if wanted[0]:
            self._markers.publish(ros_conversions.markers_msg(found[0], header))
        if wanted[1]:
            torso_z = float(found[1].pos[2])
            self._layers.publish(ros_conversions.occupancy_msg(self._mapper.elevation, torso_z, header))

    def _on_save(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        path = Path(f"height_map_{time.strftime('%Y%m%d_%H%M%S')}.npz").absolute()
        try:
            save_map(self._mapper.elevation, path)
        except OSError as error:
            answer.success, answer.message = False, f"{path}: {error.strerror or error}"
            return answer
        answer.success, answer.message = True, str(path)
        return answer


def _main() -> int:
    rclpy.init(args=sys.argv)
    node = None
    try:
        node = HeightmapNode()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        gc.collect()
        gc.freeze()
        executor.spin()
    except ExternalShutdownException:
        return 0
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def main() -> None:
    """Console entry point."""
    command_line.run(_main)


if __name__ == "__main__":
    main()
