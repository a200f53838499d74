"""Level, as floors and walls tell it: most floors are level and most walls upright, to within builders' tolerances.

An accelerometer's bias tilts the world by 3 mrad for 0.03 m/s², and no walking without turning reveals it: a height
drifts by that tilt times the way. What people build is as true as that; a slope, however, must not count as level. So
the floor's direction is weighed by how likely it is, given gravity, that this floor was meant to be level; walls alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from vm_heightmap.plane_map import NORMAL_STD, VALID, PlaneMap, address

LARGE = 1  # level of the plane map whose voxels are read: small ones at a stair's edge lean
FLOOR, WALL = 0, 1
UP_COSINE, WALL_COSINE = 0.995, 0.1  # to up: planes beyond are neither floor nor wall
EVERY = 4  # one point in so many is looked up


@dataclass(frozen=True)
class LevelConfig:
    """How much floors and walls count.

    Attributes:
        std_rad: of a floor from level and of a wall from upright, over metres (DIN 18202 allows 2.5 mrad over 4 m).
        slope_rad: standard deviation of floors that were not meant to be level, and of walls that lean.
        level_share: of floors and walls that were meant so.
        most_std_rad: voxels whose direction is less certain are left out.
        least_points: fewer are no evidence.
        memory_points: evidence of more than so many points is forgotten.
    """

    std_rad: float = 0.002
    slope_rad: float = 0.03
    level_share: float = 0.5
    most_std_rad: float = 0.02
    least_points: float = 100.0
    memory_points: float = 10_000.0


class BuildingLevel:
    """Remembers the directions of the floors and walls that the last scans lay on, in the plane map's world.

    Up is (x, y, 1) with small x and y, since that world began levelled by gravity.
    """

    def __init__(self, config: LevelConfig | None = None) -> None:
        self.config = config or LevelConfig()
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        # rows FLOOR, WALL: information (2, 2) and vector (2,) of the tilt, and points
        self._information, self._vector, self._points = np.zeros((2, 2, 2)), np.zeros((2, 2)), np.zeros(2)
        self._tilts = np.zeros((2, 2))

    def observe(self, planes: PlaneMap, points_world: np.ndarray) -> None:
        """Takes a matched scan's points (N, 3)."""
        c = self.config
        found = (np.zeros((2, 2, 2)), np.zeros((2, 2)), np.zeros(2))
        limits = ((2.0 * c.std_rad) ** 2, c.most_std_rad)
        _collect(points_world[::EVERY], planes.keys, planes.planes, planes.geometry, self._tilts, limits, *found)
        keep = np.maximum(1.0 - found[2] / c.memory_points, 0.0)
        self._information = keep[:, None, None] * self._information + found[0]
        self._vector, self._points = keep[:, None] * self._vector + found[1], keep * self._points + found[2]
        # what no wall told stays zero, for the ridge
        ridge = 1e-3 * np.trace(self._information, axis1=1, axis2=2)[:, None, None] * np.eye(2) + 1e-9 * np.eye(2)
        self._tilts = np.linalg.solve(self._information + ridge, self._vector[..., None])[..., 0]

    def up(self, gravity: np.ndarray, std_rad: float) -> np.ndarray:
        """Up (3,), not of length one, from gravity (3,), whose direction errs by std_rad, and what was observed."""
        tilt, information = gravity[:2] / gravity[2], np.eye(2) / std_rad**2
        for kind in (FLOOR, WALL):
            if self._points[kind] < self.config.least_points:
                continue
            most = np.linalg.eigvalsh(self._information[kind])[1]
            # one building errs as a whole: more points make it no truer than its builders
            told = self._information[kind] / (most * self.config.std_rad**2)
            off = self._tilts[kind] - tilt
            told = self._share(off, told, information) * told
            information = information + told
            tilt = tilt + np.linalg.solve(information, told @ off)
        return np.array([tilt[0], tilt[1], 1.0])

    def _share(self, off: np.ndarray, told: np.ndarray, known: np.ndarray) -> float:
        """Probability that what lies `off` (2,) the known level was meant to be level (Bayes' rule)."""
        c = self.config
        square = float(off @ told @ np.linalg.solve(known + told, known @ off))
        axes = float(np.trace(told)) * c.std_rad**2  # one that a single wall tells, two of a floor
        wider = np.sqrt(np.linalg.det(np.eye(2) + told @ np.linalg.inv(known)))
        odds = (1.0 - c.level_share) / c.level_share * (c.std_rad / c.slope_rad) ** axes * wider
        return 1.0 / (1.0 + odds * float(np.exp(min(0.5 * square, 50.0))))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _collect(points, keys, planes, geometry, tilts, limits, information, vector, counts):
    """Adds the normal equations of the tilts of floor and walls; planes far from the tilt known so far count little."""
    variance, most_std = limits
    for i in range(len(points)):
        place, key = address(points[i, 0], points[i, 1], points[i, 2], geometry[0][LARGE], geometry[1], geometry[2])
        if keys[LARGE, place] != key:
            continue
        plane = planes[LARGE, place]
        if plane[VALID] <= 0.0 or plane[NORMAL_STD] > most_std:
            continue
        x, y, z = plane[0], plane[1], plane[2]
        spread = variance + plane[NORMAL_STD] ** 2
        if abs(z) > UP_COSINE:
            off_x, off_y = x / z - tilts[FLOOR, 0], y / z - tilts[FLOOR, 1]
            weight = 1.0 / (spread + off_x * off_x + off_y * off_y)
            for a in range(2):
                information[FLOOR, a, a] += weight
                vector[FLOOR, a] += weight * plane[a] / z
            counts[FLOOR] += 1.0
        elif abs(z) < WALL_COSINE:
            off = x * tilts[WALL, 0] + y * tilts[WALL, 1] + z
            weight = 1.0 / (spread + off * off)
            for a in range(2):
                for b in range(2):
                    information[WALL, a, b] += weight * plane[a] * plane[b]
                vector[WALL, a] -= weight * plane[a] * z
            counts[WALL] += 1.0
