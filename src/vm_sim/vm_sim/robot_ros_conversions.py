"""From the simulated robot to ROS messages."""

from __future__ import annotations

import array
import math

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image, Imu
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker

from vm_core.depth_image import DepthSpec
from vm_core.frames import quat_rotate_inverse
from vm_msgs.msg import HeightGrid
from vm_sim.faults import GridSample, OdometrySample
from vm_sim.imu import STANDARD_GRAVITY, ImuSample
from vm_sim.objects import OBJECT_BODY, OBJECT_COLOR, ObjectSpec


def fill_imu(message: Imu, sample: ImuSample, stamp_ns: int) -> None:
    """The LiDAR's IMU, acceleration in g as its driver has it."""
    message.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
    message.orientation_covariance[0] = -1.0  # the sensor gives none
    _set_xyz(message.angular_velocity, sample.gyroscope)
    _set_xyz(message.linear_acceleration, sample.accelerometer / STANDARD_GRAVITY)


def fill_odometry(message: Odometry, sample: OdometrySample, ang_vel_body: np.ndarray, stamp_ns: int) -> None:
    """Pose in the world, twist in the pelvis (REP-105)."""
    message.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
    _set_xyz(message.pose.pose.position, sample.pos)
    quat, orientation = sample.quat_wxyz, message.pose.pose.orientation
    orientation.w, orientation.x, orientation.y, orientation.z = (float(v) for v in quat)
    _set_xyz(message.twist.twist.linear, quat_rotate_inverse(quat, sample.lin_vel_world))
    _set_xyz(message.twist.twist.angular, ang_vel_body)


def depth_msg(picture: np.ndarray, frame: str, stamp_ns: int) -> Image:
    """A picture (height, width) uint16 [mm], as the RealSense driver sends it; faults make floats [m] or colours."""
    height, width = picture.shape[:2]
    encoding = "rgb8" if picture.ndim == 3 else "32FC1" if picture.dtype == np.float32 else "16UC1"
    message = Image(height=height, width=width, encoding=encoding, step=picture[0].nbytes)
    message.header.stamp, message.header.frame_id = Time(nanoseconds=stamp_ns).to_msg(), frame
    message.data = array.array("B", np.ascontiguousarray(picture).tobytes())
    return message


def camera_info_msg(spec: DepthSpec, frame: str, stamp_ns: int) -> CameraInfo:
    """Intrinsics of a camera without distortion."""
    focal, middle = spec.focal_px, (0.5 * spec.width, 0.5 * spec.height)
    message = CameraInfo(height=spec.height, width=spec.width, distortion_model="plumb_bob", d=[0.0] * 5)
    message.header.stamp, message.header.frame_id = Time(nanoseconds=stamp_ns).to_msg(), frame
    message.k = [focal, 0.0, middle[0], 0.0, focal, middle[1], 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [focal, 0.0, middle[0], 0.0, 0.0, focal, middle[1], 0.0, 0.0, 0.0, 1.0, 0.0]
    return message


def object_marker(thing: ObjectSpec, frame: str) -> Marker:
    """What viewers draw for an object; its pose is filled in by `place_marker`."""
    kind = Marker.SPHERE if thing.shape == "ball" else Marker.CUBE
    red, green, blue, alpha = OBJECT_COLOR
    marker = Marker(ns=OBJECT_BODY, type=kind, color=ColorRGBA(r=red, g=green, b=blue, a=alpha))
    marker.header.frame_id = frame
    marker.scale.x, marker.scale.y, marker.scale.z = thing.size
    return marker


def place_marker(marker: Marker, pose: np.ndarray, stamp_ns: int) -> None:
    """Puts a marker at a pose (7,): position [m] and quaternion wxyz."""
    marker.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
    _set_xyz(marker.pose.position, pose[:3])
    turn = marker.pose.orientation
    turn.w, turn.x, turn.y, turn.z = (float(v) for v in pose[3:])


def twist_msg(velocity: tuple[float, float, float]) -> Twist:
    """vx, vy [m/s], yaw rate [rad/s]."""
    message = Twist()
    message.linear.x, message.linear.y, message.angular.z = velocity
    return message


def grid_msg(sample: GridSample, resolution: float, frame: str, stamp_ns: int) -> HeightGrid:
    """A height grid of nobody's map."""
    message, cells = HeightGrid(), len(sample.height)
    message.header.stamp = message.scan_stamp = Time(nanoseconds=stamp_ns).to_msg()
    message.header.frame_id = frame
    message.grid_pose.position.z = float(sample.torso_height)
    message.grid_pose.orientation.w = 1.0
    message.size_x, message.size_y, message.resolution = sample.size_x, sample.size_y, resolution
    message.height = [float(v) for v in sample.height]
    message.variance, message.age = [1e-4] * cells, [0.0] * cells
    message.source = [HeightGrid.UNKNOWN if math.isnan(v) else HeightGrid.SEEN for v in sample.height]
    return message


def diagnostics_msg(summary: dict, fault: str, stamp_ns: int) -> DiagnosticArray:
    """WARN while the simulation is slower than real time or plays a fault."""
    slow = summary["real_time_factor"] < 0.95 and summary["simulated_s"] > 1.0
    status = DiagnosticStatus(name="vm_sim", hardware_id="simulation")
    status.level = DiagnosticStatus.WARN if slow or fault else DiagnosticStatus.OK
    status.message = f"plays {fault}" if fault else "slower than real time" if slow else "ok"
    status.values = [KeyValue(key=key, value=str(value)) for key, value in summary.items()]
    message = DiagnosticArray(status=[status])
    message.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
    return message


def _set_xyz(message, values: np.ndarray) -> None:
    message.x, message.y, message.z = (float(v) for v in values)
