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

FIRST_STD_DEG, FLOOR_STD_DEG, BODY_STD_DEG = 1.8, 0.9, 1.4
LEAN_SHARE = 0.6  # of the way from the hips to the neck: higher up tells more, but who walks or climbs leans forward
UPRIGHT_SECONDS = 2.0  # shorter clips are caught in the middle of a step: their mean says less
STANDING_SHARE = 0.8  # of the usual height of the neck over the ankles; lower is bent or seated
FLOOR_REACH_M, SAME_PLACE_M = 2.5, 0.05
FLOOR_TOLERANCE_M, FLOOR_SHARE, MOST_FLOORS = 0.03, 0.06, 5
DOUBT = 2.0  # standard deviations from the others beyond which an opinion counts less and less
ABOVE_SOLES_M = 0.1  # points higher than this over the highest step are of nothing that was walked on
STEEPEST_DEG = 15.0  # evidence that leans further is of something else


@dataclass(frozen=True)
class Vertical:
    """One opinion: unit vector up (3,) in the present world, its standard deviation [rad], and whose it is."""

    up: np.ndarray
    std: float
    source: str = ""


def upright_people(
    hips: list[np.ndarray], necks: list[np.ndarray], ankles: list[np.ndarray], fps: float
) -> list[Vertical]:
    """From hips, necks and middles between the ankles (T, 3) [m], while people stand or walk; one each."""
    found = []
    for hip, neck, ankle in zip(hips, necks, ankles, strict=True):
        axis = hip + LEAN_SHARE * (neck - hip) - ankle
        standing = axis[:, 2] > STANDING_SHARE * np.quantile(axis[:, 2], 0.9)
        seconds = float(standing.sum()) / fps
        if seconds > 0:
            std = np.radians(BODY_STD_DEG) * np.sqrt(1.0 + (UPRIGHT_SECONDS / seconds) ** 2)
            found.append(_unit(axis[standing].mean(axis=0), std, "upright people"))
    return found


def floor(cloud: np.ndarray, soles: np.ndarray) -> list[Vertical]:
    """Level planes among static points (N, 3) around where soles (M, 3) [m] were; together they count as one opinion.

    Floors, treads and landings; what leans further than STEEPEST_DEG is a wall or a slope.
    """
    places = SAME_PLACE_M * np.unique(np.round(soles[:, :2] / SAME_PLACE_M), axis=0)
    near = cloud[cKDTree(places).query(cloud[:, :2], distance_upper_bound=FLOOR_REACH_M)[0] < FLOOR_REACH_M]
    near = near[near[:, 2] < np.quantile(soles[:, 2], 0.95) + ABOVE_SOLES_M]
    if len(near) < 50:
        return []
    found = planes.find_planes(near, np.full(len(near), FLOOR_TOLERANCE_M), FLOOR_SHARE, MOST_FLOORS)
    level = [plane for plane in found if abs(plane.normal[2]) > np.cos(np.radians(STEEPEST_DEG))]
    share = [plane.members.sum() / sum(p.members.sum() for p in level) for plane in level]
    return [
        _unit(plane.normal * np.sign(plane.normal[2]), np.radians(FLOOR_STD_DEG) / np.sqrt(part), "level planes")
        for plane, part in zip(level, share, strict=True)
    ]


def combined(opinions: list[Vertical], first: np.ndarray | None = None) -> np.ndarray:
    """The weighted mean direction (3,) of opinions and of the first frame's up (the world's z if not given)."""
    heard = _heard(opinions, first)
    return _middle(heard, _weights(heard))


def told_by(opinions: list[Vertical], first: np.ndarray | None = None) -> str:
    """In words whose opinions `combined` follows, how much, and how far each source's mean is from the result."""
    heard = _heard(opinions, first)
    weight = _weights(heard)
    up, said = _middle(heard, weight), []
    for source in dict.fromkeys(one.source for one in heard):
        own = [k for k, one in enumerate(heard) if one.source == source]
        off = np.linalg.norm(np.cross(_middle([heard[k] for k in own], weight[own]), up))
        said.append(f"{source} {100 * weight[own].sum() / weight.sum():.0f} % ({np.degrees(np.arcsin(off)):.1f}° off)")
    return ", ".join(said)


def _heard(opinions: list[Vertical], first: np.ndarray | None) -> list[Vertical]:
    """The first frame's opinion and those that do not contradict it altogether."""
    start = np.array([0.0, 0.0, 1.0]) if first is None else first
    near = [one for one in opinions if one.up @ start > np.cos(np.radians(STEEPEST_DEG))]
    return [Vertical(start, float(np.radians(FIRST_STD_DEG)), "the first frame"), *near]


def _weights(heard: list[Vertical]) -> np.ndarray:
    """(n,) less for who is off by more than DOUBT standard deviations."""
    ups, std = np.array([one.up for one in heard]), np.array([one.std for one in heard])
    weight = 1.0 / std**2
    for _ in range(10):
        off = np.linalg.norm(ups - _middle(heard, weight), axis=1) / std
        weight = 1.0 / (std**2 * (1.0 + (off / DOUBT) ** 2))
    return weight


def _middle(heard: list[Vertical], weight: np.ndarray) -> np.ndarray:
    total = weight @ np.array([one.up for one in heard])
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


def _unit(vector: np.ndarray, std: float, source: str) -> Vertical:
    return Vertical(vector / np.linalg.norm(vector), float(std), source)
