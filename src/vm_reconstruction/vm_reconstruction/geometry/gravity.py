"""Where down is, from all frames: the first frame's guess, the floor that depth shows, and people, who keep upright.

A picture tells its vertical to a degree or two. Somebody who walks or stands keeps the neck over the ankles on average,
or would fall: over a clip that is the best plumb line of all. The three are weighted by how far each was off on other
videos (`vm-make-dataset --seed 1`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from vm_reconstruction.geometry import planes

FIRST_STD_DEG, FLOOR_STD_DEG, BODY_STD_DEG = 1.8, 1.5, 0.8
UPRIGHT_SECONDS = 2.0  # shorter clips are caught in the middle of a step: their mean says less
STANDING_SHARE = 0.8  # of the usual height of the neck over the ankles; lower is bent or seated
FLOOR_REACH_M, FLOOR_BAND_M, FLOOR_TOLERANCE_M, FLOOR_SHARE = 2.5, 0.25, 0.03, 0.3
STEEPEST_DEG = 15.0  # evidence that leans further is of something else


@dataclass(frozen=True)
class Vertical:
    """One opinion: unit vector up (3,) in the present world, and its standard deviation [rad]."""

    up: np.ndarray
    std: float


def upright_people(necks: list[np.ndarray], ankles: list[np.ndarray], fps: float) -> list[Vertical]:
    """From necks (T, 3) and middles between the ankles (T, 3) [m], while people stand or walk; one each."""
    found = []
    for neck, ankle in zip(necks, ankles, strict=True):
        axis = neck - ankle
        standing = axis[:, 2] > STANDING_SHARE * np.quantile(axis[:, 2], 0.9)
        seconds = float(standing.sum()) / fps
        if seconds > 0:
            std = np.radians(BODY_STD_DEG) * np.sqrt(1.0 + (UPRIGHT_SECONDS / seconds) ** 2)
            found.append(_unit(axis[standing].mean(axis=0), std))
    return found


def floor(cloud: np.ndarray, soles: np.ndarray) -> list[Vertical]:
    """From static points (N, 3) about the lowest places where soles (M, 3) [m] were; none if nothing flat is there."""
    near = cloud[cKDTree(soles[:, :2]).query(cloud[:, :2])[0] < FLOOR_REACH_M]
    low = near[near[:, 2] < np.quantile(soles[:, 2], 0.1) + FLOOR_BAND_M]
    if len(low) < 50:
        return []
    found = planes.find_planes(low, np.full(len(low), FLOOR_TOLERANCE_M), FLOOR_SHARE, 1)
    return [_unit(plane.normal * np.sign(plane.normal[2]), np.radians(FLOOR_STD_DEG)) for plane in found]


def combined(opinions: list[Vertical], first: np.ndarray | None = None) -> np.ndarray:
    """The weighted mean direction (3,) of opinions and of the first frame's up (the world's z if not given)."""
    start = np.array([0.0, 0.0, 1.0]) if first is None else first
    total = start / np.radians(FIRST_STD_DEG) ** 2
    for one in opinions:
        if one.up @ start > np.cos(np.radians(STEEPEST_DEG)):
            total = total + one.up / one.std**2
    return total / np.linalg.norm(total)


def levelling(up: np.ndarray) -> np.ndarray:
    """The least rotation (3, 3) that turns `up` into z."""
    axis = np.array([up[1], -up[0], 0.0])  # up x z
    sine, cosine = float(np.linalg.norm(axis)), float(up[2])
    if sine < 1e-12:
        return np.eye(3)
    k = axis / sine
    cross = np.array([[0.0, -k[2], k[1]], [k[2], 0.0, -k[0]], [-k[1], k[0], 0.0]])
    return np.eye(3) + sine * cross + (1 - cosine) * cross @ cross


def _unit(vector: np.ndarray, std: float) -> Vertical:
    return Vertical(vector / np.linalg.norm(vector), float(std))
