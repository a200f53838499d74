"""Between plain arrays and the messages that viewers read. xyzw quaternions exist only here."""

from __future__ import annotations

from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, TransformStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState, PointCloud2, PointField
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from vm_core import frames, g1
from vm_core.errors import VmError
from vm_core.g1_kinematics import JOINT_OFFSET
from vm_core.height_grid import CellSource, HeightGridSpec, cell_points_world
from vm_core.livox_cdr import LivoxScan
from vm_core.unitree_cdr import get_motors
from vm_msgs.msg import HeightGrid, PolicyStatus
from vm_sim.link_frames import LINK_NAMES, PARENT_NAMES, cloud_xyzi, link_quats

_COLORS = {
    PolicyStatus.IDLE: ("IDLE", (0.6, 0.6, 0.6)),
    PolicyStatus.STANDING: ("STANDING", (0.2, 0.6, 1.0)),
    PolicyStatus.RUNNING: ("RUNNING", (0.2, 0.9, 0.3)),
    PolicyStatus.DAMPING: ("DAMPING", (1.0, 0.3, 0.1)),
}
_LEAST_COMMAND = 0.02
"""Shorter arrows [m] are not drawn; an arrow's length is the command's in a second."""


def transform_msg(parent: str, child: str, pos: np.ndarray, quat_wxyz: np.ndarray) -> TransformStamped:
    """A transform without a stamp."""
    msg = TransformStamped(child_frame_id=child)
    msg.header.frame_id = parent
    _set_xyz(msg.transform.translation, pos)
    _set_quat(msg.transform.rotation, quat_wxyz)
    return msg


def link_transforms() -> list[TransformStamped]:
    """One transform a motor, all joints at zero; `turn_links` fills in the angles."""
    rows = zip(PARENT_NAMES, LINK_NAMES, JOINT_OFFSET, link_quats(np.zeros(g1.NUM_MOTORS)), strict=True)
    return [transform_msg(*row) for row in rows]


def turn_links(links: list[TransformStamped], joint_pos: np.ndarray, stamp: Time) -> None:
    """Sets stamp and turn of the transforms that `link_transforms` made; joint_pos (29,) [rad]."""
    for transform, quat in zip(links, link_quats(joint_pos), strict=True):
        transform.header.stamp = stamp
        _set_quat(transform.transform.rotation, quat)


def base_transform(odometry: Odometry, odom_frame: str) -> TransformStamped:
    """odom → pelvis at the odometry's own stamp."""
    msg = TransformStamped(child_frame_id=odometry.child_frame_id or g1.PELVIS_BODY)
    msg.header.stamp, msg.header.frame_id = odometry.header.stamp, odom_frame
    move, place = msg.transform.translation, odometry.pose.pose.position
    move.x, move.y, move.z = place.x, place.y, place.z
    msg.transform.rotation = odometry.pose.pose.orientation
    return msg


def joint_state_msg(state: np.ndarray, stamp: Time) -> JointState:
    """Angles [rad], speeds [rad/s] and torques [Nm] of a LowState record."""
    msg = JointState(name=list(g1.MOTOR_NAMES))
    msg.header.stamp = stamp
    rows = (get_motors(state, name)[: g1.NUM_MOTORS].astype(float).tolist() for name in ("q", "dq", "tau_est"))
    msg.position, msg.velocity, msg.effort = rows
    return msg


def cloud_msg(scan: LivoxScan) -> PointCloud2:
    """A scan's returns with their reflectivity as intensity, in the sensor's frame."""
    points, real = cloud_xyzi(scan), PointField.FLOAT32
    names = ("x", "y", "z", "intensity")
    fields = [PointField(name=name, offset=4 * i, datatype=real, count=1) for i, name in enumerate(names)]
    msg = PointCloud2(height=1, width=len(points), fields=fields, point_step=16, row_step=16 * len(points))
    seconds, nanoseconds = divmod(scan.stamp_ns, 10**9)
    msg.header.stamp, msg.header.frame_id = Time(sec=seconds, nanosec=nanoseconds), scan.frame_id
    msg.is_dense, msg.data = True, points.tobytes()
    return msg


def markers_msg(status: PolicyStatus) -> MarkerArray:
    """The command as arrows over the pelvis (turning points to the side that it turns to); state and cause as text."""
    name, (red, green, blue) = _COLORS.get(status.state, (str(status.state), (1.0, 1.0, 1.0)))
    color = ColorRGBA(r=red, g=green, b=blue, a=0.9)
    vx, vy, turn = (float(value) for value in status.command)
    what = status.cause or f"{vx:+.2f} {vy:+.2f} m/s {turn:+.2f} rad/s"
    text = Marker(ns="state", type=Marker.TEXT_VIEW_FACING, text=f"{name}  {what}", color=color)
    text.pose.position.z, text.pose.orientation.w, text.scale.z = 0.85, 1.0, 0.1
    walk = _arrow("command", (0.0, 0.0, 0.3), (vx, vy, 0.3), color)
    spin = _arrow("turn", (0.4, 0.0, 0.3), (0.4, 0.5 * turn, 0.3), color)
    markers = [text, walk, spin]
    for marker in markers:
        marker.header.frame_id = g1.PELVIS_BODY  # its stamp of zero means: with the newest transform
    return MarkerArray(markers=markers)


def cells_of(msg: HeightGrid) -> tuple[np.ndarray, np.ndarray]:
    """Cell centres (N, 3) [m] in the message's frame, NaN heights where nothing is known, and sources (N,).

    Raises:
        VmError: sizes that contradict each other.
    """
    sizes = (int(msg.size_x), int(msg.size_y), float(msg.resolution))
    spec = HeightGridSpec(*sizes, full_attitude=bool(msg.full_attitude), center_x=float(msg.center_x))
    if not len(msg.height) == len(msg.source) == spec.num_cells or max(msg.source) > max(CellSource):
        raise VmError(f"height grid of {spec.size_x}×{spec.size_y} cells with {len(msg.height)} heights")
    place, turn = msg.grid_pose.position, msg.grid_pose.orientation
    pos, quat = np.array([place.x, place.y, place.z]), np.array([turn.w, turn.x, turn.y, turn.z])
    points = cell_points_world(spec, pos, quat)
    points[:, 2] = msg.height
    return points, np.array(msg.source)


def _arrow(ns: str, start: tuple[float, ...], end: tuple[float, ...], color: ColorRGBA) -> Marker:
    marker = Marker(ns=ns, type=Marker.ARROW, color=color)
    drawn = float(np.linalg.norm(np.subtract(end, start))) > _LEAST_COMMAND
    marker.action = Marker.ADD if drawn else Marker.DELETE
    marker.points = [Point(x=x, y=y, z=z) for x, y, z in (start, end)]
    marker.scale.x, marker.scale.y, marker.scale.z = 0.03, 0.07, 0.1
    marker.pose.orientation.w = 1.0
    return marker


def _set_xyz(message: Any, values: np.ndarray) -> None:
    message.x, message.y, message.z = (float(v) for v in values)


def _set_quat(message: Any, quat_wxyz: np.ndarray) -> None:
    message.x, message.y, message.z, message.w = (float(v) for v in frames.quat_to_xyzw(quat_wxyz))
