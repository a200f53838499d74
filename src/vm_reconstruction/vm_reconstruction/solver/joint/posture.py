"""How people carry themselves: who walks faces where the walk goes, and nobody leans sideways for long.

A single picture hardly tells which way a body is turned about the vertical; the way that it takes does. Hips and
shoulders turn against each other at every step, so the mean of both is what faces ahead.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from vm_reconstruction.solver.body_problem import POINTS
from vm_reconstruction.solver.joint import so3
from vm_reconstruction.solver.joint.rows import Rows
from vm_reconstruction.solver.joint.skeleton import PELVIS, ROTATIONS
from vm_reconstruction.solver.joint.state import PersonPoints, PersonState, pose_columns, shape_columns

ANKLES = [POINTS.index("left_ankle"), POINTS.index("right_ankle")]

_PELVIS, _TRUNK = ROTATIONS.index("pelvis"), ROTATIONS.index("trunk")
LEVEL = np.array([1.0, 1.0, 0.0])
SLOW_S = 0.6  # over which the walk's direction is taken
STANDING, WALKING = 0.25, 0.5  # speed below which a direction says nothing, and from which it says all [m/s]
STANDING_TRUST, STANDING_S, STANDING_TURN_DEG = 0.7, 1.0, 15.0
SIDEWAYS = 0.6  # sine of the angle between way and facing beyond which somebody steps aside


def ahead(person: PersonState, fps: float) -> np.ndarray:
    """(T, 3) horizontal directions in which the walk goes, as long as they are trusted (0..1); backward counts too."""
    velocity = gaussian_filter1d(np.gradient(person.root, axis=0), SLOW_S * fps, axis=0, mode="nearest") * fps
    velocity[:, 2] = 0.0
    speed = np.linalg.norm(velocity, axis=1, keepdims=True)
    way = velocity / np.maximum(speed, 1e-6)
    facing = gaussian_filter1d(_facing(person), SLOW_S * fps, axis=0, mode="nearest")
    facing[:, 2] = 0.0
    facing /= np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-6)
    cosine = np.sum(way * facing, axis=1, keepdims=True)
    trusted = np.clip((speed - STANDING) / (WALKING - STANDING), 0.0, 1.0) * (1 - cosine**2 < SIDEWAYS**2)
    way = way * np.sign(cosine) * trusted
    return way + _while_standing(way, facing, fps)


def _while_standing(way: np.ndarray, facing: np.ndarray, fps: float) -> np.ndarray:
    """Before and after walking people face as they walk, if that is what they seem to do."""
    walking = np.flatnonzero(np.linalg.norm(way, axis=1) > 0.5)
    if not len(walking):
        return np.zeros_like(way)
    frames = np.arange(len(way))
    after = np.searchsorted(walking, frames)
    before, after = walking[np.maximum(after - 1, 0)], walking[np.minimum(after, len(walking) - 1)]
    nearest = np.where(np.abs(frames - before) <= np.abs(after - frames), before, after)
    near = way[nearest] / np.linalg.norm(way[nearest], axis=1, keepdims=True)
    alike = np.sum(near * facing, axis=1) > np.cos(np.radians(STANDING_TURN_DEG))
    standing = np.linalg.norm(way, axis=1) < 0.25
    trust = STANDING_TRUST * np.exp(-np.abs(frames - nearest) / (STANDING_S * fps)) * alike * standing
    return near * trust[:, None]


def _facing(person: PersonState) -> np.ndarray:
    pelvis = person.rotation[:, _PELVIS]
    return (pelvis @ (np.eye(3) + person.rotation[:, _TRUNK]))[:, :, 0]


def faces_ahead(person: PersonState, p: int, way: np.ndarray, sigma: float, cauchy: float) -> Rows:
    """The mean of hips' and shoulders' facing is along `way` (T, 3), whose length is the trust; sigma [rad]."""
    side = 0.5 / sigma * np.column_stack([-way[:, 1], way[:, 0], np.zeros(len(way))])[:, None]
    pelvis, trunk = person.rotation[:, _PELVIS], person.rotation[:, _TRUNK]
    x = np.array([1.0, 0.0, 0.0])
    residual = np.sum(side[:, 0] * _facing(person), axis=1)
    by_pelvis = -side @ pelvis @ so3.skew(x + trunk[:, :, 0])
    by_trunk = -side @ pelvis @ trunk @ so3.skew(x)
    return _rows(residual[:, None], by_pelvis, by_trunk, p, cauchy)


def upright_sideways(person: PersonState, p: int, sigma: float, cauchy: float) -> Rows:
    """The left sides of hips and of shoulders point level; sigma [rad]."""
    up = np.array([[0.0, 0.0, 1.0 / sigma]])
    pelvis, trunk = person.rotation[:, _PELVIS], person.rotation[:, _TRUNK]
    y = np.array([0.0, 1.0, 0.0])
    shoulders = pelvis @ trunk
    residual = np.stack([pelvis[:, 2, 1], shoulders[:, 2, 1]], axis=1) / sigma
    zero = np.zeros((len(residual), 1, 3))
    by_pelvis = np.concatenate([-up @ pelvis @ so3.skew(y), -up @ pelvis @ so3.skew(trunk[:, :, 1])], axis=1)
    by_trunk = np.concatenate([zero, -up @ shoulders @ so3.skew(y)], axis=1)
    return _rows(residual, by_pelvis, by_trunk, p, cauchy)


def over_feet(body: PersonPoints, person: PersonState, p: int, shared: int, sigma: float, cauchy: float) -> Rows:
    """Seen from ahead, hips are over the middle between the ankles on average; sigma [m]."""
    pelvis, y = person.rotation[:, _PELVIS], np.array([0.0, 1.0, 0.0])
    left = pelvis[:, :, 1] * LEVEL
    length = np.maximum(np.linalg.norm(left, axis=1, keepdims=True), 1e-6)
    side = left / length
    between = body.points[:, PELVIS] - body.points[:, ANKLES].mean(axis=1)
    off = np.sum(side * between, axis=1, keepdims=True)
    by_pose = side[:, None] @ (body.by_pose[:, PELVIS] - body.by_pose[:, ANKLES].mean(axis=1))
    turned = (between - off * side) * LEVEL / length  # the side turns with the hips
    by_pose[..., 3 + 3 * _PELVIS : 6 + 3 * _PELVIS] -= turned[:, None] @ pelvis @ so3.skew(y)
    border = np.zeros((len(between), 1, shared))
    border[..., shape_columns(p)] = side[:, None] @ (body.by_shape[:, PELVIS] - body.by_shape[:, ANKLES].mean(axis=1))
    frames = np.arange(len(between))
    return Rows(off / sigma, (by_pose / sigma,), (pose_columns(p),), frames, border / sigma, 1, cauchy)


def _rows(residual: np.ndarray, by_pelvis: np.ndarray, by_trunk: np.ndarray, p: int, cauchy: float) -> Rows:
    turns = pose_columns(p)[3:]
    columns = np.concatenate([turns[3 * k : 3 * k + 3] for k in (_PELVIS, _TRUNK)])
    jacobian = np.concatenate([by_pelvis, by_trunk], axis=2)
    return Rows(residual, (jacobian,), (columns,), np.arange(len(residual)), None, 1, cauchy)
