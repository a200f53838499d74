"""What the simulated robot's sensors tell, each at its own rate: LiDAR, inertial unit, camera, and the truth.

Scans and pictures are made only while somebody listens.
"""

from __future__ import annotations

import threading

import numpy as np
from livox_ros_driver2.msg import CustomMsg
from nav_msgs.msg import Odometry
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, Imu
from visualization_msgs.msg import Marker

from vm_core.scene_asset import SceneAsset
from vm_sim import robot_ros_conversions as ros_conversions
from vm_sim.depth_thread import D435I, DepthThread
from vm_sim.faults import FaultPlayer, OdometrySample
from vm_sim.imu import LIDAR_IMU
from vm_sim.lidar import Mid360
from vm_sim.objects import OBJECT_BODY, ObjectSpec
from vm_sim.robot import SimulatedG1, build_model
from vm_sim.scan_thread import SUB_SCAN_S, ScanThread
from vm_sim.sim_config import SimConfig
from vm_sim.sim_figures import SimFigures

_IMU_PERIOD_S, _ODOMETRY_PERIOD_S = 0.005, 0.01


class SensorTopics:
    """Publishes from the physics' thread, and from those in which scans and pictures are made."""

    def __init__(
        self,
        node: Node,
        config: SimConfig,
        robot: SimulatedG1,
        player: FaultPlayer,
        figures: SimFigures,
        scene: SceneAsset,
        thing: ObjectSpec | None,
    ) -> None:
        """Args: who publishes, its settings, whose sensors they are, what spoils them, who counts, what they see."""
        self._config, self._robot, self._player, self._figures = config, robot, player, figures
        self._stopping = threading.Event()
        self._due = {"imu": 0.0, "odometry": 0.0, "scan": 0.0, "picture": 0.0}
        self._make_publishers(node, thing)
        # the physics' own model changes with every command's gains
        model = build_model(scene, thing=thing)
        lidar = Mid360(model, np.random.default_rng(config.seed + 1), pattern_path=config.lidar_pattern or None)
        self._scans = ScanThread(lidar, model, self._publish_scan, config.lidar_frame)
        self._pictures = None
        if config.depth or thing is not None:
            self._pictures = DepthThread(build_model(scene, thing=thing), self._publish_picture, config.seed + 2)

    def _make_publishers(self, node: Node, thing: ObjectSpec | None) -> None:
        config = self._config
        self._lidar = node.create_publisher(CustomMsg, config.lidar_topic, 5)
        self._imu = node.create_publisher(Imu, config.lidar_imu_topic, 50)
        self._odometry = node.create_publisher(Odometry, config.odometry_topic, 10)
        self._depth = node.create_publisher(Image, config.depth_topic, 5)
        self._depth_info = node.create_publisher(CameraInfo, config.depth_info_topic, 5)
        self._object = node.create_publisher(Odometry, config.object_topic, 10)
        self._drawn = node.create_publisher(Marker, f"{config.object_topic}/marker", 1)
        self._marker = None if thing is None else ros_conversions.object_marker(thing, config.world_frame)
        self._imu_message, self._odometry_message, self._object_message = Imu(), Odometry(), Odometry()
        self._object_message.header.frame_id, self._object_message.child_frame_id = config.world_frame, OBJECT_BODY
        self._imu_message.header.frame_id = config.lidar_frame
        self._odometry_message.header.frame_id = config.world_frame
        self._odometry_message.child_frame_id = "pelvis"

    @property
    def dropped_scans(self) -> int:
        """Parts of scans that were left out because the one before took too long."""
        return self._scans.dropped

    def stop(self) -> None:
        """Ends the threads; what one of them may still make is not published."""
        self._scans.stop()
        if self._pictures is not None:
            self._pictures.stop()
        self._stopping.set()

    def publish_due(self, stamp_ns: int) -> None:
        """Whatever the robot's clock says is due."""
        robot, due = self._robot, self._due
        now = robot.time_s + 1e-9
        if now >= due["scan"]:
            due["scan"] += SUB_SCAN_S
            if self._lidar.get_subscription_count():  # rays take a quarter of a core
                self._scans.offer(stamp_ns, robot.data.qpos)
        if now >= due["imu"]:
            due["imu"] += _IMU_PERIOD_S
            ros_conversions.fill_imu(self._imu_message, robot.read_imu(LIDAR_IMU), stamp_ns)
            self._imu.publish(self._imu_message)
        if now >= due["odometry"]:
            due["odometry"] += _ODOMETRY_PERIOD_S
            self._publish_odometry(stamp_ns)
            self._publish_object(stamp_ns)
        if self._pictures is not None and now >= due["picture"]:
            due["picture"] += self._pictures.period_s
            if self._depth.get_subscription_count():
                without = self._player.name == "depth_empty"
                self._pictures.offer(stamp_ns, robot.data.qpos, without_object=without)

    def _publish_odometry(self, stamp_ns: int) -> None:
        if self._player.name == "grid_silent":  # without odometry, the height map has nothing to send a grid for
            return
        qpos, qvel = self._robot.data.qpos, self._robot.data.qvel
        pose = OdometrySample(qpos[:3].copy(), qpos[3:7].copy(), qvel[:3].copy())
        for sample in self._player.odometry(pose, self._robot.time_s):
            ros_conversions.fill_odometry(self._odometry_message, sample, qvel[3:6], stamp_ns)
            self._odometry.publish(self._odometry_message)

    def _publish_object(self, stamp_ns: int) -> None:
        pose = self._robot.object_pose
        if pose is None:
            return
        speed = self._robot.data.qvel[-6:]
        sample = OdometrySample(pose[:3], pose[3:], speed[:3])
        ros_conversions.fill_odometry(self._object_message, sample, speed[3:], stamp_ns)
        self._object.publish(self._object_message)
        if self._marker is not None and self._drawn.get_subscription_count():
            ros_conversions.place_marker(self._marker, pose, stamp_ns)
            self._drawn.publish(self._marker)

    def _publish_picture(self, stamp_ns: int, picture: np.ndarray) -> None:
        if self._stopping.is_set():
            return
        frame = self._config.depth_frame
        for sent in self._player.picture(picture):
            self._depth_info.publish(ros_conversions.camera_info_msg(D435I, frame, stamp_ns))
            self._depth.publish(ros_conversions.depth_msg(sent, frame, stamp_ns))
            self._figures.counts["pictures"] += 1

    def _publish_scan(self, data: bytes) -> None:
        if self._stopping.is_set():
            return
        for sent in self._player.scan(data):
            self._lidar.publish(sent)
            self._figures.counts["scans"] += 1
