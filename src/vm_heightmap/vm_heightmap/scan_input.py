"""A scan, whatever message it came in: Livox's CustomMsg, or a PointCloud2 with or without times."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vm_core import livox_cdr
from vm_core.errors import VmError

MAX_SCAN_S = 0.25
"""Offsets beyond this are damaged, not late."""
# field of a PointCloud2 with points' times, and its unit [s]; None: absolute, in seconds or nanoseconds by its size
TIME_FIELDS = {"timestamp": None, "offset_time": 1e-9, "t": 1e-9, "time": 1.0, "time_offset": 1.0}
_DTYPES = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 8: "<f8"}


@dataclass(frozen=True)
class Scan:
    """Points with their times.

    Attributes:
        start_s: time of offset 0, in the sensor's clock.
        xyz: (N, 3) float32 in the sensor's frame [m].
        offset_s: (N,) float64 after start_s.
    """

    start_s: float
    xyz: np.ndarray
    offset_s: np.ndarray

    @cached_property
    def usable(self) -> np.ndarray:
        """(N,) bool: points whose offset can be true."""
        return (self.offset_s >= 0.0) & (self.offset_s <= MAX_SCAN_S)

    @cached_property
    def end_s(self) -> float:
        """Time of the last usable point."""
        return self.start_s + max(0.0, float(np.max(self.offset_s, initial=-np.inf, where=self.usable)))


def scan_from_custom_msg(data: bytes) -> Scan:
    """From the bytes of a CustomMsg.

    Raises:
        VmError: they are none.
    """
    message = livox_cdr.decode_custom_msg(data)
    return Scan(message.stamp_ns * 1e-9, message.xyz, message.points["offset_time"].astype(np.float64) * 1e-9)


def scan_from_cloud(
    fields: dict[str, tuple[int, int]], point_step: int, count: int, data: bytes | memoryview, stamp_s: float
) -> Scan:
    """From the parts of a PointCloud2.

    Args:
        fields: name to offset in the point and datatype, as sensor_msgs/PointField numbers them.
        point_step, count: bytes a point, points (width times height).
        data: the points, little-endian.
        stamp_s: header stamp; with absolute times that are far from it, it stays and the times count relatively.

    Raises:
        VmError: no x, y, z, or fewer bytes than announced.
    """
    missing = [axis for axis in "xyz" if axis not in fields]
    if missing:
        raise VmError(f"point cloud without {', '.join(missing)}; it has {', '.join(fields) or 'no fields'}")
    if len(data) < count * point_step or any(kind not in _DTYPES for _, kind in fields.values()):
        raise VmError(f"point cloud announces {count} points of {point_step} bytes and holds {len(data)} bytes")
    layout = np.dtype(
        {
            "names": list(fields),
            "formats": [_DTYPES[kind] for _, kind in fields.values()],
            "offsets": [offset for offset, _ in fields.values()],
            "itemsize": point_step,
        }
    )
    points = np.frombuffer(data, dtype=layout, count=count)
    xyz = np.stack([points[axis].astype(np.float32) for axis in "xyz"], axis=-1)
    offset_s = np.zeros(count)
    name = next((name for name in TIME_FIELDS if name in fields), None)
    if name is None or not count:
        return Scan(stamp_s, xyz, offset_s)
    unit, times = TIME_FIELDS[name], points[name].astype(np.float64)
    if unit is not None:
        return Scan(stamp_s, xyz, times * unit)
    return _with_absolute_times(xyz, times * (1e-9 if np.median(times) > 1e12 else 1.0), stamp_s)


def _with_absolute_times(xyz: np.ndarray, times_s: np.ndarray, stamp_s: float) -> Scan:
    finite = times_s[np.isfinite(times_s)]
    if not len(finite):
        return Scan(stamp_s, xyz, np.zeros(len(times_s)))
    middle = float(np.median(finite))  # single stamps far outside the sweep have been seen; the median stands firm
    first = float(finite[np.abs(finite - middle) <= MAX_SCAN_S].min())
    start_s = first if abs(first - stamp_s) < 1.0 else stamp_s
    return Scan(start_s, xyz, np.where(np.isfinite(times_s), times_s - first, np.inf))
