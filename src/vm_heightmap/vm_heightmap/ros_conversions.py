"""Between ROS messages and plain arrays. xyzw quaternions exist only here."""

from __future__ import annotations

from array import array

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, TransformStamped
from geometry_msgs.msg import Pose as RosPose
from nav_msgs.msg import OccupancyGrid, Odometry
from sensor_msgs.msg import Imu, PointCloud2, PointField
from std_msgs.msg import ColorRGBA
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from vm_core import frames
from vm_core.errors import VmError
from vm_core.height_grid import CellSource, HeightGridSpec
from vm_heightmap.figures import figures
from vm_heightmap.grid_sampler import GridSample
from vm_heightmap.map_view import MapView
from vm_heightmap.mapper import HeightMapper, Shown
from vm_heightmap.pose_buffer import Pose
from vm_heightmap.scan_input import Scan, scan_from_cloud
from vm_msgs.msg import HeightGrid

_COLORS = {
    CellSource.UNKNOWN: (0.9, 0.1, 0.1),
    CellSource.SEEN: (0.1, 0.8, 0.2),
    CellSource.FILLED: (0.9, 0.8, 0.1),
    CellSource.SEEDED: (0.2, 0.4, 0.9),
}
POINT_FIELDS = ("x", "y", "z", "variance", "age")


def pose_from_msg(msg: Odometry) -> tuple[float, np.ndarray, np.ndarray]:
    """Time [s], position (3,) [m] and quaternion (4,) wxyz."""
    p, q = msg.pose.pose.position, msg.pose.pose.orientation
    return seconds(msg.header.stamp), np.array([p.x, p.y, p.z]), np.array([q.w, q.x, q.y, q.z])


def seconds(stamp: Time) -> float:
    """A stamp in seconds."""
    return stamp.sec + 1e-9 * stamp.nanosec


def imu_from_msg(msg: Imu) -> tuple[float, np.ndarray, np.ndarray]:
    """Time [s], rates (3,) [rad/s] and specific force (3,), in g or m/s² as the sender likes."""
    w, a = msg.angular_velocity, msg.linear_acceleration
    return seconds(msg.header.stamp), np.array([w.x, w.y, w.z]), np.array([a.x, a.y, a.z])


def scan_from_msg(msg: PointCloud2) -> Scan:
    """A scan from a point cloud of any layout with x, y and z.

    Raises:
        VmError: it has none, is big-endian, or holds less than it announces.
    """
    if msg.is_bigendian:
        raise VmError("point cloud is big-endian; expected little-endian")
    fields = {field.name: (field.offset, field.datatype) for field in msg.fields}
    count = msg.width * msg.height
    return scan_from_cloud(fields, msg.point_step, count, memoryview(msg.data), seconds(msg.header.stamp))


def odometry_msg(pose: Pose, velocity: np.ndarray, covariance: np.ndarray, frame_id: str, child: str) -> Odometry:
    """A pose with its velocity in the child frame; covariance (6, 6) comes turn first, as the filter keeps it."""
    msg = Odometry()
    msg.header.stamp, msg.header.frame_id, msg.child_frame_id = time_msg(pose.time_s), frame_id, child
    _set_pose(msg.pose.pose, pose)
    order = [3, 4, 5, 0, 1, 2]
    msg.pose.covariance = covariance[np.ix_(order, order)].ravel()
    speed = msg.twist.twist.linear
    speed.x, speed.y, speed.z = (float(v) for v in velocity)
    return msg


def transforms_msg(pose: Pose, map_frame: str, odom_frame: str, child: str) -> TFMessage:
    """map → odom (identity: there is no loop closure) → child."""
    fixed, moving = TransformStamped(), TransformStamped()
    for transform, parent, name in ((fixed, map_frame, odom_frame), (moving, odom_frame, child)):
        transform.header.stamp, transform.header.frame_id = time_msg(pose.time_s), parent
        transform.child_frame_id = name
    move, turn = moving.transform.translation, moving.transform.rotation
    move.x, move.y, move.z = (float(v) for v in pose.pos)
    turn.x, turn.y, turn.z, turn.w = (float(v) for v in frames.quat_to_xyzw(pose.quat_wxyz))
    return TFMessage(transforms=[fixed, moving])


def _set_pose(msg: RosPose, pose: Pose) -> None:
    place, turn = msg.position, msg.orientation
    place.x, place.y, place.z = (float(v) for v in pose.pos)
    turn.x, turn.y, turn.z, turn.w = (float(v) for v in frames.quat_to_xyzw(pose.quat_wxyz))


def markers_msg(sample: GridSample, header_of: HeightGrid) -> MarkerArray:
    """The cells as small cubes: green seen, yellow filled, blue seeded, red at the robot's level where unknown."""
    cubes = Marker(header=header_of.header, ns="height_grid", type=Marker.CUBE_LIST, action=Marker.ADD)
    size = 0.8 * float(header_of.resolution)
    cubes.pose.orientation.w, cubes.scale.x, cubes.scale.y, cubes.scale.z = 1.0, size, size, 0.01
    lowest = float(np.nanmin(sample.height)) if np.isfinite(sample.height).any() else 0.0
    for (x, y, _), z, source in zip(sample.points_world, sample.height, sample.source, strict=True):
        cubes.points.append(Point(x=float(x), y=float(y), z=float(z) if np.isfinite(z) else lowest))
        r, g, b = _COLORS[CellSource(int(source))]
        cubes.colors.append(ColorRGBA(r=r, g=g, b=b, a=0.9))
    return MarkerArray(markers=[cubes])


LAYERS = {"map": (-1.2, 0.3), "map_std": (0.0, 0.1), "map_age": (0.0, 10.0), "map_source": (0.0, 3.0)}
"""Pictures of the whole map by name, and what their 0 and 100 stand for: heights over the torso [m], standard
deviation [m], age [s], CellSource."""


def layer_msg(name: str, view: MapView, torso_z: float, now_s: float, header_of: HeightGrid) -> OccupancyGrid:
    """One of LAYERS as an OccupancyGrid; -1 unknown. now_s is in the map's clock."""
    n, (per_m, start_s, *_) = len(view.source), view.scales
    surface, source = (np.roll(layer, -view.corner[2:], axis=(0, 1)) for layer in (view.surface, view.source))
    values = {
        "map": surface[..., 0] - torso_z,
        "map_std": np.sqrt(surface[..., 1]),
        "map_age": now_s - start_s - surface[..., 2],
        "map_source": source.astype(float),
    }[name]
    low, high = LAYERS[name]
    scaled = np.clip((np.nan_to_num(values) - low) / (high - low) * 100.0, 0.0, 100.0)
    msg = OccupancyGrid(header=header_of.header)
    msg.info.resolution, msg.info.width, msg.info.height = 1.0 / per_m, n, n
    msg.info.origin.position.x, msg.info.origin.position.y = (float(v / per_m) for v in view.corner[:2])
    msg.info.origin.orientation.w = 1.0
    msg.data = array("b", np.where(source != CellSource.UNKNOWN, scaled, -1.0).astype(np.int8).T.tobytes())
    return msg


def time_msg(time_s: float) -> Time:
    """A stamp from seconds; negative times, which ROS cannot carry here, become zero."""
    nanoseconds = max(0, round(time_s * 1e9))
    return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def grid_msg(sample: GridSample, shown: Shown, spec: HeightGridSpec, frame_id: str) -> HeightGrid:
    """The grid as published for the policy."""
    msg, pose = HeightGrid(), shown.pose
    msg.header.stamp, msg.header.frame_id = time_msg(pose.time_s), frame_id
    position, turn = msg.grid_pose.position, msg.grid_pose.orientation
    position.x, position.y, position.z = pose.pos.tolist()
    quat = pose.quat_wxyz if spec.full_attitude else frames.heading_quat(pose.quat_wxyz)
    turn.w, turn.x, turn.y, turn.z = quat.tolist()
    msg.size_x, msg.size_y, msg.resolution = spec.size_x, spec.size_y, spec.resolution
    msg.full_attitude, msg.center_x = spec.full_attitude, spec.center_x
    msg.samples_per_side = spec.samples_per_side
    msg.height, msg.variance = sample.height.astype(np.float32), sample.variance.astype(np.float32)
    msg.source, msg.age = sample.source, sample.age_s.astype(np.float32)
    msg.scan_stamp = time_msg(shown.scan_end_s if np.isfinite(shown.scan_end_s) else 0.0)
    msg.epoch = shown.epoch
    return msg


def points_msg(sample: GridSample, header_of: HeightGrid) -> PointCloud2:
    """The known cells as points for viewers, which do not bear NaN."""
    known = sample.source != CellSource.UNKNOWN
    columns = [sample.points_world[:, :2], sample.height[:, None], sample.variance[:, None], sample.age_s[:, None]]
    data = np.concatenate(columns, axis=-1)[known].astype(np.float32)
    real = PointField.FLOAT32
    fields = [PointField(name=n, offset=4 * i, datatype=real, count=1) for i, n in enumerate(POINT_FIELDS)]
    msg = PointCloud2(header=header_of.header, height=1, width=len(data), fields=fields, is_dense=True)
    msg.point_step, msg.row_step = 4 * len(POINT_FIELDS), 4 * len(POINT_FIELDS) * len(data)
    msg.data = data.tobytes()
    return msg


def diagnostics_msg(
    mapper: HeightMapper, found: tuple[GridSample, Shown] | None, more: dict[str, object], stamp: Time, now_s: float
) -> DiagnosticArray:
    """One status a part, ERROR with its cause, and one with the grid's figures and what else the node knows."""
    errors = mapper.errors(now_s)
    parts = ["odometry", "lidar", "joints", "mount", *(["imu"] if mapper.own is not None else [])]
    statuses = [_status(part, errors.get(part, "")) for part in parts]
    for part, status in zip(parts, statuses, strict=True):
        if part in errors and not mapper.is_lost(part, now_s):
            status.level = DiagnosticStatus.WARN
    grid = _status("grid", "" if found is not None else "no pose yet, nothing published")
    values = figures(mapper, found, now_s) | more
    grid.values = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    msg = DiagnosticArray(status=[*statuses, grid])
    msg.header.stamp = stamp
    return msg


def _status(part: str, problem: str) -> DiagnosticStatus:
    level = DiagnosticStatus.ERROR if problem else DiagnosticStatus.OK
    return DiagnosticStatus(name=f"vm_heightmap: {part}", hardware_id="g1", level=level, message=problem or "OK")
