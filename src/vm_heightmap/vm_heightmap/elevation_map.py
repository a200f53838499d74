"""A rolling elevation map around the robot: up to three surfaces a cell, of which the upper well-seen one counts.

Cells are addressed by their world index modulo the map's size, so that moving the map costs only the cells that enter.
How points become surfaces and rays clear them is in `fusion.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core.errors import VmError
from vm_core.height_grid import CellSource
from vm_heightmap import fusion
from vm_heightmap.map_view import MapView


@dataclass(frozen=True)
class MapConfig:
    """Geometry and noise of the map.

    Attributes:
        size_m, resolution_m: side of the square map and of a cell. Cells of 2 cm keep stair edges sharp; the sampler
            averages over several of them, so that noise is no larger than with cells of 4 cm.
        point_std_m: standard deviation of a range near the sensor.
        point_std_per_m: growth of it with range.
        min_variance: floor [m²]; errors of neighbouring points are not independent.
        drift_variance_per_s: what a second of odometry adds to the variance of a height that is not seen again [m²/s].
        max_drift_variance: where that growth ends [m²]; standing still for minutes must not empty the map.
        gate_sigma, gate_floor_m: a point farther from a surface than both belongs to another one.
        surface_share: the highest surface with this share of the cell's best-seen one is the cell's height.
        clear_below_m: a ray must pass this far below a stored height to speak against it.
        clear_below_blind_m: the same within blind_radius_m, where no ray can bring the ground back.
        clear_every: one ray in this many is followed.
        clear_rays: so many of them must speak against a surface before it is cleared.
        clear_rest_s: surfaces seen within this time are not cleared.
        blind_radius_m: around the sensor.
        seed_radius_m, seed_variance: disc around the feet that is filled at the start, and how little it is trusted.
    """

    size_m: float = 4.0
    resolution_m: float = 0.02
    point_std_m: float = 0.015
    point_std_per_m: float = 0.003
    min_variance: float = 4e-6
    drift_variance_per_s: float = 2e-6
    max_drift_variance: float = 1e-4
    gate_sigma: float = 3.0
    gate_floor_m: float = 0.03
    surface_share: float = 0.35
    clear_below_m: float = 0.05
    clear_below_blind_m: float = 0.15
    clear_every: int = 4
    clear_rays: int = 2
    clear_rest_s: float = 0.3
    blind_radius_m: float = 0.75
    seed_radius_m: float = 0.9
    seed_variance: float = 4e-4

    def __post_init__(self) -> None:
        if not 0.005 <= self.resolution_m <= 1.0 or not 4 <= self.size_m / self.resolution_m <= 2000:
            raise VmError(f"map of {self.size_m} m at {self.resolution_m} m: need 4–2000 cells a side, 0.005–1 m each")
        if self.clear_every < 1 or self.clear_rays < 1 or not 0.0 < self.surface_share <= 1.0:
            raise VmError("clear_every and clear_rays must be at least 1, surface_share in 0–1")

    @property
    def cells(self) -> int:
        """Cells along a side."""
        return int(round(self.size_m / self.resolution_m))


class ElevationMap:
    """The map; its memory never grows. Times are kept as float32 after `start_s`: that holds weeks, not years.

    Attributes:
        surface: (n, n, 4) float32 by world index modulo n: height in the world frame [m], NaN unknown; variance [m²];
            time; hits.
        ceiling: (n, n) float32 highest of what a cell holds, believed or not.
        source: (n, n) uint8 CellSource.
        cells: (n, n, 16) float32, see `fusion`.
        corner: (4,) int64 world index of the window's lower corner, and the same modulo n.
        changes: rises with each change of a height.
    """

    def __init__(self, config: MapConfig | None = None) -> None:
        self.config = config or MapConfig()
        n = self.config.cells
        self.surface = np.zeros((n, n, 4), dtype=np.float32)
        self.ceiling = np.full((n, n), -1e9, dtype=np.float32)
        self.source = np.zeros((n, n), dtype=np.uint8)
        self.cells = _aligned((n, n, fusion.RECORD))
        self._passed = np.zeros((n, n), dtype=np.uint8)
        self.corner = np.zeros(4, dtype=np.int64)
        self.start_s, self.changes = 0.0, 0
        self.clear()

    @property
    def height(self) -> np.ndarray:
        """(n, n) [m] by world index modulo n; NaN unknown."""
        return self.surface[..., 0]

    @property
    def layers(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """surface, ceiling and source."""
        return self.surface, self.ceiling, self.source

    @property
    def view(self) -> MapView:
        """What the sampler reads; it changes with the map."""
        c = self.config
        noise = (c.drift_variance_per_s, c.max_drift_variance, c.min_variance)
        return MapView(self.surface, self.source, self.corner, (1.0 / c.resolution_m, self.start_s, *noise))

    @property
    def place(self) -> tuple[np.ndarray, float]:
        """corner and cells a metre."""
        return self.corner, 1.0 / self.config.resolution_m

    def clear(self) -> None:
        """Forgets everything."""
        self._forget(np.ones(self.height.shape, dtype=np.bool_))

    def move_to(self, center_xy: np.ndarray) -> None:
        """Rolls the window so that center_xy (2,) [m] lies in its middle; cells that enter are unknown."""
        n = self.config.cells
        new = np.floor(np.asarray(center_xy) / self.config.resolution_m).astype(np.int64) - n // 2
        if np.array_equal(new, self.corner[:2]):
            return
        for axis, (old, to) in enumerate(zip(self.corner[:2], new, strict=True)):
            gone = ~self._stays(int(old), int(to))
            if gone.any():
                self._forget(gone if axis == 0 else (slice(None), gone))
        self.corner[:2], self.corner[2:] = new, new % n

    def shift(self, up_m: float) -> None:
        """Moves every height, because the odometry under them has moved."""
        if up_m == 0.0:
            return
        self.changes += 1
        up = np.full(self.source.shape, up_m, dtype=np.float32)
        fusion.lift(up, self.layers, self.cells)

    def tilt(self, turn: np.ndarray, pivot: np.ndarray) -> None:
        """Turns the heights by a small rotation vector (3,) about a point (3,); what lies where does not change."""
        if np.linalg.norm(turn) * self.config.size_m < 1e-4:
            return
        self.changes += 1
        x, y = self.cell_centers()
        up = (turn[0] * (y - pivot[1]) - turn[1] * (x - pivot[0])).astype(np.float32)
        fusion.lift(up, self.layers, self.cells)

    def seed(self, feet_world: np.ndarray, time_s: float, slope: np.ndarray | None = None) -> None:
        """Fills cells around the feet that no point has met with the plane of the nearest foot.

        Args:
            feet_world: (F, 3) points of the soles that stand on the ground [m].
            time_s: present time.
            slope: (2,) rise of the ground along x and y; None: level.
        """
        feet, along = np.asarray(feet_world, dtype=float), np.zeros(2) if slope is None else np.asarray(slope)
        x, y = self.cell_centers()
        distance = np.stack([np.hypot(x - foot[0], y - foot[1]) for foot in feet])
        near = (distance.min(axis=0) <= self.config.seed_radius_m) & (self.source != CellSource.SEEN)
        own = feet[distance.argmin(axis=0)][near]
        plane = own[:, 2] + along[0] * (x[near] - own[:, 0]) + along[1] * (y[near] - own[:, 1])
        self._begin(time_s)
        rest = np.array([self.config.seed_variance, time_s - self.start_s, 0.0])
        self.surface[near] = np.column_stack([plane, np.tile(rest, (len(plane), 1))])
        self.source[near] = CellSource.SEEDED

    def add_points(self, points_world: np.ndarray, origins_world: np.ndarray, time_s: float) -> int:
        """Fuses a scan and clears what its rays pass below.

        Args:
            points_world, origins_world: (N, 3) hits and where the sensor was [m].
            time_s: time of the scan.

        Returns:
            How many points fell into the map.
        """
        c = self.config
        self._begin(time_s)
        noise = (c.point_std_m, c.point_std_per_m, c.min_variance, c.drift_variance_per_s, c.max_drift_variance)
        gate = (c.gate_sigma, c.gate_floor_m, c.surface_share)
        clear = (c.clear_below_m, c.clear_below_blind_m, c.clear_every, c.clear_rays, c.clear_rest_s, c.blind_radius_m)
        now, rays = np.float32(time_s - self.start_s), (points_world, origins_world)
        inside = fusion.add_points(*rays, now, self.place, self.layers, self.cells, self._passed, noise, gate)
        fusion.clear_rays(*rays, now, self.place, self.layers, self.cells, self._passed, clear, c.surface_share)
        return int(inside)

    def residuals(self, points_world: np.ndarray, time_s: float, rest_s: float) -> np.ndarray:
        """How far points (N, 3) lie above the well-seen surfaces under them that rested for rest_s; (M,) [m]."""
        out = np.empty(len(points_world))
        return out[: fusion.residuals(points_world, time_s - rest_s - self.start_s, self.place, self.cells, out)]

    def cell_centers(self) -> tuple[np.ndarray, np.ndarray]:
        """World x and y (n, n) [m] of the cells, in the order of `height`."""
        n, resolution = self.config.cells, self.config.resolution_m
        x, y = (((np.arange(n) - low) % n + low + 0.5) * resolution for low in self.corner[:2])
        return np.meshgrid(x, y, indexing="ij")

    def _stays(self, old: int, new: int) -> np.ndarray:
        n = self.config.cells
        stays = np.zeros(n, dtype=np.bool_)
        stays[np.arange(max(old, new), min(old, new) + n) % n] = True
        return stays

    def _begin(self, time_s: float) -> None:
        self.changes += 1
        if not self.source.any():
            self.start_s = time_s

    def _forget(self, where) -> None:
        self.changes += 1
        self.surface[where], self.source[where], self.cells[where] = (np.nan, 0.0, 0.0, 0.0), CellSource.UNKNOWN, 0.0
        self.ceiling[where], self._passed[where] = -1e9, 0


def _aligned(shape: tuple[int, int, int]) -> np.ndarray:
    """Zeros whose records of 16 float32 each lie in one cache line of 64 bytes."""
    size = int(np.prod(shape)) * 4
    raw = np.zeros(size + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(np.float32).reshape(shape)
