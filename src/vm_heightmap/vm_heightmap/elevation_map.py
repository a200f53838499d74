"""A rolling elevation map around the robot: one height, variance, time and source a cell.

Cells are addressed by their world index modulo the map's size, so that moving the map costs only the cells that enter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from vm_core.errors import VmError
from vm_core.height_grid import CellSource

_SEEN, _SEEDED, _UNKNOWN = int(CellSource.SEEN), int(CellSource.SEEDED), int(CellSource.UNKNOWN)


@dataclass(frozen=True)
class MapConfig:
    """Geometry and noise of the map.

    Attributes:
        size_m, resolution_m: side of the square map and of a cell.
        point_std_m: standard deviation of a point's height near the sensor.
        point_std_per_m: growth of it with range.
        min_variance: floor [m²]; errors of neighbouring points are not independent.
        gate_sigma, gate_floor_m: a point farther from the cell's height than both is no measurement of this surface.
        clear_below_m: a ray must pass this far below a stored height to speak against it.
        clear_every: one ray in this many is followed.
        clear_rays: so many of them must speak against a cell before it is cleared.
        clear_rest_s: cells seen within this time are not cleared.
        blind_radius_m: around the sensor, where no ray can bring the ground back, nothing is cleared.
        confirm_points: so many more agreeing points above the surface make a new surface; single ones are dust.
        seed_radius_m, seed_variance: disc around the feet that is filled at the start, and how little it is trusted.
    """

    size_m: float = 4.0
    resolution_m: float = 0.04
    point_std_m: float = 0.015
    point_std_per_m: float = 0.003
    min_variance: float = 1e-5
    gate_sigma: float = 3.0
    gate_floor_m: float = 0.04
    clear_below_m: float = 0.05
    clear_every: int = 4
    clear_rays: int = 3
    clear_rest_s: float = 0.3
    blind_radius_m: float = 0.75
    confirm_points: int = 6
    seed_radius_m: float = 0.9
    seed_variance: float = 4e-4

    def __post_init__(self) -> None:
        if not 0.005 <= self.resolution_m <= 1.0 or not 4 <= self.size_m / self.resolution_m <= 2000:
            raise VmError(f"map of {self.size_m} m at {self.resolution_m} m: need 4–2000 cells a side, 0.005–1 m each")
        if self.clear_every < 1 or self.clear_rays < 1 or self.confirm_points < 1:
            raise VmError("clear_every, clear_rays and confirm_points must be at least 1")

    @property
    def cells(self) -> int:
        """Cells along a side."""
        return int(round(self.size_m / self.resolution_m))


class ElevationMap:
    """The map; its memory never grows.

    Attributes:
        height, variance, time_s: (n, n) float64 by world index modulo n; heights in the world frame [m], NaN unknown.
        source: (n, n) uint8 CellSource.
        corner: (2,) int64 world index of the window's lower corner.
    """

    def __init__(self, config: MapConfig | None = None) -> None:
        self.config = config or MapConfig()
        n = self.config.cells
        self.height, self.variance, self.time_s = np.full((n, n), np.nan), np.zeros((n, n)), np.zeros((n, n))
        self.source = np.zeros((n, n), dtype=np.uint8)
        self._upper_height, self._upper_count = np.zeros((n, n)), np.zeros((n, n), dtype=np.int32)
        self._passed = np.zeros((n, n), dtype=np.int32)
        self.corner = np.zeros(2, dtype=np.int64)

    def clear(self) -> None:
        """Forgets everything."""
        self._forget(np.ones(self.height.shape, dtype=np.bool_))

    def move_to(self, center_xy: np.ndarray) -> None:
        """Rolls the window so that center_xy (2,) [m] lies in its middle; cells that enter are unknown."""
        n = self.config.cells
        new = np.floor(np.asarray(center_xy) / self.config.resolution_m).astype(np.int64) - n // 2
        if np.array_equal(new, self.corner):
            return
        stays = [self._stays(int(old), int(to)) for old, to in zip(self.corner, new, strict=True)]
        self._forget(~np.logical_and.outer(*stays))
        self.corner = new

    def seed(self, feet_world: np.ndarray, time_s: float) -> None:
        """Fills unknown cells around the feet with the height of the nearest foot.

        Args:
            feet_world: (F, 3) points of the soles that stand on the ground [m].
            time_s: present time.
        """
        x, y = self.cell_centers()
        distance = np.stack([np.hypot(x - foot[0], y - foot[1]) for foot in feet_world])
        near = (distance.min(axis=0) <= self.config.seed_radius_m) & (self.source == _UNKNOWN)
        self.height[near] = np.asarray(feet_world)[distance.argmin(axis=0), 2][near]
        self.variance[near], self.time_s[near], self.source[near] = self.config.seed_variance, time_s, _SEEDED

    def add_points(self, points_world: np.ndarray, origins_world: np.ndarray, time_s: float) -> int:
        """Fuses a scan and clears what its rays pass below.

        Args:
            points_world, origins_world: (N, 3) hits and where the sensor was [m].
            time_s: time of the scan.

        Returns:
            How many points fell into the map.
        """
        c = self.config
        noise = (c.point_std_m, c.point_std_per_m, c.min_variance, c.gate_sigma, c.gate_floor_m, c.confirm_points)
        clear = (c.clear_below_m, c.clear_every, c.clear_rays, c.clear_rest_s, c.blind_radius_m)
        layers = (self.height, self.variance, self.time_s, self.source)
        hidden = (self._upper_height, self._upper_count, self._passed)
        return int(
            _add_points(points_world, origins_world, time_s, self.corner, c.resolution_m, layers, hidden, noise, clear)
        )

    def cell_centers(self) -> tuple[np.ndarray, np.ndarray]:
        """World x and y (n, n) [m] of the cells, in the order of `height`."""
        n, resolution = self.config.cells, self.config.resolution_m
        x, y = (((np.arange(n) - low) % n + low + 0.5) * resolution for low in self.corner)
        return np.meshgrid(x, y, indexing="ij")

    def _stays(self, old: int, new: int) -> np.ndarray:
        n = self.config.cells
        stays = np.zeros(n, dtype=np.bool_)
        stays[np.arange(max(old, new), min(old, new) + n) % n] = True
        return stays

    def _forget(self, mask: np.ndarray) -> None:
        self.height[mask], self.source[mask] = np.nan, _UNKNOWN
        for layer in (self.variance, self.time_s, self._upper_count, self._passed):
            layer[mask] = 0


@numba.njit(cache=True)
def _add_points(points, origins, time_s, corner, resolution, layers, hidden, noise, clear):
    inside = 0
    for i in range(len(points)):
        inside += _add_point(points[i], origins[i], time_s, corner, resolution, layers, hidden, noise)
    for i in range(0, len(points), clear[1]):
        _follow_ray(points[i], origins[i], time_s, corner, resolution, layers, hidden, clear)
    return inside


@numba.njit(cache=True)
def _add_point(point, origin, time_s, corner, resolution, layers, hidden, noise):
    height, variance, newest, source = layers
    upper_height, upper_count, passed = hidden
    std, std_per_m, min_variance, gate_sigma, gate_floor, confirm = noise
    n = height.shape[0]
    ix, iy = int(np.floor(point[0] / resolution)), int(np.floor(point[1] / resolution))
    if ix < corner[0] or iy < corner[1] or ix >= corner[0] + n or iy >= corner[1] + n:
        return 0
    ix, iy = ix % n, iy % n
    z = point[2]
    distance = np.sqrt((point[0] - origin[0]) ** 2 + (point[1] - origin[1]) ** 2 + (z - origin[2]) ** 2)
    sigma = std + std_per_m * distance
    point_variance = sigma * sigma
    if source[ix, iy] == _UNKNOWN:
        height[ix, iy], variance[ix, iy] = z, point_variance
    else:
        step = z - height[ix, iy]
        if abs(step) <= max(gate_floor, gate_sigma * np.sqrt(variance[ix, iy] + point_variance)):
            gain = variance[ix, iy] / (variance[ix, iy] + point_variance)
            height[ix, iy] += gain * step
            variance[ix, iy] = max((1.0 - gain) * variance[ix, iy], min_variance)
            upper_count[ix, iy] = max(upper_count[ix, iy] - 1, 0)
        elif source[ix, iy] == _SEEDED:  # a guess gives way to the first measurement
            height[ix, iy], variance[ix, iy] = z, point_variance
        elif step > 0.0:
            return _raise_surface(ix, iy, z, point_variance, time_s, layers, hidden, gate_floor, confirm)
        else:  # the foot of a riser or of a box in the same cell: its upper surface stays
            return 1
    source[ix, iy], newest[ix, iy], passed[ix, iy] = _SEEN, time_s, 0
    return 1


@numba.njit(cache=True)
def _raise_surface(ix, iy, z, point_variance, time_s, layers, hidden, gate_floor, confirm):
    height, variance, newest, source = layers
    upper_height, upper_count, passed = hidden
    # two votes for each point that agrees, one against for any other: a top that fills a third of the cell wins, the
    # points that a riser scatters over its height do not
    if upper_count[ix, iy] > 0 and abs(z - upper_height[ix, iy]) <= 0.5 * gate_floor:
        upper_count[ix, iy] += 2
        upper_height[ix, iy] += 2.0 * (z - upper_height[ix, iy]) / upper_count[ix, iy]
    elif upper_count[ix, iy] <= 2:
        upper_height[ix, iy], upper_count[ix, iy] = z, 2
    else:
        upper_count[ix, iy] -= 1
    if upper_count[ix, iy] >= 2 * confirm:
        height[ix, iy], variance[ix, iy] = upper_height[ix, iy], point_variance / confirm
        source[ix, iy], newest[ix, iy] = _SEEN, time_s
        upper_count[ix, iy], passed[ix, iy] = 0, 0
    return 1


@numba.njit(cache=True)
def _follow_ray(point, origin, time_s, corner, resolution, layers, hidden, clear):
    height, variance, newest, source = layers
    upper_height, upper_count, passed = hidden
    below, _, needed, rest_s, blind_radius = clear
    n = height.shape[0]
    dx, dy, dz = point[0] - origin[0], point[1] - origin[1], point[2] - origin[2]
    length = np.sqrt(dx * dx + dy * dy)
    if length < blind_radius + 2.0 * resolution:
        return
    ux, uy, slope = dx / length, dy / length, dz / length
    # stops short of the hit, whose own cell may hold the upper edge of what the ray hit
    s = blind_radius
    while s < length - 2.0 * resolution:
        ix, iy = int(np.floor((origin[0] + s * ux) / resolution)), int(np.floor((origin[1] + s * uy) / resolution))
        if ix < corner[0] or iy < corner[1] or ix >= corner[0] + n or iy >= corner[1] + n:
            return
        ix, iy = ix % n, iy % n
        ray_z = origin[2] + s * slope + resolution * abs(slope)
        if source[ix, iy] != _UNKNOWN and ray_z < height[ix, iy] - below and newest[ix, iy] < time_s - rest_s:
            passed[ix, iy] += 1
            if passed[ix, iy] >= needed:
                height[ix, iy], source[ix, iy] = np.nan, _UNKNOWN
                passed[ix, iy], upper_count[ix, iy] = 0, 0
        s += resolution
