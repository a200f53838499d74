"""Messages of every type that the policy node takes beside the robot's state, full of wild numbers and texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, Twist
from nav_msgs.msg import Odometry, Path
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Bool
from unitree_api.msg import Response
from unitree_hg.msg import BmsState

from vm_core.motion_switcher import CHECK_MODE
from vm_msgs.msg import HeightGrid

_WILD = (0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e38, -1e38, 1e-45, 3.4, 100.0, -7.3)
_TEXTS = (
    "",
    "map",
    "no such frame",
    "\x00",
    "ü" * 500,
    "16UC1",
    "32FC1",
    "rgb8",
    '{"name": "ai"}',
    '{"name": 5}',
    "[" * 999,
)


def wild(rng: np.random.Generator, size: int) -> np.ndarray:
    """Numbers that programs stumble over, in float32's range."""
    values = rng.choice(_WILD, size)
    plain = rng.random(size) < 0.5
    return np.where(plain, rng.normal(0.0, 1.0, size), values)


class WildMessages:
    """Makes one of a type, the same for the same generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._makers: dict[Any, Callable[[], Any]] = {
            Odometry: self._odometry,
            HeightGrid: self._grid,
            Twist: self._cmd_vel,
            Path: self._path,
            Bool: lambda: Bool(data=bool(self._rng.random() < 0.02)),  # an e-stop: more would hide all else
            BmsState: lambda: BmsState(soc=int(self._rng.integers(256))),
            CameraInfo: self._camera,
            Image: self._picture,
            Response: self._response,
        }

    def make(self, kind: Any) -> Any:
        """A message of that type."""
        return self._makers[kind]()

    def _floats(self, size: int) -> list[float]:
        return [float(value) for value in wild(self._rng, size)]

    def _text(self) -> str:
        return str(self._rng.choice(_TEXTS))

    def _place(self, pose: Any) -> None:
        point, quat = pose.position, pose.orientation
        point.x, point.y, point.z, quat.w, quat.x, quat.y, quat.z = self._floats(7)

    def _odometry(self) -> Odometry:
        message = Odometry()
        message.header.frame_id = str(self._rng.choice(["map", "map", "odom"]))
        self._place(message.pose.pose)
        speed = message.twist.twist.linear
        speed.x, speed.y, speed.z = self._floats(3)
        return message

    def _grid(self) -> HeightGrid:
        rng, message = self._rng, HeightGrid()
        cells = int(rng.choice([0, 1, 121, 121, 121, 400]))
        message.size_x, message.size_y = (int(rng.choice([0, 1, 11, 11, 11, 65535])) for _ in range(2))
        message.resolution, message.center_x = (float(v) for v in np.clip(wild(rng, 2), -1e38, 1e38))
        message.height = self._floats(cells)
        message.grid_pose.position.z = self._floats(1)[0]
        message.scan_stamp.sec, message.header.stamp.sec = (int(rng.integers(-(2**31), 2**31)) for _ in range(2))
        return message

    def _cmd_vel(self) -> Twist:
        message = Twist()
        message.linear.x, message.linear.y, message.angular.z = self._floats(3)
        return message

    def _path(self) -> Path:
        message = Path()
        message.header.frame_id = self._text()
        for _ in range(int(self._rng.integers(0, 6))):
            pose = PoseStamped()
            self._place(pose.pose)
            message.poses.append(pose)
        return message

    def _camera(self) -> CameraInfo:
        message = CameraInfo()
        message.width, message.height = (int(self._rng.choice([0, 1, 64, 640, 2**32 - 1])) for _ in range(2))
        message.k = self._floats(9)
        return message

    def _picture(self) -> Image:
        rng, message = self._rng, Image()
        message.width, message.height = (int(rng.choice([0, 1, 48, 64, 2**32 - 1])) for _ in range(2))
        message.step = int(rng.choice([0, 64, 128, 256, 2**32 - 1]))
        message.encoding, message.is_bigendian = self._text(), int(rng.integers(2))
        message.data = rng.bytes(int(rng.choice([0, 1, 6144, 12288])))
        return message

    def _response(self) -> Response:
        message = Response(data=self._text())
        message.header.identity.id, message.header.identity.api_id = int(self._rng.integers(3)), CHECK_MODE
        message.header.status.code = int(self._rng.integers(-1, 2))
        return message


TYPED = (Odometry, HeightGrid, Twist, Path, Bool, BmsState, CameraInfo, Image, Response)
