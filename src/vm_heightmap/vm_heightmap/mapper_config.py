"""Everything that the mapper can be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from vm_core import g1
from vm_core.errors import VmError
from vm_core.height_grid import HeightGridSpec
from vm_heightmap.drift import DriftConfig
from vm_heightmap.elevation_map import MapConfig
from vm_heightmap.mount_check import MountLimits
from vm_heightmap.odometry_config import OdometryConfig
from vm_heightmap.point_filters import FilterConfig
from vm_heightmap.pose_buffer import OdometryLimits

ODOMETRY_BODIES = ("pelvis", "torso", "lidar")


@dataclass(frozen=True)
class MapperConfig:
    """Configuration of the mapper and its parts.

    Attributes:
        grid, map, filters, odometry, drift, mount: configurations of the parts.
        odometry_body: whose poses `on_odometry` is given, one of ODOMETRY_BODIES.
        own_odometry: estimate poses from the LiDAR, its inertial unit and the legs; else they are given.
        lidar_inertial: configuration of that; its mount is overridden by the next two.
        lidar_pos_torso, lidar_quat_torso_wxyz: mount of the LiDAR, or of the depth camera, in the torso link.
        most_points: of a larger scan, such as a depth camera's, an even share is taken.
        few_points: a scan with fewer usable points is reported.
        odometry_stale_s, lidar_stale_s: older input is reported.
        lidar_lost_s: a newest scan older than this is an error, before that a warning.
    """

    grid: HeightGridSpec = field(default_factory=HeightGridSpec)
    map: MapConfig = field(default_factory=MapConfig)
    filters: FilterConfig = field(default_factory=FilterConfig)
    odometry: OdometryLimits = field(default_factory=OdometryLimits)
    drift: DriftConfig = field(default_factory=DriftConfig)
    mount: MountLimits = field(default_factory=MountLimits)
    odometry_body: str = "pelvis"
    own_odometry: bool = False
    lidar_inertial: OdometryConfig = field(default_factory=OdometryConfig)
    lidar_pos_torso: tuple[float, ...] = tuple(g1.LIDAR_POS_IN_TORSO.tolist())
    lidar_quat_torso_wxyz: tuple[float, ...] = tuple(g1.LIDAR_QUAT_IN_TORSO_WXYZ.tolist())
    most_points: int = 40_000
    few_points: int = 500
    odometry_stale_s: float = 0.1
    lidar_stale_s: float = 0.3
    lidar_lost_s: float = 1.0

    def __post_init__(self) -> None:
        if self.odometry_body not in ODOMETRY_BODIES:
            raise VmError(f"odometry_body is {self.odometry_body!r}; expected one of {', '.join(ODOMETRY_BODIES)}")
