"""What the checks look at, once a control period."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vm_core.depth_image import DepthSpec
from vm_core.height_grid import HeightGridSpec
from vm_policy_node.inputs import Grid, Odometry, RobotState


@dataclass(frozen=True)
class Needs:
    """Which inputs the loaded policy reads beside the robot state.

    Attributes:
        grid: geometry of the height grid that it reads, or None.
        odometry: whether it reads a position or a velocity in the world.
        depth: the depth picture that it sees, or None.
    """

    grid: HeightGridSpec | None = None
    odometry: bool = False
    depth: DepthSpec | None = None


@dataclass(frozen=True)
class Measurement:
    """Newest inputs with their ages, and how the node itself is doing.

    Attributes:
        state, grid, odometry: newest good ones, or None before the first.
        state_age_s, grid_age_s, odometry_age_s: seconds since they came; None if none came.
        bad_states, good_states: messages with a wrong and a right checksum (or form) since the last cycle.
        period_s: since the last control cycle, and `nominal_period_s` what it should be.
        command_age_s: since the newest root command of any source; None if none came.
        command_publishers: who publishes motor commands; None while that is not known.
        estop: reason of an emergency stop that is engaged, or "".
        transport: why commands do not reach the robot, or "".
        charge_percent: of the battery, or None where nothing tells it.
        depth_age_s: since the newest good depth picture came; None if none came.
        depth_same_s: for how long the very same depth picture has come again and again.
        depth_problem: why the newest depth picture was refused, or "".
        depth_below: share of the newest one that lies far below the floor.
    """

    state: RobotState | None
    state_age_s: float | None
    grid: Grid | None = None
    grid_age_s: float | None = None
    odometry: Odometry | None = None
    odometry_age_s: float | None = None
    bad_states: int = 0
    good_states: int = 1
    period_s: float = 0.02
    nominal_period_s: float = 0.02
    command_age_s: float | None = None
    command_publishers: int | None = None
    estop: str = ""
    transport: str = ""
    charge_percent: float | None = None
    depth_age_s: float | None = None
    depth_same_s: float = 0.0
    depth_problem: str = ""
    depth_below: float = 0.0


def tilt_rad(quat_wxyz: np.ndarray) -> float:
    """Angle [rad] between the body's z axis and the world's, of a unit quaternion (4,)."""
    _, x, y, _ = quat_wxyz.tolist()  # plain numbers: on this path between state and command microseconds count
    return math.acos(min(max(1.0 - 2.0 * (x * x + y * y), -1.0), 1.0))
