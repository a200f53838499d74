"""The robot's own collision capsules over all frames: which come near each other, which come near the scene."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from vm_reconstruction.geometry.segments import nearest_on_segments
from vm_reconstruction.retarget.clearance import SceneSurfaces
from vm_reconstruction.retarget.robot_tree import Links

_CAPSULE = int(mujoco.mjtGeom.mjGEOM_CAPSULE)


@dataclass(frozen=True)
class Near:
    """N close approaches: frames (N,), gap (N,) [m] between surfaces (negative: inside), normal (N, 3) away from b.

    body_a, point_a and body_b, point_b: the nearest points (N, 3) [m, world]; body 0 is the scene.
    """

    frames: np.ndarray
    gap: np.ndarray
    normal: np.ndarray
    body_a: np.ndarray
    point_a: np.ndarray
    body_b: np.ndarray
    point_b: np.ndarray

    def closer_than(self, gap_m: float) -> Near:
        """Those below a gap."""
        kept = self.gap < gap_m
        return Near(*(getattr(self, name)[kept] for name in self.__dataclass_fields__))


class CollisionShapes:
    """Capsules (a sphere is one without length) of the model's `..._collision` geoms."""

    def __init__(self, model: mujoco.MjModel) -> None:
        geoms = [g for g in range(model.ngeom) if model.geom(g).name.endswith("_collision")]
        self.body = model.geom_bodyid[geoms].astype(np.int64)
        self.radius = model.geom_size[geoms, 0].copy()
        half = np.array([model.geom_size[g, 1] if int(model.geom_type[g]) == _CAPSULE else 0.0 for g in geoms])
        axes = np.zeros((len(geoms), 9))
        for row, geom in enumerate(geoms):
            mujoco.mju_quat2Mat(axes[row], model.geom_quat[geom])
        along = half[:, None] * axes.reshape(-1, 3, 3)[:, :, 2]
        self.ends = np.stack([model.geom_pos[geoms] - along, model.geom_pos[geoms] + along], axis=1)
        self.foot = np.array(["_foot" in model.geom(g).name for g in geoms])
        self.pairs = self._pairs(model)

    def _pairs(self, model: mujoco.MjModel) -> np.ndarray:
        """(P, 2) shapes that may touch: on bodies that are neither the same, nor neighbours, nor excluded."""
        excluded = {(int(s) >> 16, int(s) & 0xFFFF) for s in model.exclude_signature}
        found = []
        for a in range(len(self.body)):
            for b in range(a + 1, len(self.body)):
                low, high = sorted((int(self.body[a]), int(self.body[b])))
                if low != high and model.body_parentid[high] != low and (low, high) not in excluded:
                    found.append((a, b))
        return np.array(found)

    def segments(self, links: Links) -> np.ndarray:
        """Ends of all shapes' axes (T, S, 2, 3) [m, world]."""
        rot, pos = links.rot[:, self.body], links.pos[:, self.body]
        return self.ends @ rot.transpose(0, 1, 3, 2) + pos[:, :, None]

    def possible_pairs(self, links: Links, reach_m: float) -> tuple[np.ndarray, np.ndarray]:
        """Frames (N,) and rows of `pairs` (N,) that a rough test does not rule out."""
        ends = self.segments(links)
        center, long = ends.mean(axis=2), 0.5 * np.linalg.norm(self.ends[:, 1] - self.ends[:, 0], axis=1) + self.radius
        a, b = self.pairs.T
        apart = np.linalg.norm(center[:, a] - center[:, b], axis=-1)
        frames, rows = np.nonzero(apart < long[a] + long[b] + reach_m)
        gap = self.between(links, frames, rows).gap
        return frames[gap < reach_m], rows[gap < reach_m]

    def between(self, links: Links, frames: np.ndarray, rows: np.ndarray) -> Near:
        """Gaps of given pairs in given frames."""
        a, b = self.pairs[rows].T
        ends_a, ends_b = self._ends(links, frames, a), self._ends(links, frames, b)
        on_a, on_b = nearest_on_segments(ends_a, ends_b)
        apart = on_a - on_b
        length = np.linalg.norm(apart, axis=-1)
        normal = apart / np.maximum(length, 1e-9)[:, None]
        gap = length - self.radius[a] - self.radius[b]
        return Near(frames, gap, normal, self.body[a], on_a, self.body[b], on_b)

    def _ends(self, links: Links, frames: np.ndarray, shapes: np.ndarray) -> np.ndarray:
        rot, pos = links.rot[frames, self.body[shapes]], links.pos[frames, self.body[shapes]]
        return self.ends[shapes] @ rot.transpose(0, 2, 1) + pos[:, None]


class SceneGaps:
    """Spheres along the shapes against the ground and the boxes."""

    def __init__(self, shapes: CollisionShapes, surfaces: SceneSurfaces, margin_m: float, sole_margin_m: float) -> None:
        share = np.array([0.0, 0.5, 1.0])
        place = shapes.ends[:, None, 0] + share[:, None] * (shapes.ends[:, None, 1] - shapes.ends[:, None, 0])
        self.local, self.body = place.reshape(-1, 3), np.repeat(shapes.body, 3)
        self._radius = np.repeat(shapes.radius, 3)
        self._margin = np.repeat(np.where(shapes.foot, sole_margin_m, margin_m), 3)
        self._surfaces = surfaces

    def possible(self, links: Links, reach_m: float) -> tuple[np.ndarray, np.ndarray]:
        """Frames (N,) and spheres (N,) that are near some surface."""
        count = len(links.pos)
        frames, spheres = np.repeat(np.arange(count), len(self.body)), np.tile(np.arange(len(self.body)), count)
        points = links.points(frames, self.body[spheres], self.local[spheres])
        near = self._surfaces.nearest(points) < reach_m + self._radius[spheres]
        return frames[near], spheres[near]

    def between(self, links: Links, frames: np.ndarray, spheres: np.ndarray) -> Near:
        """Gaps to the margins around every surface that is near; one row for each sphere and surface."""
        points = links.points(frames, self.body[spheres], self.local[spheres])
        distance, normal = self._surfaces.distances(points)
        gap = distance - (self._radius + self._margin)[spheres][:, None]
        row, surface = np.nonzero(gap < 0.0)
        scene = np.zeros(len(row), dtype=np.int64)
        at = points[row]
        return Near(frames[row], gap[row, surface], normal[row, surface], self.body[spheres[row]], at, scene, at)
