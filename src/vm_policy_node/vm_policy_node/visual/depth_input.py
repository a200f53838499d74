"""From a depth camera's messages to the picture that the generator sees: checks, then filters in space and time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core.depth_image import CameraIntrinsics, DepthReducer, DepthSpec
from vm_core.errors import VmError

MILLIMETRES, METRES = "16UC1", "32FC1"
"""Encodings of depth pictures, as the RealSense driver and image_proc name them."""
MOST_HOLES = 0.95
"""A picture in which more is unknown says nothing."""
_NEW_SHARE, _SAME = 0.6, 0.05  # a pixel within 5 % of its last depth moves by this share of the difference
_HELD_PICTURES = 2  # a hole shows for so long what was there before


@dataclass(frozen=True)
class RawPicture:
    """An Image message: size [px], ROS encoding, bytes a row, byte order, data and the time in its header [ms]."""

    width: int
    height: int
    encoding: str
    step: int
    big_endian: bool
    data: bytes | memoryview
    stamp_ms: int = 0


@dataclass(frozen=True)
class DepthPicture:
    """What a policy sees.

    Attributes:
        depth: (height, width) float32 [m] of the network's size and angle of view, 0 where nothing is known.
        stamp_ms: time in its header.
    """

    depth: np.ndarray
    stamp_ms: int = 0


class DepthInput:
    """Takes messages as they come.

    Attributes:
        picture: newest good one, or None.
        time_s: when it came, or None.
        problem: why the newest message was refused, or "".
    """

    def __init__(self, spec: DepthSpec) -> None:
        self.spec = spec
        self.picture: DepthPicture | None = None
        self.time_s: float | None = None
        self.problem = ""
        self._reducer: DepthReducer | None = None
        self._bad_info = ""
        self._filter = PictureFilter()
        self._digest, self._first_s = 0, 0.0

    def on_info(self, camera: tuple[int, int, float, float, float, float]) -> None:
        """Size, focal lengths and principal point of CameraInfo [px]."""
        if self._reducer is not None and camera == _values(self._reducer.camera):
            return
        try:
            self._reducer, self._bad_info = DepthReducer(CameraIntrinsics(*camera), self.spec), ""
        except VmError as error:
            self._reducer, self._bad_info = None, str(error)

    def on_picture(self, raw: RawPicture, now_s: float) -> None:
        """An Image message; a bad one changes nothing but `problem`."""
        try:
            seen = self._reduced(raw)
        except VmError as error:
            self.problem = str(error)
            return
        digest = hash(bytes(raw.data))
        if digest != self._digest:
            self._digest, self._first_s = digest, now_s
        self.problem, self.time_s = "", now_s
        self.picture = DepthPicture(self._filter.update(seen), raw.stamp_ms)

    @property
    def same_s(self) -> float:
        """For how long the newest good picture has come again and again, to the last bit [s]."""
        return 0.0 if self.time_s is None else self.time_s - self._first_s

    def age_s(self, now_s: float) -> float | None:
        """Seconds since the newest good picture came."""
        return None if self.time_s is None else max(now_s - self.time_s, 0.0)

    def _reduced(self, raw: RawPicture) -> np.ndarray:
        depth = depth_of(raw)
        if self._reducer is None:
            raise VmError(self._bad_info or "no camera info has come, so nothing says what the pixels look at")
        known = float(np.mean(depth > 0.0))
        if known < 1.0 - MOST_HOLES:
            raise VmError("the picture is all zeros" if known == 0.0 else f"only {known:.0%} of the picture is known")
        return self._reducer.reduce(depth)


def depth_of(raw: RawPicture) -> np.ndarray:
    """Depths (height, width) [m] of a message, 0 where nothing is known.

    Raises:
        VmError: another encoding, a size that its data do not have, or not one pixel that is a number.
    """
    if raw.encoding not in (MILLIMETRES, METRES):
        raise VmError(f"pictures come as {raw.encoding!r}; expected {MILLIMETRES} [mm] or {METRES} [m]")
    order = ">" if raw.big_endian else "<"
    kind = np.dtype(f"{order}u2" if raw.encoding == MILLIMETRES else f"{order}f4")
    row = raw.width * kind.itemsize
    if min(raw.width, raw.height) < 1 or raw.step < row or len(raw.data) < raw.step * raw.height:
        raise VmError(f"picture of {raw.width}×{raw.height} px in {len(raw.data)} bytes, {raw.step} a row; "
                      f"expected {row} a row")  # fmt: skip
    rows = np.frombuffer(raw.data, dtype=np.uint8, count=raw.step * raw.height).reshape(raw.height, raw.step)
    values = np.ascontiguousarray(rows[:, :row]).view(kind).astype(np.float32)
    if raw.encoding == MILLIMETRES:
        return 0.001 * values
    finite = np.isfinite(values)
    if not finite.any():
        raise VmError("not one pixel of the picture is a number")
    return np.where(finite & (values > 0.0), values, np.float32(0.0))


class PictureFilter:
    """Steadies depths over time where they hardly change, and closes small holes."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None
        self._held = np.zeros(0, dtype=np.int64)

    def update(self, depth: np.ndarray) -> np.ndarray:
        """The filtered picture (height, width) [m]."""
        depth = _closed(depth)
        if self._last is None or self._last.shape != depth.shape:
            self._last, self._held = depth, np.zeros(depth.shape, dtype=np.int64)
            return depth
        known, before = depth > 0.0, self._last > 0.0
        same = known & before & (np.abs(depth - self._last) < _SAME * self._last)
        steady = np.where(same, self._last + _NEW_SHARE * (depth - self._last), depth)
        self._held = np.where(known, 0, self._held + 1)
        self._last = np.where(~known & (self._held <= _HELD_PICTURES), self._last, steady)
        return self._last


def _closed(depth: np.ndarray) -> np.ndarray:
    """Holes with at least five known neighbours of eight take their mean."""
    known = (depth > 0.0).astype(np.float32)
    total, count = (_around(values) for values in (depth * known, known))
    return np.where((known == 0.0) & (count >= 5.0), total / np.maximum(count, 1.0), depth).astype(np.float32)


def _around(values: np.ndarray) -> np.ndarray:
    """Sums over the 3×3 pixels around each, nothing beyond the border."""
    padded = np.pad(values, 1)
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]


def _values(camera: CameraIntrinsics) -> tuple[int, int, float, float, float, float]:
    return camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy
