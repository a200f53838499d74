"""livox_ros_driver2's CustomMsg as bytes: 20,000 points without 20,000 objects."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from vm_core.errors import VmError
from vm_core.unitree_cdr import CDR_LITTLE_ENDIAN

POINT = np.dtype(
    [
        ("offset_time", "<u4"),
        ("x", "<f4"),
        ("y", "<f4"),
        ("z", "<f4"),
        ("reflectivity", "u1"),
        ("tag", "u1"),
        ("line", "u1"),
        ("pad", "u1"),
    ]
)
"""One CustomPoint with the pad byte that aligns the next one; the last point of a message has none."""


@dataclass(frozen=True)
class LivoxScan:
    """A scan.

    Attributes:
        stamp_ns: header stamp.  frame_id: the sensor's frame.
        timebase_ns: time of the first point.
        points: (N,) records of dtype POINT: offset_time [ns after timebase], x, y, z [m].
    """

    stamp_ns: int
    frame_id: str
    timebase_ns: int
    points: np.ndarray

    @property
    def xyz(self) -> np.ndarray:
        """(N, 3) float32 [m] in the sensor frame."""
        return np.stack([self.points[axis] for axis in "xyz"], axis=-1)


def encode_custom_msg(scan: LivoxScan) -> bytes:
    """The CDR bytes of a CustomMsg."""
    frame = scan.frame_id.encode() + b"\x00"
    seconds, nanoseconds = divmod(scan.stamp_ns, 10**9)
    body = struct.pack("<iII", seconds, nanoseconds, len(frame)) + frame
    body += b"\x00" * (-len(body) % 8) + struct.pack("<Q", scan.timebase_ns)
    body += struct.pack("<I4xI", len(scan.points), len(scan.points))
    points = np.ascontiguousarray(scan.points, dtype=POINT).tobytes()
    return CDR_LITTLE_ENDIAN + body + (points[:-1] if points else b"")


def decode_custom_msg(data: bytes) -> LivoxScan:
    """Reads the CDR bytes of a CustomMsg; the points are a view where possible.

    Raises:
        VmError: the bytes are not a CustomMsg or are cut off.
    """
    try:
        seconds, nanoseconds, frame_length = struct.unpack_from("<iII", data, 4)
        if bytes(data[:2]) != CDR_LITTLE_ENDIAN[:2] or frame_length > 256:
            raise VmError("LiDAR message is not a little-endian CustomMsg")
        frame_id = bytes(data[16 : 16 + frame_length]).rstrip(b"\x00").decode()
        at = 12 + frame_length
        at += -at % 8
        (timebase,) = struct.unpack_from("<Q", data, at + 4)
        announced, count = struct.unpack_from("<I4xI", data, at + 12)
    except (struct.error, UnicodeDecodeError):
        raise VmError(f"LiDAR message of {len(data)} bytes is cut off or damaged") from None
    start = at + 24
    needed = count * POINT.itemsize - 1 if count else 0
    if announced != count or len(data) - start < needed:
        raise VmError(f"LiDAR message announces {announced} points, lists {count}, holds {len(data) - start} bytes")
    padded = bytes(data[start : start + needed]) + (b"\x00" if count else b"")
    return LivoxScan(seconds * 10**9 + nanoseconds, frame_id, timebase, np.frombuffer(padded, dtype=POINT))
