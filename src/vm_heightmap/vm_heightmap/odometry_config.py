"""What the own odometry can be told, and what it says of a scan."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from vm_core import g1
from vm_heightmap.building_level import LevelConfig
from vm_heightmap.inertial_filter import InertialNoise
from vm_heightmap.plane_map import PlaneMapConfig
from vm_heightmap.registration import RegistrationConfig


class ScanVerdict(Enum):
    """What became of a scan."""

    MATCHED = "matched"
    FIRST = "first scan, laid into the empty map"
    WAITS = "waits for inertial data up to its end"
    NOT_STARTED = "no start yet: waiting for a second of inertial data"
    OLD = "older than the state, dropped"
    FEW_POINTS = "too few points to match; predicted only"
    FEW_INLIERS = "too few points on known planes; predicted only"
    TOO_FAR = "match too far from the prediction, refused"
    TIME_JUMP = "time jumped, started afresh"
    LOST = "not matched for too long, started afresh"


@dataclass(frozen=True)
class OdometryConfig:
    """How the pose is found.

    Attributes:
        lidar_pos_torso, lidar_quat_torso_wxyz: mount of the LiDAR in the torso link.
        points: so many of a scan's are matched.
        min_range_m, max_range_m: of matched points; nearer ones are the robot itself.
        least_points, least_inlier_share: fewer are no match.
        max_step_m, max_step_rad: a match farther from the prediction is refused.
        start_s: inertial data that the start averages; standing still is best.
        still_rad_s: turning no faster than this, it stands still, and the gyroscope's mean is its bias.
        held_s: a scan does not wait for the next inertial sample if it ends so soon after the newest.
        max_gap_s: longer pauses in the inertial data are jumps in time.
        lost_s: without a match for longer, dead reckoning is worth nothing and all begins anew.
        leg_period_s: between velocities from the legs.
        leg_gate_m_s: a foot whose velocity differs by more does not stand.
    """

    registration: RegistrationConfig = field(default_factory=RegistrationConfig)
    planes: PlaneMapConfig = field(default_factory=PlaneMapConfig)
    inertial: InertialNoise = field(default_factory=InertialNoise)
    level: LevelConfig = field(default_factory=LevelConfig)
    lidar_pos_torso: tuple[float, ...] = tuple(g1.LIDAR_POS_IN_TORSO.tolist())
    lidar_quat_torso_wxyz: tuple[float, ...] = tuple(g1.LIDAR_QUAT_IN_TORSO_WXYZ.tolist())
    points: int = 5000
    min_range_m: float = 1.0
    max_range_m: float = 30.0
    least_points: int = 400
    least_inlier_share: float = 0.4
    max_step_m: float = 0.15
    max_step_rad: float = 0.17
    start_s: float = 1.0
    still_rad_s: float = 0.1
    held_s: float = 0.005
    max_gap_s: float = 0.5
    lost_s: float = 1.5
    leg_period_s: float = 0.02
    leg_gate_m_s: float = 0.25
