"""The ROS skin of the mapper: raw LiDAR and odometry in, the height grid out at 50 Hz."""

from __future__ import annotations

import gc
import math
import sys
import time
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from livox_ros_driver2.msg import CustomMsg
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2
from unitree_hg.msg import LowState

from vm_core import command_line, g1
from vm_core.errors import VmError
from vm_core.height_grid import HeightGridSpec
from vm_heightmap import ros_conversions
from vm_heightmap.elevation_map import MapConfig
from vm_heightmap.mapper import HeightMapper, MapperConfig
from vm_heightmap.point_filters import FilterConfig
from vm_heightmap.warm_up import compile_now
from vm_msgs.msg import HeightGrid

PARAMETERS: dict[str, tuple[Any, str]] = {
    "lidar_topic": ("/livox/lidar", "livox_ros_driver2/CustomMsg in"),
    "odometry_topic": ("/ground_truth/odometry", "nav_msgs/Odometry of the pelvis in"),
    "lowstate_topic": ("/lowstate", "unitree_hg/LowState in, for the waist and the feet"),
    "grid_topic": ("/height_grid", "vm_msgs/HeightGrid out; the points go to <grid_topic>/points"),
    "rate_hz": (50.0, "rate of the grid [Hz]"),
    "grid_size_x": (11, "cells along the heading"),
    "grid_size_y": (11, "cells to the side"),
    "grid_resolution_m": (0.1, "distance between the grid's cells [m]"),
    "map_size_m": (4.0, "side of the rolling map [m]"),
    "map_resolution_m": (MapConfig.resolution_m, "side of a map cell [m]"),
    "lidar_tilt_rad": (g1.LIDAR_TILT_RAD, "nose-down tilt of the LiDAR, which hangs upside down [rad]"),
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
        self._frame_id = "map"
        self._told: dict[str, str] = {}
        self._make_topics()

    def _get(self, name: str):
        return self.get_parameter(name).value

    def _make_config(self) -> MapperConfig:
        if not 1.0 <= self._get("rate_hz") <= 200.0:
            raise VmError(f"parameter rate_hz is {self._get('rate_hz')}; expected 1–200")
        half = 0.5 * self._get("lidar_tilt_rad")
        return MapperConfig(
            grid=HeightGridSpec(self._get("grid_size_x"), self._get("grid_size_y"), self._get("grid_resolution_m")),
            map=MapConfig(size_m=self._get("map_size_m"), resolution_m=self._get("map_resolution_m")),
            filters=FilterConfig(body_radius_m=self._get("body_radius_m"), ceiling_m=self._get("ceiling_m")),
            lidar_quat_torso_wxyz=(0.0, math.cos(half), 0.0, -math.sin(half)),
            odometry_stale_s=self._get("odometry_stale_s"),
            lidar_stale_s=self._get("lidar_stale_s"),
        )

    def _make_topics(self) -> None:
        def newest(depth: int) -> QoSProfile:
            return QoSProfile(depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT)

        self.create_subscription(CustomMsg, self._get("lidar_topic"), self._on_scan, newest(2), raw=True)
        self.create_subscription(Odometry, self._get("odometry_topic"), self._on_odometry, newest(20))
        self.create_subscription(LowState, self._get("lowstate_topic"), self._on_low_state, newest(1), raw=True)
        grid_topic = self._get("grid_topic")
        self._grid = self.create_publisher(HeightGrid, grid_topic, 5)
        self._points = self.create_publisher(PointCloud2, f"{grid_topic}/points", 1)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(1.0 / self._get("rate_hz"), self._on_timer)
        self.create_timer(0.5, self._on_diagnostics)

    # `Any` below: with raw=True rclpy hands over bytes, which its types do not say
    def _on_scan(self, data: Any) -> None:
        self._mapper.on_scan(data, time.monotonic())

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
