"""Keeps the whole robot out of the scene, as spheres that cover it: a task for inverse kinematics frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import mink
import mujoco
import numpy as np
from mink.tasks.task import BaseTask, Objective

from vm_core.scene_asset import SceneAsset

MARGIN_M = 0.006  # a body part is pushed when it comes nearer than this
SOLE_MARGIN_M = -0.002  # soles rest on surfaces
REACH_M = 0.15  # spheres farther away than this cannot arrive within one step
COST = 20.0  # of a sphere inside its margin [1/m]: as firm as a foot, so that a stance and a push out find a middle
_CAPSULE_SHARES = (-1.0, 0.0, 1.0)  # spheres along a capsule's axis, in half lengths


@dataclass(frozen=True)
class NearSurfaces:
    """Spheres of the body near a surface: gaps (N,) [m] to their margin, rows (N, nv): their change with the motion."""

    gap: np.ndarray
    rows: np.ndarray


class BodySpheres:
    """Spheres that cover the robot's collision geoms, measured against a scene; once a configuration."""

    def __init__(self, model: mujoco.MjModel, scene: SceneAsset) -> None:
        self._model = model
        self._surfaces = SceneSurfaces(scene)
        self._geoms, shares = _covering_spheres(model)
        self._radius = model.geom_size[self._geoms, 0]
        self._along = shares * model.geom_size[self._geoms, 1]
        soles = np.array(["_sole" in model.geom(int(g)).name for g in self._geoms])
        self._margin = np.where(soles, SOLE_MARGIN_M, MARGIN_M)
        self._bodies = model.geom_bodyid[self._geoms]

    def near(self, data: mujoco.MjData) -> NearSurfaces:
        """The spheres within REACH_M of a surface, one row for each surface near them."""
        axes = data.geom_xmat[self._geoms].reshape(-1, 3, 3)[:, :, 2]
        centers = data.geom_xpos[self._geoms] + self._along[:, None] * axes
        distance, normal = self._surfaces.distances(centers)
        gap = distance - (self._radius + self._margin)[:, None]
        spheres, surfaces = np.nonzero(gap < REACH_M)
        rows = np.zeros((len(spheres), self._model.nv))
        jacobian = np.zeros((3, self._model.nv))
        for row, (sphere, surface) in enumerate(zip(spheres, surfaces, strict=True)):
            mujoco.mj_jac(self._model, data, jacobian, None, centers[sphere], int(self._bodies[sphere]))
            rows[row] = normal[sphere, surface] @ jacobian
        return NearSurfaces(gap[spheres, surfaces], rows)


class ClearanceTask(BaseTask):
    """Brings spheres that are inside their margin back to it."""

    def __init__(self, spheres: BodySpheres) -> None:
        self._spheres = spheres

    def compute_qp_residual(self, configuration: mink.Configuration) -> tuple[np.ndarray, np.ndarray, float]:
        """Weighted rows and distances still to go."""
        near = self._spheres.near(configuration.data)
        inside = near.gap < 0.0
        return COST * near.rows[inside], -COST * near.gap[inside], 0.0

    def compute_qp_objective(self, configuration: mink.Configuration) -> Objective:
        """The same as a quadratic."""
        rows, error, _ = self.compute_qp_residual(configuration)
        return Objective(rows.T @ rows, -error @ rows)


class SceneSurfaces:
    """Signed distances of points to the ground and to each box."""

    def __init__(self, scene: SceneAsset) -> None:
        self._ground = np.array([-scene.ground[0], -scene.ground[1], 1.0])
        self._ground /= np.linalg.norm(self._ground)
        self._ground_point = np.array([0.0, 0.0, scene.ground[2]])
        yaw = np.array([box.yaw for box in scene.boxes])
        c, s, zero = np.cos(yaw), np.sin(yaw), np.zeros_like(yaw)
        self._center = np.array([box.center_world for box in scene.boxes]).reshape(-1, 3)
        self._half = np.array([box.half_size for box in scene.boxes]).reshape(-1, 3)
        # (B, 3, 3), columns: the box's own axes in the world
        self._axes = np.stack([c, -s, zero, s, c, zero, zero, zero, zero + 1.0], axis=-1).reshape(-1, 3, 3)

    def nearest(self, points: np.ndarray) -> np.ndarray:
        """Distance (P,) [m] of points (P, 3) to the ground or the nearest box; negative inside, as in `distances`."""
        ground = (points - self._ground_point) @ self._ground
        if not len(self._half):
            return ground
        local = self._local(points)
        over = np.abs(local) - self._half
        inside = np.maximum(np.maximum(over[..., 0], over[..., 1]), local[..., 2] - self._half[:, 2])
        beyond = np.maximum(over, 0.0)
        outside = np.sqrt((beyond * beyond).sum(axis=-1))
        return np.minimum(ground, np.where(outside > 1e-9, outside, inside).min(axis=1))

    def _local(self, points: np.ndarray) -> np.ndarray:
        """Points (P, B, 3) in the boxes' own axes."""
        return ((points[:, None] - self._center)[..., None, :] @ self._axes)[..., 0, :]

    def distances(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances (P, 1 + B) [m], negative inside, and outward normals (P, 1 + B, 3); the ground comes first.

        A point inside a box leaves it through its top or a side, never through the bottom.
        """
        ground = (points - self._ground_point) @ self._ground
        local = self._local(points)
        over = np.abs(local) - self._half
        beyond = np.maximum(over, 0.0)
        outside = np.linalg.norm(beyond, axis=-1)
        # toward the bottom a box has no end here: it stands on something
        sides = np.where([False, False, True], local - self._half, over)
        nearest = np.argmax(sides, axis=-1)
        inside = np.take_along_axis(sides, nearest[..., None], axis=-1)[..., 0]
        direction = np.where(outside[..., None] > 1e-9, beyond, np.eye(3)[nearest])
        direction = direction * np.where(local < 0.0, -1.0, 1.0)
        direction[..., 2] = np.where(outside > 1e-9, direction[..., 2], np.abs(direction[..., 2]))
        direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
        normal = (self._axes @ direction[..., None])[..., 0]
        grounds = np.broadcast_to(self._ground, (len(points), 1, 3))
        distance = np.where(outside > 1e-9, outside, inside)
        return np.concatenate([ground[:, None], distance], axis=1), np.concatenate([grounds, normal], axis=1)


def _covering_spheres(model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray]:
    """Geom index (P,) and place along the geom's axis (P,) in half lengths of the spheres that cover the body."""
    found = []
    for geom in range(model.ngeom):
        name, kind = model.geom(geom).name, int(model.geom_type[geom])
        if kind == int(mujoco.mjtGeom.mjGEOM_SPHERE) and ("_sole" in name or name.endswith("_collision")):
            found.append((geom, 0.0))
        elif kind == int(mujoco.mjtGeom.mjGEOM_CAPSULE) and name.endswith("_collision"):
            found += [(geom, share) for share in _CAPSULE_SHARES]
    geoms, shares = zip(*found, strict=True)
    return np.array(geoms), np.array(shares)
