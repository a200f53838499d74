"""Between ROS messages and plain arrays. xyzw quaternions exist only here."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from nav_msgs.msg import Odometry
from sensor_msgs.msg import PointCloud2, PointField

from vm_core import frames
from vm_core.height_grid import CellSource, HeightGridSpec
from vm_heightmap.grid_sampler import GridSample
from vm_heightmap.mapper import HeightMapper
from vm_heightmap.pose_buffer import Pose
from vm_msgs.msg import HeightGrid

POINT_FIELDS = ("x", "y", "z", "variance", "age")


def pose_from_msg(msg: Odometry) -> tuple[float, np.ndarray, np.ndarray]:
    """Time [s], position (3,) [m] and quaternion (4,) wxyz."""
    p, q, stamp = msg.pose.pose.position, msg.pose.pose.orientation, msg.header.stamp
    return stamp.sec + 1e-9 * stamp.nanosec, np.array([p.x, p.y, p.z]), np.array([q.w, q.x, q.y, q.z])


def time_msg(time_s: float) -> Time:
    """A stamp from seconds; negative times, which ROS cannot carry here, become zero."""
    nanoseconds = max(0, round(time_s * 1e9))
    return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def grid_msg(sample: GridSample, pose: Pose, spec: HeightGridSpec, frame_id: str, epoch: int) -> HeightGrid:
    """The grid as published for the policy."""
    msg = HeightGrid()
    msg.header.stamp, msg.header.frame_id = time_msg(pose.time_s), frame_id
    position, turn = msg.grid_pose.position, msg.grid_pose.orientation
    position.x, position.y, position.z = (float(v) for v in pose.pos)
    turn.x, turn.y, turn.z, turn.w = (float(v) for v in frames.quat_to_xyzw(frames.heading_quat(pose.quat_wxyz)))
    msg.size_x, msg.size_y, msg.resolution = spec.size_x, spec.size_y, spec.resolution
    msg.height, msg.variance = sample.height.astype(np.float32), sample.variance.astype(np.float32)
    msg.source, msg.age = sample.source, sample.age_s.astype(np.float32)
    msg.epoch = epoch
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


def diagnostics_msg(mapper: HeightMapper, sample: GridSample | None, stamp: Time, now_s: float) -> DiagnosticArray:
    """One status a part, ERROR with its cause, and one with the grid's figures."""
    errors = mapper.errors(now_s)
    statuses = [_status(part, errors.get(part, "")) for part in ("odometry", "lidar", "joints")]
    for status in statuses:
        if status.name.endswith("joints") and status.message != "OK":
            status.level = DiagnosticStatus.WARN
    figures = {"scans": mapper.scans, "bad_scans": mapper.bad_scans, "dropped_scans": mapper.dropped_scans}
    figures |= {"epoch": mapper.epoch} | (vars(mapper.counts) if mapper.counts else {})
    if sample is not None:
        figures |= {source.name.lower(): int(np.sum(sample.source == source)) for source in CellSource}
    grid = _status("grid", "" if sample is not None else "no pose yet, nothing published")
    grid.values = [KeyValue(key=key, value=str(value)) for key, value in figures.items()]
    msg = DiagnosticArray(status=[*statuses, grid])
    msg.header.stamp = stamp
    return msg


def _status(part: str, problem: str) -> DiagnosticStatus:
    level = DiagnosticStatus.ERROR if problem else DiagnosticStatus.OK
    return DiagnosticStatus(name=f"vm_heightmap: {part}", hardware_id="g1", level=level, message=problem or "OK")
