"""VideoMimic's published objective as another configuration of the same solver, for comparison.

Terms, weights and first guess as read in the source of its stage 2 (commit cfded6d, `megahunter_optimization.py`):
plain squares, weights multiply residuals, cameras, depth and body shape as given, no contact, the vertical of the first
frame, and afterwards a One-Euro filter run forward and backward. Kinder to it than its code where that has slips: the
scale starts from our closed form instead of 1, rotation smoothness is on, depth is read inside the person's mask.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vm_reconstruction.observations import Observations
from vm_reconstruction.solver.body_problem import POINTS
from vm_reconstruction.solver.joint import so3, solve, start, terms
from vm_reconstruction.solver.joint.minimize import minimize
from vm_reconstruction.solver.joint.problem import JointProblem, Sigmas
from vm_reconstruction.solver.joint.rows import Rows
from vm_reconstruction.solver.joint.skeleton import PELVIS, POSE_SIZE, ROTATIONS, SHAPES, TOUCHING
from vm_reconstruction.solver.joint.state import (
    FRAME_SIZE,
    Camera,
    JointState,
    PersonPoints,
    PersonState,
    pose_columns,
    shape_columns,
)  # fmt: skip

SCENE_JOINTS, REPROJECTION, ROOT_SMOOTH, REGULAR, TURN_SMOOTH, LOCAL_POSE = 1.0, 500.0, 0.5, 1.5, 1.0, 0.05
MIN_SCORE, LONG_SIDE_PX = 0.5, 512.0
ITERATIONS = 25
_BONES = [
    ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"),
    *((f"{s}_{a}", f"{s}_{b}") for s in ("left", "right") for a, b in (
        ("shoulder", "hip"), ("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"),
        ("ankle", "heel"))),
]  # fmt: skip
_A, _B = (np.array([POINTS.index(bone[i]) for bone in _BONES]) for i in (0, 1))
_HIPS = [POINTS.index("left_hip"), POINTS.index("right_hip")]


def limb_ratio_roots(observed: Observations, p: int, lengths_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root (T, 3) [m, camera] at focal * mean 3D bone length / mean 2D bone length behind the hips' pixel; and seen."""
    person = observed.people[p]
    good = (person.confidence[:, _A] > MIN_SCORE) & (person.confidence[:, _B] > MIN_SCORE)
    length_px = np.linalg.norm(person.xy_px[:, _A] - person.xy_px[:, _B], axis=-1) * good
    mean_px = length_px.mean(axis=1)  # bones not seen count as 0, as there
    seen = person.found & (good.sum(axis=1) >= 5) & (person.confidence[:, _HIPS].min(axis=1) > 0)
    z = observed.matrix[0, 0] * lengths_m.mean() / np.maximum(mean_px, 1e-6)
    hips = person.xy_px[:, _HIPS].mean(axis=1)
    ray = (hips - observed.matrix[:2, 2]) / observed.matrix[[0, 1], [0, 1]]
    return np.column_stack([ray * z[:, None], z]), seen


def make_problem(observed: Observations) -> tuple[JointProblem, JointState]:
    """Its measurements and first guess."""
    problem, ours = solve.make_problem(observed, Sigmas())
    people = []
    for p, (data, state) in enumerate(zip(problem.people, ours.people, strict=True)):
        body = PersonPoints.of(data.skeleton, state)
        lengths = np.linalg.norm(body.points[0, _A] - body.points[0, _B], axis=-1)
        root, seen = limb_ratio_roots(observed, p, lengths)
        if seen.sum() < start.MIN_FRAMES:
            seen = observed.people[p].found
        world = np.einsum("tij,tj->ti", problem.R_world_camera, root) + ours.scale * problem.center_units
        people.append(replace(state, root=start.filled(world, seen)))
    return problem, replace(ours, people=tuple(people))


@dataclass(frozen=True)
class PublishedProblem:
    """Residuals of the published objective around `first`, its first guess."""

    problem: JointProblem
    observed: Observations
    first: JointState

    def rows(self, state: JointState) -> list[Rows]:
        """All residuals at a state."""
        camera = Camera.of(self.problem.R_world_camera, self.problem.center_units, state)
        shared = self.problem.sizes[2]
        result = [self._held(state)]
        for p, (person, first) in enumerate(zip(state.people, self.first.people, strict=True)):
            data, observed = self.problem.people[p], self.observed.people[p]
            body = PersonPoints.of(data.skeleton, person)
            seen = terms.camera_points(camera, body, p, shared)
            score = np.where(observed.confidence > MIN_SCORE, observed.confidence, 0.0)
            result += [
                self._scene_joints(camera, body, p, state.scale, score * (data.depth_units > 0), SCENE_JOINTS, False),
                self._scene_joints(camera, body, p, state.scale, score * (data.depth_units > 0), LOCAL_POSE, True),
                terms.reprojection(seen, self.problem.matrix, data.xy_px, self._pixel_weight(p, score), None),
                terms.root_velocity(person, p, 1.0, 1.0 / ROOT_SMOOTH),
                *_residual_rotation(person, first, p),
            ]
        return result

    def _pixel_weight(self, p: int, score: np.ndarray) -> np.ndarray:
        """500 * score / bounding box area, in pixels of a picture 512 px long."""
        shrink = LONG_SIDE_PX / max(self.observed.size)
        xy = self.observed.people[p].xy_px
        seen = score > 0
        low = np.where(seen[..., None], xy, np.inf).min(axis=1)
        high = np.where(seen[..., None], xy, -np.inf).max(axis=1)
        area = np.where(seen.any(axis=1), np.prod(np.maximum(high - low, 1.0), axis=1), np.inf) * shrink**2
        return REPROJECTION * score / area[:, None] * shrink

    def _scene_joints(
        self, camera: Camera, body: PersonPoints, p: int, scale: float, confidence: np.ndarray, weight: float,
        local: bool,
    ) -> Rows:  # fmt: skip
        """scale * scene joint - joint; `local`: both relative to the hips, without the scale's derivative."""
        data, shared = self.problem.people[p], self.problem.sizes[2]
        ray = (data.xy_px - self.problem.matrix[:2, 2]) / self.problem.matrix[[0, 1], [0, 1]]
        units = np.concatenate([ray, np.ones((*ray.shape[:2], 1))], axis=-1) * data.depth_units[..., None]
        units = units @ camera.rotation.transpose(0, 2, 1) + self.problem.center_units[:, None]
        scene, points = scale * units, body.points[:, : terms.N]
        by_pose, by_shared = body.by_pose[:, : terms.N].copy(), np.zeros((*points.shape, shared))
        if local:
            both = np.all(confidence[:, _HIPS] > 0, axis=1)
            confidence = confidence * both[:, None]
            scene = scene - scene[:, _HIPS].mean(axis=1, keepdims=True)
            points = points - body.points[:, PELVIS : PELVIS + 1]
            by_pose[..., :3] = 0.0
        else:
            by_shared[..., 0] = -scene
        factor = (weight * confidence)[..., None]
        n = len(points)
        return Rows(
            ((points - scene) * factor).reshape(n, -1), ((by_pose * factor[..., None]).reshape(n, -1, POSE_SIZE),),
            (pose_columns(p),), np.arange(n), (by_shared * factor[..., None]).reshape(n, 3 * terms.N, shared),
        )  # fmt: skip

    def _held(self, state: JointState) -> Rows:
        """Cameras, depth and shapes stay as they are."""
        n, shared = len(state.depth_bias), self.problem.sizes[2]
        values = np.concatenate([state.camera_turn, state.camera_shift, state.depth_bias[:, None]], axis=1)
        border = np.zeros((n, FRAME_SIZE + len(SHAPES) * len(state.people), shared))
        shape_rows = np.zeros((n, len(SHAPES) * len(state.people)))
        for p, person in enumerate(state.people):
            at = slice(len(SHAPES) * p, len(SHAPES) * (p + 1))
            shape_rows[0, at] = person.shape
            border[0, FRAME_SIZE:][at, shape_columns(p)] = np.eye(len(SHAPES))
        own = np.zeros((n, border.shape[1], FRAME_SIZE))
        own[:, :FRAME_SIZE] = np.eye(FRAME_SIZE)
        residual = np.concatenate([values, shape_rows], axis=1)
        return Rows(1e4 * residual, (1e4 * own,), (np.arange(FRAME_SIZE),), np.arange(n), 1e4 * border)


def _residual_rotation(person: PersonState, first: PersonState, p: int) -> list[Rows]:
    """Residual turns R R_first^T near none (|R - I| = sqrt 2 |angle| to first order) and alike from frame to frame."""
    rest = person.rotation @ first.rotation.transpose(0, 1, 3, 2)
    angle = so3.log(rest)
    weight = REGULAR * np.sqrt(2.0)
    regular = so3.right_jacobian_inverse(angle) @ first.rotation * weight
    between = so3.log(rest[:-1].transpose(0, 1, 3, 2) @ rest[1:])
    right = so3.right_jacobian_inverse(between)
    smooth = [-right.transpose(0, 1, 3, 2) @ first.rotation[:-1], right @ first.rotation[1:]]
    return [
        terms.per_rotation(angle * weight, [regular], p),
        terms.per_rotation(between * TURN_SMOOTH, [j * TURN_SMOOTH for j in smooth], p),
    ]


def one_euro(values: np.ndarray, fps: float, min_cutoff: float = 1.5, beta: float = 0.1) -> np.ndarray:
    """The One-Euro filter (Casiez 2012) over (T, ...), forward and backward, averaged."""

    def once(signal: np.ndarray) -> np.ndarray:
        out, speed = signal.copy(), np.zeros_like(signal[0])
        for t in range(1, len(signal)):
            keep = _alpha(1.0, fps)
            speed = keep * (signal[t] - signal[t - 1]) * fps + (1 - keep) * speed
            a = _alpha(min_cutoff + beta * np.abs(speed), fps)
            out[t] = a * signal[t] + (1 - a) * out[t - 1]
        return out

    return 0.5 * (once(values) + once(values[::-1])[::-1])


def _alpha(cutoff: float | np.ndarray, fps: float) -> np.ndarray:
    return 1.0 / (1.0 + fps / (2 * np.pi * np.asarray(cutoff)))


def solve_published(observed: Observations) -> solve.JointResult:
    """People, cameras (as given) and scale by the published objective."""
    problem, first = make_problem(observed)
    published = PublishedProblem(problem, observed, first)
    solution = minimize(published.rows, first, problem.sizes, ITERATIONS)
    people = tuple(_filtered(person, observed.fps) for person in solution.state.people)
    state = replace(solution.state, people=people)
    still = [np.zeros((observed.num_frames, len(TOUCHING)))] * len(people)
    return solve.result(problem, state, still, solution.cost, solution.iterations, observed)


def _filtered(person: PersonState, fps: float) -> PersonState:
    """Root and rotations (as their first two columns) through the filter."""
    columns = one_euro(person.rotation[..., :2], fps)
    x = columns[..., 0] / np.linalg.norm(columns[..., 0], axis=-1, keepdims=True)
    y = columns[..., 1] - x * np.sum(x * columns[..., 1], axis=-1, keepdims=True)
    y /= np.linalg.norm(y, axis=-1, keepdims=True)
    rotation = np.stack([x, y, np.cross(x, y)], axis=-1)
    assert rotation.shape[1] == len(ROTATIONS)
    return replace(person, root=one_euro(person.root, fps), rotation=rotation)
