"""Residuals of the joint problem, each with its analytic derivatives, divided by its standard deviation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_reconstruction.solver.body_problem import POINTS
from vm_reconstruction.solver.joint import so3
from vm_reconstruction.solver.joint.rows import Rows
from vm_reconstruction.solver.joint.skeleton import PELVIS, POSE_SIZE, ROTATIONS, Skeleton
from vm_reconstruction.solver.joint.state import (
    CAMERA_SHIFT,
    CAMERA_TURN,
    DEPTH_BIAS,
    SCALE,
    Camera,
    PersonPoints,
    PersonState,
    pose_columns,
    shape_columns,
    told_turn_columns,
)  # fmt: skip

N = len(POINTS)
_CAMERA = np.arange(6)


@dataclass(frozen=True)
class CameraPoints:
    """A person's 17 points as the camera sees them (T, 17, 3) [m], derivatives by (camera, pose) and shared."""

    points: np.ndarray
    by_frame: np.ndarray
    columns: np.ndarray
    by_shared: np.ndarray


def camera_points(camera: Camera, body: PersonPoints, person: int, shared: int) -> CameraPoints:
    """q = R^T (P - c), dq = [q]x turn - R^T shift + R^T dP - R^T c_scaled dlog(scale)."""
    back = camera.rotation.transpose(0, 2, 1)[:, None]
    q = ((body.points[:, :N] - camera.center[:, None])[..., None, :] @ camera.rotation[:, None])[..., 0, :]
    by_frame = np.empty((*q.shape, len(_CAMERA) + POSE_SIZE))  # filled in place: these arrays are the solver's largest
    by_frame[..., CAMERA_TURN] = so3.skew(q) @ camera.turn_jacobian[:, None]
    by_frame[..., CAMERA_SHIFT] = -back
    np.matmul(back, body.by_pose[:, :N], out=by_frame[..., len(_CAMERA) :])
    by_shared = np.zeros((*q.shape, shared))
    by_shared[..., SCALE] = -(camera.scaled_center[:, None] @ camera.rotation)
    by_shared[..., shape_columns(person)] = back @ body.by_shape[:, :N]
    return CameraPoints(q, by_frame, np.concatenate([_CAMERA, pose_columns(person)]), by_shared)


def reprojection(
    seen: CameraPoints, matrix: np.ndarray, xy_px: np.ndarray, weight: np.ndarray, cauchy: float | None
) -> Rows:
    """Image positions; weight (T, 17) [1/px]."""
    depth = np.maximum(seen.points[..., 2], 0.2)
    focal = matrix[[0, 1], [0, 1]]
    residual = seen.points[..., :2] / depth[..., None] * focal + matrix[:2, 2] - xy_px
    by_point = np.zeros((*depth.shape, 2, 3))
    for i in range(2):
        by_point[..., i, i] = focal[i] / depth
        by_point[..., i, 2] = -focal[i] * seen.points[..., i] / depth**2
    by_point *= weight[..., None, None]
    return _rows(
        residual * weight[..., None], by_point @ seen.by_frame, by_point @ seen.by_shared, seen.columns, 2, cauchy
    )


def pose_points(
    camera: Camera, body: PersonPoints, person: int, shared: int, turn: np.ndarray, points_camera: np.ndarray,
    weight: np.ndarray, cauchy: float | None,
) -> Rows:  # fmt: skip
    """The pose network's root-relative points, in camera axes, turned by `turn` (T, 3); weight (T, 17, 3) [1/m]."""
    back = camera.rotation.transpose(0, 2, 1)[:, None]
    relative = body.points[:, :N] - body.points[:, PELVIS : PELVIS + 1]
    q = (relative[..., None, :] @ camera.rotation[:, None])[..., 0, :]
    back_turned = so3.exp(-turn)[:, None]
    told = (back_turned @ points_camera[..., None])[..., 0]
    by_frame = np.empty((*q.shape, 6 + POSE_SIZE))
    by_frame[..., :3] = so3.skew(q) @ camera.turn_jacobian[:, None]
    np.matmul(back, body.by_pose[:, :N], out=by_frame[..., 3:-3])
    by_frame[..., 3:6] = 0.0  # the root moves all points alike
    by_frame[..., -3:] = -back_turned @ so3.skew(points_camera) @ so3.right_jacobian(-turn)[:, None]
    by_shared = np.zeros((*q.shape, shared))
    by_shared[..., shape_columns(person)] = back @ body.by_shape[:, :N]
    columns = np.concatenate([_CAMERA[CAMERA_TURN], pose_columns(person), told_turn_columns(person)])
    by_frame *= weight[..., None]
    by_shared *= weight[..., None]
    return _rows((q - told) * weight, by_frame, by_shared, columns, 3, cauchy)


def told_turn(turn: np.ndarray, p: int, fps: float, sigma: float, acceleration: float) -> list[Rows]:
    """The pose network's turn (T, 3) is small [rad] and changes slowly [rad/s^2]."""
    own, eye, frames = told_turn_columns(p), np.eye(3), len(turn)
    factor = fps**2 / acceleration
    second = (turn[:-2] - 2 * turn[1:-1] + turn[2:]) * factor
    slow = [np.broadcast_to(k * factor * eye, (frames - 2, 3, 3)) for k in (1.0, -2.0, 1.0)]
    return [
        Rows(turn / sigma, (np.broadcast_to(eye / sigma, (frames, 3, 3)),), (own,), np.arange(frames)),
        Rows(second, tuple(slow), (own,) * 3, np.arange(frames - 2)),
    ]


def depth(
    seen: CameraPoints, bias: np.ndarray, scale: float, depth_units: np.ndarray, inside_m: np.ndarray,
    weight: np.ndarray, cauchy: float | None,
) -> Rows:  # fmt: skip
    """Depth at the joints: skin, `inside_m` (17,) in front of the joint; weight (T, 17) [1/m], 0 where unknown."""
    skin = scale * np.exp(bias)[:, None] * depth_units
    residual = (seen.points[..., 2] - inside_m - skin) * weight
    by_frame = np.concatenate([seen.by_frame[..., 2, :], -skin[..., None]], axis=-1)
    by_shared = seen.by_shared[..., 2, :].copy()
    by_shared[..., SCALE] -= skin
    scaled = weight[..., None]
    frames = np.arange(len(residual))
    columns = (np.append(seen.columns, DEPTH_BIAS),)
    return Rows(residual, (by_frame * scaled,), columns, frames, by_shared * scaled, 1, cauchy)


def root_distance(
    camera: Camera, person: PersonState, p: int, shared: int, distance_m: np.ndarray, weight: np.ndarray,
    cauchy: float | None,
) -> Rows:  # fmt: skip
    """Depth of the root as the whole body's size in the picture says; distance_m (T,), weight (T,) [1/m]."""
    q = ((person.root - camera.center)[:, None] @ camera.rotation)[:, 0]
    turn = (so3.skew(q) @ camera.turn_jacobian)[:, 2]
    axis = camera.rotation[:, :, 2]
    by_frame = np.concatenate([turn, -axis, axis], axis=1) * weight[:, None]
    by_shared = np.zeros((len(q), 1, shared))
    by_shared[:, 0, SCALE] = -np.sum(axis * camera.scaled_center, axis=1) * weight
    columns = np.concatenate([_CAMERA, pose_columns(p)[:3]])
    residual = ((q[:, 2] - distance_m) * weight)[:, None]
    return Rows(residual, (by_frame[:, None],), (columns,), np.arange(len(q)), by_shared, 1, cauchy)


def root_velocity(person: PersonState, p: int, fps: float, sigma: float) -> Rows:
    """First differences of the root [m/s]: who is not seen stays about where he was, and does not fly on."""
    factor = fps / sigma
    eye = np.broadcast_to(np.eye(3), (len(person.root) - 1, 3, 3)) * factor
    columns = pose_columns(p)[:3]
    return Rows(np.diff(person.root, axis=0) * factor, (-eye, eye), (columns,) * 2, np.arange(len(eye)))


def root_acceleration(person: PersonState, p: int, fps: float, sigma: float) -> Rows:
    """Second differences of the root [m/s^2]."""
    factor = fps**2 / sigma
    residual = (person.root[:-2] - 2 * person.root[1:-1] + person.root[2:]) * factor
    eye = np.broadcast_to(np.eye(3), (len(residual), 3, 3)) * factor
    columns = pose_columns(p)[:3]
    return Rows(residual, (eye, -2 * eye, eye), (columns,) * 3, np.arange(len(residual)))


def turn_acceleration(person: PersonState, p: int, fps: float, sigma: np.ndarray) -> Rows:
    """Differences of consecutive turns log(R_t^T R_t+1); sigma (13,) [rad/s^2]."""
    between = so3.log(person.rotation[:-1].transpose(0, 1, 3, 2) @ person.rotation[1:])
    right = so3.right_jacobian_inverse(between)
    factor = (fps**2 / sigma)[:, None]
    residual = (between[1:] - between[:-1]) * factor
    left = right.transpose(0, 1, 3, 2)
    jacobians = (left[:-1], -left[1:] - right[:-1], right[1:])
    return per_rotation(residual, [j * factor[..., None] for j in jacobians], p)


def pose_prior(
    person: PersonState, p: int, middle: np.ndarray, weight: np.ndarray, cauchy: float | None = None
) -> Rows:
    """Joints near `middle` (13, 3) [rad]; weight (13, 3) [1/rad]."""
    angle = so3.log(person.rotation)
    residual = (angle - middle) * weight
    return per_rotation(residual, [so3.right_jacobian_inverse(angle) * weight[..., None]], p, cauchy)


def hinges(person: PersonState, p: int, sigma: float) -> Rows:
    """Knees do not bend forward, elbows not backward [rad]."""
    sign = np.zeros(len(ROTATIONS))
    for name, side in (("knee", 1.0), ("elbow", -1.0)):
        sign[[ROTATIONS.index(f"left_{name}"), ROTATIONS.index(f"right_{name}")]] = side / sigma
    hinged = np.flatnonzero(sign)
    angle = so3.log(person.rotation[:, hinged])
    bend = angle[..., 1] * sign[hinged]
    wrong = bend < 0
    residual, jacobian = np.zeros((*person.rotation.shape[:2], 1)), np.zeros((*person.rotation.shape[:2], 1, 3))
    residual[:, hinged, 0] = np.where(wrong, bend, 0.0)
    jacobian[:, hinged, 0] = so3.right_jacobian_inverse(angle)[..., 1, :] * (sign[hinged, None] * wrong[..., None])
    return per_rotation(residual, [jacobian], p)


def planted(
    body: PersonPoints, p: int, shared: int, points: np.ndarray, weight: np.ndarray, cauchy: float | None
) -> Rows:
    """Points (K,) stay where they are between frames t and t + 1; weight (T-1, K) [1/m]."""
    scaled = weight[..., None, None]
    moved = np.diff(body.points[:, points], axis=0)
    by_shape = np.zeros((*moved.shape, shared))
    by_shape[..., shape_columns(p)] = np.diff(body.by_shape[:, points], axis=0)
    first, second = -body.by_pose[:-1, points] * scaled, body.by_pose[1:, points] * scaled
    n, rows = len(moved), 3 * len(points)
    return Rows(
        (moved * weight[..., None]).reshape(n, rows), (first.reshape(n, rows, -1), second.reshape(n, rows, -1)),
        (pose_columns(p),) * 2, np.arange(n), (by_shape * scaled).reshape(n, rows, -1), 3, cauchy,
    )  # fmt: skip


def on_surface(
    body: PersonPoints, p: int, shared: int, points: np.ndarray, normal: np.ndarray, offset_units: np.ndarray,
    above_m: np.ndarray, scale: float, weight: np.ndarray, cauchy: float | None,
) -> Rows:  # fmt: skip
    """Points (K,) lie above_m (K,) over planes n.x = scale * offset; normal (T, K, 3), offset, weight (T, K) [1/m]."""
    surface = scale * offset_units
    height = np.sum(normal * body.points[:, points], axis=-1)
    residual = (height - surface - above_m) * weight
    along = normal[..., None, :] * weight[..., None, None]
    by_pose = (along @ body.by_pose[:, points])[..., 0, :]
    by_shared = np.zeros((*residual.shape, shared))
    by_shared[..., shape_columns(p)] = (along @ body.by_shape[:, points])[..., 0, :]
    by_shared[..., SCALE] = -surface * weight
    return Rows(residual, (by_pose,), (pose_columns(p),), np.arange(len(residual)), by_shared, 1, cauchy)


def camera_drift(
    R_first: np.ndarray, turn: np.ndarray, shift: np.ndarray, turn_sigma: float, shift_sigma: float, tilt_sigma: float
) -> list[Rows]:
    """Corrections (T, 3) [rad, m] walk from frame to frame, and start at zero but for a tilt of the first vertical.

    R_first (3, 3): the first camera's axes in the world.
    """
    result = []
    first = np.diag([1.0 / tilt_sigma, 1.0 / tilt_sigma, 5.0 / turn_sigma]) @ R_first, np.eye(3) * 5.0 / shift_sigma
    for values, sigma, columns, start in (
        (turn, turn_sigma, CAMERA_TURN, first[0]), (shift, shift_sigma, CAMERA_SHIFT, first[1])
    ):  # fmt: skip
        own = np.arange(6)[columns]
        eye = np.broadcast_to(np.eye(3) / sigma, (len(values) - 1, 3, 3))
        result.append(Rows(np.diff(values, axis=0) / sigma, (-eye, eye), (own, own), np.arange(len(values) - 1)))
        result.append(Rows(values[:1] @ start.T, (start[None],), (own,), np.arange(1), once=True))
    return result


def depth_bias(bias: np.ndarray, sigma: float, memory: float) -> list[Rows]:
    """A process with standard deviation sigma that forgets within `memory` frames (Ornstein-Uhlenbeck)."""
    keep = np.exp(-1.0 / memory)
    step = sigma * np.sqrt(1 - keep**2)
    n = len(bias) - 1
    own, one = np.array([DEPTH_BIAS]), np.ones((n, 1, 1)) / step
    return [
        Rows((bias[1:] - keep * bias[:-1])[:, None] / step, (-keep * one, one), (own, own), np.arange(n)),
        Rows(bias[:1, None] / sigma, (np.ones((1, 1, 1)) / sigma,), (own,), np.arange(1), once=True),
    ]


def shape_prior(
    skeleton: Skeleton, shape: np.ndarray, p: int, shared: int, sigma: np.ndarray, ruler_m: float
) -> Rows:  # fmt: skip
    """Proportions near the table's, and the stature is what the user said."""
    count = len(shape)
    lengths = skeleton.stature * np.exp(shape)
    residual = np.append(shape / sigma, (lengths.sum() - skeleton.height_m) / ruler_m)
    border = np.zeros((count + 1, shared))
    border[:count, shape_columns(p)] = np.diag(1 / sigma)
    border[count, shape_columns(p)] = lengths / ruler_m
    return Rows(residual[None], (), (), np.arange(1), border[None], once=True)


def _rows(
    residual: np.ndarray, by_frame: np.ndarray, by_shared: np.ndarray, columns: np.ndarray, group: int,
    cauchy: float | None,
) -> Rows:  # fmt: skip
    """(T, points, m) residuals as one row block a frame."""
    n = len(residual)
    flat = residual.reshape(n, -1)
    rows = flat.shape[1]
    return Rows(
        flat, (by_frame.reshape(n, rows, -1),), (columns,), np.arange(n), by_shared.reshape(n, rows, -1), group, cauchy
    )


def per_rotation(residual: np.ndarray, jacobians: list[np.ndarray], p: int, cauchy: float | None = None) -> Rows:
    """(T, 13, m) residuals whose derivatives (T, 13, m, 3) touch their own rotation only."""
    frames = len(residual)
    columns = (pose_columns(p)[3:],) * len(jacobians)
    return Rows(residual.reshape(frames, -1), tuple(jacobians), columns, np.arange(frames), None, 1, cauchy)
