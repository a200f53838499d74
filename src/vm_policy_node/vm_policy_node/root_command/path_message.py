"""nav_msgs/Path from its bytes. As message objects a thousand poses take as long as a whole control period.

CDR aligns each number to its own size behind the four-byte header, so poses whose headers name the same frame lie at a
constant distance; poses of several frames are no path to be followed anyway.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from vm_core import frames
from vm_core.errors import VmError
from vm_core.unitree_cdr import CDR_LITTLE_ENDIAN

MAX_POINTS = 10_000
_HEADER = len(CDR_LITTLE_ENDIAN)
_STAMP, _LENGTH, _POSE = 8, 4, 56


@dataclass(frozen=True)
class PathMessage:
    """A path.

    Attributes:
        frame: that the points are given in.
        points: (N, 2) [m].
        final_yaw: heading at the end [rad], or None where the poses tell no heading.
    """

    frame: str
    points: np.ndarray
    final_yaw: float | None


def read_path(data: bytes) -> PathMessage:
    """Takes a path from its message.

    Raises:
        VmError: not a Path, more than MAX_POINTS poses, or poses in another frame than the path.
    """
    if data[:2] != CDR_LITTLE_ENDIAN[:2]:
        raise VmError("path that is no little-endian CDR")
    body = data[_HEADER:]
    try:
        frame, at = _text(body, _STAMP)
        at = _aligned(at, _LENGTH)
        (count,) = struct.unpack_from("<I", body, at)
        if count > MAX_POINTS:
            raise VmError(f"path of {count} points; expected at most {MAX_POINTS}")
        poses = _poses(body, at + _LENGTH, count, frame)
    except (struct.error, ValueError) as error:
        raise VmError(f"path of {len(data)} bytes that are none ({error})") from None
    return PathMessage(frame.decode(errors="replace"), poses[:, :2], _final_yaw(poses[:, [6, 3, 4, 5]]))


def _poses(body: bytes, begin: int, count: int, frame: bytes) -> np.ndarray:
    """(count, 7) position [m] and orientation xyzw."""
    if not count:
        return np.zeros((0, 7))
    own, end = _text(body, begin + _STAMP)
    first = _aligned(end, 8)
    name = body[begin + _STAMP : end]
    ahead = _aligned(_STAMP + len(name), 8)  # from the second pose on each begins where a double may
    rest, stride = first + _POSE, ahead + _POSE
    rows = np.frombuffer(body, np.uint8, (count - 1) * stride, rest).reshape(count - 1, stride)
    if own not in (b"", frame) or not np.all(rows[:, _STAMP : _STAMP + len(name)] == np.frombuffer(name, np.uint8)):
        raise VmError("path with poses in other frames than its own")
    later = np.ascontiguousarray(rows[:, ahead:]).view("<f8").reshape(-1, 7)
    return np.concatenate([np.frombuffer(body, "<f8", 7, first)[None], later])


def _text(body: bytes, at: int) -> tuple[bytes, int]:
    """A string without its final zero, and where it ends."""
    (length,) = struct.unpack_from("<I", body, at)
    end = at + _LENGTH + length
    if end > len(body):
        raise ValueError("a text beyond the end")
    return body[at + _LENGTH : end].rstrip(b"\0"), end


def _final_yaw(quats_wxyz: np.ndarray) -> float | None:
    with np.errstate(all="ignore"):
        turned = bool(np.any(quats_wxyz[:, 1:] != 0.0)) and abs(np.linalg.norm(quats_wxyz[-1]) - 1.0) < 0.1
    return float(frames.yaw_from_quat(quats_wxyz[-1])) if turned else None


def _aligned(at: int, size: int) -> int:
    return -(-at // size) * size
