"""Scan to plane map: Gauss–Newton over point-to-plane distances, with what the prediction knows as a prior."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from vm_heightmap.compiled_turns import exp_so3
from vm_heightmap.plane_map import OFFSET, VALID, PlaneMap, address


@dataclass(frozen=True)
class RegistrationConfig:
    """How scans are matched.

    Attributes:
        point_std_m: of a distance to a plane; larger than the sensor's noise, because neighbours err together.
        scale_m: distances beyond count for little: at a stair's edge, points of one surface meet the other's plane.
        gates_m: largest distances that count, in the first iteration and later.
        iterations: at most.
        converged_m, converged_rad: steps below end it.
    """

    point_std_m: float = 0.07
    scale_m: float = 0.03
    gates_m: tuple[float, float] = (0.25, 0.10)
    iterations: int = 6
    converged_m: float = 1e-4
    converged_rad: float = 1e-4


@dataclass(frozen=True)
class Registration:
    """Result of a match.

    Attributes:
        turn: (3,) rotation vector in the world about `center`; move: (3,) shift [m]. Both to be applied to the points.
        information: (6, 6) of the points alone, turn first.
        matched, inliers: points with a plane, and those of them within twice the sensor's noise.
        iterations: that were needed.
    """

    turn: np.ndarray
    move: np.ndarray
    information: np.ndarray
    matched: int
    inliers: int
    iterations: int


def register(
    planes: PlaneMap, points_world: np.ndarray, center: np.ndarray, prior: np.ndarray, config: RegistrationConfig
) -> Registration:
    """Finds the small motion that lays predicted points onto the planes.

    Args:
        planes: the map.
        points_world: (N, 3) where the prediction puts the points [m].
        center: (3,) about which the prediction's rotation may err.
        prior: (6, 6) information (inverse covariance) of the prediction, turn first.
        config: gates and noise.
    """
    turn, move = np.eye(3), np.zeros(3)
    step_information, counts, used = np.zeros((6, 6)), np.zeros(2, dtype=np.int64), 0
    rotvec = np.zeros(3)
    arrays = (planes.keys, planes.planes)
    for used in range(1, config.iterations + 1):
        gate = config.gates_m[0] if used == 1 else config.gates_m[1]
        noise = (config.point_std_m, config.scale_m, gate)
        gradient = np.zeros(6)
        step_information[:], counts[:] = 0.0, 0
        sums = (step_information, gradient, counts)
        _accumulate(points_world, center, turn, move, arrays, planes.geometry, noise, *sums)
        gradient += prior @ np.concatenate([rotvec, move])
        step = -np.linalg.solve(step_information + prior, gradient)
        rotvec, move = rotvec + step[:3], move + step[3:]  # turns are small: their vectors add
        turn = exp_so3(rotvec)
        if np.abs(step[:3]).max() < config.converged_rad and np.abs(step[3:]).max() < config.converged_m:
            break
    return Registration(rotvec, move, step_information, int(counts[0]), int(counts[1]), used)


@numba.njit(cache=True, nogil=True)
def _accumulate(points, center, turn, move, arrays, geometry, noise, information, gradient, counts):
    keys, planes = arrays
    std, scale, gate = noise
    jacobian = np.empty(6)
    for i in range(len(points)):
        ax, ay, az = points[i, 0] - center[0], points[i, 1] - center[1], points[i, 2] - center[2]
        bx = turn[0, 0] * ax + turn[0, 1] * ay + turn[0, 2] * az
        by = turn[1, 0] * ax + turn[1, 1] * ay + turn[1, 2] * az
        bz = turn[2, 0] * ax + turn[2, 1] * ay + turn[2, 2] * az
        x, y, z = bx + center[0] + move[0], by + center[1] + move[1], bz + center[2] + move[2]
        for level in range(2):
            place, key = address(x, y, z, geometry[0][level], geometry[1], geometry[2])
            if keys[level, place] == key and planes[level, place, VALID] > 0.0:
                plane = planes[level, place]
                off = plane[0] * x + plane[1] * y + plane[2] * z - plane[OFFSET]
                counts[0] += 1
                if abs(off) > gate:
                    break
                if abs(off) < 0.04:
                    counts[1] += 1
                share = 1.0 / (1.0 + off * off / (scale * scale))  # Geman–McClure
                weight = share * share / (std * std)
                jacobian[0] = by * plane[2] - bz * plane[1]
                jacobian[1] = bz * plane[0] - bx * plane[2]
                jacobian[2] = bx * plane[1] - by * plane[0]
                jacobian[3], jacobian[4], jacobian[5] = plane[0], plane[1], plane[2]
                for a in range(6):
                    gradient[a] += weight * off * jacobian[a]
                    for b in range(6):
                        information[a, b] += weight * jacobian[a] * jacobian[b]
                break
