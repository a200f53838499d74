"""People do not stand in each other: their trunks, as capsules between hips and neck, keep a distance."""

from __future__ import annotations

import numpy as np

from vm_reconstruction.geometry.segments import nearest_on_segments
from vm_reconstruction.solver.joint.rows import Rows
from vm_reconstruction.solver.joint.skeleton import NECK_POINT, PELVIS
from vm_reconstruction.solver.joint.state import PersonPoints, pose_columns, shape_columns

HALF_TRUNK_SHARE = 0.07  # of the height: from a trunk's middle to its skin, in front and behind


def trunks_apart(a: PersonPoints, b: PersonPoints, p: int, q: int, shared: int, apart_m: float, sigma_m: float) -> Rows:
    """Trunks of persons p and q nearer than apart_m push each other away; one row a frame where they are."""
    ends = [body.points[:, [PELVIS, NECK_POINT]] for body in (a, b)]
    on_a, on_b = nearest_on_segments(*ends)
    between = on_a - on_b
    distance = np.linalg.norm(between, axis=1)
    frames = np.flatnonzero(distance < apart_m)
    normal = between[frames] / np.maximum(distance[frames], 1e-6)[:, None]
    border = np.zeros((len(frames), 1, shared))
    jacobians = []
    for body, person, place, end, sign in ((a, p, on_a, ends[0], 1.0), (b, q, on_b, ends[1], -1.0)):
        long = np.linalg.norm(end[frames, 1] - end[frames, 0], axis=1)
        share = (np.linalg.norm(place[frames] - end[frames, 0], axis=1) / np.maximum(long, 1e-9))[:, None, None]
        turn = sign / sigma_m * normal[:, None]
        jacobians.append(turn @ _along(body.by_pose[frames], share))
        border[:, :, shape_columns(person)] = turn @ _along(body.by_shape[frames], share)
    columns = np.concatenate([pose_columns(p), pose_columns(q)])
    residual = (distance[frames] - apart_m)[:, None] / sigma_m
    return Rows(residual, (np.concatenate(jacobians, axis=2),), (columns,), frames, border)


def _along(derivative: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Derivative (N, 3, k) of the point that divides hips to neck by share (N, 1, 1), of all points' (N, 19, 3, k)."""
    return (1.0 - share) * derivative[:, PELVIS] + share * derivative[:, NECK_POINT]
