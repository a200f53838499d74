"""The depth picture that generators see: geometry, how it is scaled, and how a camera's own picture becomes one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from array_api_compat import array_namespace

from vm_core import g1
from vm_core.errors import VmError
from vm_core.frames import Array, quat_from_matrix

HOLE = 0.0
"""Depth of a pixel that the sensor could not measure [m], as RealSense's driver has it; networks see it as nearest."""
_EDGE = 0.1  # halves of a pixel that differ by this share of their mean are two surfaces
_MOST_HOLES = 0.5  # a pixel of which the camera measured less than this share is a hole


@dataclass(frozen=True)
class DepthSpec:
    """A pinhole depth camera on the torso and the range that networks see.

    Attributes:
        width, height: [px].
        fov_deg: vertical angle of view [deg].
        near_m, far_m: depths along the optical axis; what lies outside reads as the nearest of them.
        pos_in_torso: (3,) optical centre in the torso link [m].
        tilt_rad: how far it looks down from the torso's x axis.
        rate_hz: pictures a second.
        max_age_s: oldest picture that may be acted on.
    """

    width: int = 80
    height: int = 45
    fov_deg: float = 54.53
    near_m: float = 0.1
    far_m: float = 2.0
    pos_in_torso: tuple[float, float, float] = tuple(g1.CAMERA_POS_IN_TORSO.tolist())
    tilt_rad: float = g1.CAMERA_TILT_RAD
    rate_hz: float = 30.0
    max_age_s: float = 0.2

    def __post_init__(self) -> None:
        if not (2 <= self.width <= 2000 and 2 <= self.height <= 2000 and 5.0 <= self.fov_deg <= 150.0):
            raise VmError(f"depth picture of {self.width}×{self.height} px over {self.fov_deg}°; "
                          "expected 2 to 2000 px and 5 to 150°")  # fmt: skip
        if not (0.0 < self.near_m < self.far_m <= 100.0 and 0.0 < self.max_age_s <= 5.0 and self.rate_hz > 0.0):
            raise VmError(f"depth from {self.near_m} to {self.far_m} m, {self.rate_hz} Hz, at most {self.max_age_s} s "
                          "old; expected rising, above 0, at most 5 s")  # fmt: skip
        if len(self.pos_in_torso) != 3 or not all(math.isfinite(v) for v in (*self.pos_in_torso, self.tilt_rad)):
            raise VmError(
                f"depth camera at {self.pos_in_torso}, tilted {self.tilt_rad}; expected 3 and 1 finite numbers"
            )

    @property
    def focal_px(self) -> float:
        """Focal length, the same along both axes."""
        return 0.5 * self.height / math.tan(0.5 * math.radians(self.fov_deg))

    @cached_property
    def rays(self) -> np.ndarray:
        """Directions (height, width, 3) through the pixels' centres; x right, y down, z = 1 forward."""
        x = (np.arange(self.width) + 0.5 - 0.5 * self.width) / self.focal_px
        y = (np.arange(self.height) + 0.5 - 0.5 * self.height) / self.focal_px
        return np.stack([*np.meshgrid(x, y), np.ones((self.height, self.width))], axis=-1)

    @property
    def quat_in_torso(self) -> np.ndarray:
        """(4,) wxyz of the optical frame (x right, y down, z forward) in the torso link."""
        c, s = math.cos(self.tilt_rad), math.sin(self.tilt_rad)
        return quat_from_matrix(np.array([[0.0, -s, c], [-1.0, 0.0, 0.0], [0.0, -c, -s]]))

    def scaled(self, depth: Array) -> Array:
        """Depths [m] of any shape as networks see them: near −0.5, far +0.5, holes as near."""
        xp = array_namespace(depth)
        return (xp.clip(depth, self.near_m, self.far_m) - self.near_m) / (self.far_m - self.near_m) - 0.5


@dataclass(frozen=True)
class CameraIntrinsics:
    """What CameraInfo says: size, focal lengths and principal point [px]."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        numbers = (self.fx, self.fy, self.cx, self.cy)
        if not (self.width > 0 and self.height > 0 and all(math.isfinite(v) for v in numbers)):
            raise VmError(f"camera of {self.width}×{self.height} px with intrinsics {numbers}; expected finite numbers")
        if min(self.fx, self.fy) <= 0.0:
            raise VmError(f"camera with focal lengths {self.fx:g}, {self.fy:g} px; expected above 0")


class DepthReducer:
    """Makes a camera's depth picture one of the networks' size and angle of view.

    Each pixel is the mean of what the camera measured inside it, a hole where it measured less than half. At an edge
    the side that covers more of the pixel counts alone: a mean would lie in the air between the two.
    """

    def __init__(self, camera: CameraIntrinsics, spec: DepthSpec) -> None:
        """Finds the camera's pixels of each pixel.

        Raises:
            VmError: the camera does not see all that the network expects, or has fewer pixels.
        """
        self.camera, self.spec = camera, spec
        self._columns = _edges(spec.width, spec.focal_px, camera.fx, camera.cx, camera.width, "wide")
        self._rows = _edges(spec.height, spec.focal_px, camera.fy, camera.cy, camera.height, "high")

    def reduce(self, depth: np.ndarray) -> np.ndarray:
        """Depths (height, width) [m] of the network's size from the camera's, both with holes as 0.

        Raises:
            VmError: a picture of another size than the camera's.
        """
        if depth.shape != (self.camera.height, self.camera.width):
            raise VmError(f"depth picture of {depth.shape[1]}×{depth.shape[0]} px; its camera info says "
                          f"{self.camera.width}×{self.camera.height}")  # fmt: skip
        top, left = self._rows[0], self._columns[0]
        seen = depth[top : self._rows[-1], left : self._columns[-1]].astype(np.float32)
        valid = seen > 0.0
        total, count = self._pooled(seen), self._pooled(valid)
        mean = total / np.maximum(count, 1.0)
        near = valid & (seen <= self._spread(mean))
        near_total, near_count = self._pooled(seen * near), self._pooled(near)
        ahead, behind = (
            sums / np.maximum(counts, 1.0)
            for sums, counts in ((near_total, near_count), (total - near_total, count - near_count))
        )
        majority = np.where(near_count >= 0.5 * count, ahead, behind)
        mean = np.where(behind - ahead > _EDGE * mean, majority, mean)
        size = np.diff(self._rows)[:, None] * np.diff(self._columns)[None]
        return np.where(count >= _MOST_HOLES * size, mean, HOLE).astype(np.float32)

    def _spread(self, values: np.ndarray) -> np.ndarray:
        """Each pixel's value for all of the camera's pixels in it."""
        return np.repeat(np.repeat(values, np.diff(self._rows), axis=0), np.diff(self._columns), axis=1)

    def _pooled(self, values: np.ndarray) -> np.ndarray:
        rows = np.add.reduceat(values.astype(np.float32, copy=False), self._rows[:-1] - self._rows[0], axis=0)
        return np.add.reduceat(rows, self._columns[:-1] - self._columns[0], axis=1)


def _edges(count: int, focal: float, camera_focal: float, center: float, size: int, what: str) -> np.ndarray:
    """Borders (count + 1,) of the pixels, in the camera's pixels."""
    edges = center + camera_focal / focal * (np.arange(count + 1) - 0.5 * count)
    slack = 0.02 * size  # a little less than the network's angle of view is stretched, not refused
    if edges[0] < -slack or edges[-1] > size + slack:
        raise VmError(f"camera sees {size / camera_focal:.2f} {what} (extent at 1 m); the network needs "
                      f"{count / focal:.2f} around its centre")  # fmt: skip
    rounded = np.clip(np.rint(edges), 0, size).astype(np.int64)
    if np.any(np.diff(rounded) < 1):
        raise VmError(f"camera's picture is {size} px {what}; the network needs at least {count} of its view")
    return rounded
