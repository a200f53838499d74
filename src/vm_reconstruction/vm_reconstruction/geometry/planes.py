"""Planes in a point cloud: the largest first, each refined by least squares; points near one are moved onto it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Plane:
    """normal.x = offset, unit normal (3,); members (N,) bool of the cloud that it was found in."""

    normal: np.ndarray
    offset: float
    members: np.ndarray


def find_planes(
    points: np.ndarray, tolerance_m: np.ndarray, min_share: float, most: int, seed: int = 0, tries: int = 300
) -> list[Plane]:
    """Up to `most` planes that hold at least min_share of the points (N, 3), RANSAC, then fits.

    tolerance_m (N,): how far from its plane a point may be; far points may be farther, as their depth errs by more.
    """
    rng = np.random.default_rng(seed)
    free = np.ones(len(points), bool)
    planes: list[Plane] = []
    while len(planes) < most and free.sum() >= max(50, min_share * len(points)):
        found = _largest(points, np.flatnonzero(free), tolerance_m, rng, tries)
        if found is None or found.members.sum() < min_share * len(points):
            break
        planes.append(found)
        free &= ~found.members
    return planes


def _largest(
    points: np.ndarray, free: np.ndarray, tolerance: np.ndarray, rng: np.random.Generator, tries: int
) -> Plane | None:
    chosen = rng.choice(free, min(4000, len(free)), replace=False)
    sample, allowed = points[chosen], tolerance[chosen, None]
    corners = sample[rng.integers(len(sample), size=(tries, 3))]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    size = np.linalg.norm(normal, axis=1)
    normal = normal[size > 1e-3] / size[size > 1e-3, None]
    if len(normal) == 0:
        return None
    offset = np.sum(normal * corners[size > 1e-3, 0], axis=1)
    count = (np.abs(sample @ normal.T - offset) < allowed).sum(axis=0)
    best = int(np.argmax(count))
    n, d = normal[best], offset[best]
    for _ in range(4):
        near = free[np.abs(points[free] @ n - d) < tolerance[free]]
        if len(near) < 10:
            return None
        weight = 1.0 / tolerance[near] ** 2
        center = np.average(points[near], axis=0, weights=weight)
        away = points[near] - center
        n = np.linalg.eigh((away * weight[:, None]).T @ away)[1][:, 0]
        d = float(n @ center)
    members = np.zeros(len(points), bool)
    members[free[np.abs(points[free] @ n - d) < tolerance[free]]] = True
    return Plane(n, d, members)


def snapped(points: np.ndarray, planes: list[Plane]) -> np.ndarray:
    """Points (N, 3) with each plane's members moved onto it."""
    result = points.copy()
    for plane in planes:
        away = result[plane.members] @ plane.normal - plane.offset
        result[plane.members] -= away[:, None] * plane.normal
    return result
