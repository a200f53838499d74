"""Bodies do not go through what is seen of the scene: joints keep their flesh's distance from floors, walls, tables.

Where something touches, `terms.on_surface` holds it from both sides; everywhere else the scene only pushes outward.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from vm_reconstruction.solver.joint import terms
from vm_reconstruction.solver.joint.rows import Rows, windows
from vm_reconstruction.solver.joint.state import PersonPoints

NEAR_M, NEIGHBOURS = 0.25, 24  # of the scene's points that make up the surface beside a joint
FLAT_SHARE = 0.25  # of their spread along the surface: who is thicker is an edge, or noise
PIERCED_M = 0.20  # deeper than that is the surface of something in front, or a wrong place


@dataclass(frozen=True)
class Walls:
    """The surfaces beside joints: unit normals (T, 17, 3) to the camera, offsets (T, 17) [units], near (T, 17) 0/1."""

    normal: np.ndarray
    offset_units: np.ndarray
    near: np.ndarray

    def cut(self, at: slice) -> Walls:
        """Of some frames."""
        return Walls(self.normal[at], self.offset_units[at], self.near[at])

    @classmethod
    def none(cls, frames: int) -> Walls:
        """Nothing is near."""
        shape = frames, terms.N
        return cls(np.tile([0.0, 0.0, 1.0], (*shape, 1)), np.zeros(shape), np.zeros(shape))


def beside(points: np.ndarray, camera: np.ndarray, cloud: np.ndarray, scale: float) -> Walls:
    """What is beside joints (T, 17, 3) [m, world], as seen from camera (T, 3), in static points (N, 3) [m].

    Only flat places count, seen from in front: the person was seen, too, so is on the camera's side of them.
    """
    found = Walls.none(len(points))
    tree = cKDTree(cloud) if len(cloud) >= NEIGHBOURS else None
    for start, end in windows(len(points)) if tree is not None else []:
        at = slice(start, end)
        _fill(found.cut(at), points[at], camera[at], cloud, tree, scale)
    return found


def _fill(found: Walls, points: np.ndarray, camera: np.ndarray, cloud: np.ndarray, tree: cKDTree, scale: float) -> None:
    away, index = tree.query(points.reshape(-1, 3), k=NEIGHBOURS, distance_upper_bound=NEAR_M)
    known = np.flatnonzero(np.isfinite(away[:, -1]))
    if not len(known):
        return
    around = cloud[index[known]]
    middle = around.mean(axis=1)
    spread, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", *[around - middle[:, None]] * 2) / NEIGHBOURS)
    normal = axes[:, :, 0]
    toward = np.repeat(camera, terms.N, axis=0)[known] - middle
    normal = normal * np.where(np.sum(normal * toward, axis=1) < 0, -1.0, 1.0)[:, None]
    flat = spread[:, 0] < FLAT_SHARE**2 * spread[:, 1]
    height = np.sum(normal * (points.reshape(-1, 3)[known] - middle), axis=1)
    near = flat & (height > -PIERCED_M)
    found.normal.reshape(-1, 3)[known] = normal
    found.offset_units.reshape(-1)[known] = np.sum(normal * middle, axis=1) / scale
    found.near.reshape(-1)[known] = near


def rows(
    body: PersonPoints, p: int, shared: int, walls: Walls, flesh_m: np.ndarray, scale: float, sigma_m: float,
    cauchy: float,
) -> Iterator[Rows]:  # fmt: skip
    """Joints (17) that are nearer to their surface than flesh_m (17,) are pushed out; others feel nothing."""
    depth = np.sum(walls.normal * body.points[:, : terms.N], axis=-1) - scale * walls.offset_units - flesh_m
    inside = (depth < 0) & (walls.near > 0)
    frames = np.flatnonzero(inside.any(axis=1))  # few: what is outside costs nothing
    if not len(frames):
        return
    some = PersonPoints(body.points[frames], body.by_pose[frames], body.by_shape[frames])
    every = np.arange(terms.N)
    held = terms.on_surface(
        some, p, shared, every, walls.normal[frames], walls.offset_units[frames], flesh_m, scale,
        inside[frames] * walls.near[frames] / sigma_m, cauchy,
    )  # fmt: skip
    yield replace(held, frames=frames)
