"""What a controller is told: the robot's state, odometry and the height grid, each the newest with its age."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core import g1, unitree_cdr
from vm_core.height_grid import HeightGridSpec


@dataclass(frozen=True)
class Grid:
    """A height grid: torso height [m], terrain height (cells,) [m] with NaN where unknown, geometry."""

    torso_height: float
    terrain_height: np.ndarray
    spec: HeightGridSpec


@dataclass(frozen=True)
class RobotState:
    """One LowState in motor order, SI units."""

    joint_pos: np.ndarray
    joint_vel: np.ndarray
    quat_wxyz: np.ndarray
    ang_vel_body: np.ndarray
    tick: int
    mode_machine: int
    crc_ok: bool
    remote: bytes


def read_low_state(data: bytes) -> RobotState:
    """Takes from a LowState message what control needs.

    Raises:
        VmError: not a LowState.
    """
    record = unitree_cdr.parse_low_state(data)
    motors = {name: unitree_cdr.get_motors(record, name)[: g1.NUM_MOTORS].astype(float) for name in ("q", "dq")}
    return RobotState(
        motors["q"],
        motors["dq"],
        record["imu"]["quaternion"].astype(float),
        record["imu"]["gyroscope"].astype(float),
        int(record["tick"]),
        int(record["mode_machine"]),
        int(record["crc"]) == unitree_cdr.low_state_crc(record),
        record["wireless_remote"].tobytes(),
    )


@dataclass
class Latest:
    """A newest message and when it came."""

    value: object = None
    time_s: float | None = None

    def age_s(self, now_s: float) -> float | None:
        return None if self.time_s is None else max(now_s - self.time_s, 0.0)


@dataclass(frozen=True)
class Odometry:
    """Pelvis position (3,) [m] and linear velocity (3,) [m/s] in the world."""

    pos: np.ndarray
    lin_vel_world: np.ndarray
