"""Stage 4: the person in the world. Height is the ruler, limbs are rigid, planted feet stay, gravity is down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_reconstruction.frontends.pose_frontend import PoseLandmarks
from vm_reconstruction.human_motion import JOINT_NAMES
from vm_reconstruction.progress import FrameProgress, warn
from vm_reconstruction.solver import body_problem
from vm_reconstruction.solver.body_problem import POINTS, BodyProblem, Noise
from vm_reconstruction.stages import gravity
from vm_reconstruction.stages.camera import CameraMotion
from vm_reconstruction.stages.frames import FrameSource
from vm_reconstruction.stages.landmarks import inside
from vm_reconstruction.stages.stillness import planted_points

_LANDMARKS = {name: (name.replace("_toe", "_foot_index"),) for name in POINTS} | {"head": ("left_ear", "right_ear")}
LOOSE_M = 0.1  # of limb lengths, while the proportions are measured
SOLVES = 3  # lengths free, then with lengths and contacts, then with the contacts of the better solution
SOLVED_HEIGHT_M = (
    1.75  # everybody is solved as tall as this, then scaled: no threshold in metres may bend what the ruler scales
)


@dataclass(frozen=True)
class BodyTrack:
    """The person and the camera in the world (z up, origin on the ground).

    Attributes:
        joint_pos_world: (T, J, 3) m.
        T_world_camera: (T, 4, 4) camera pose, OpenCV axes; K: (3, 3) of the working image.
        confidence: (T,) 0..1.
        reprojection_px: (T,) mean distance between landmarks and projected joints.
        segment_lengths: (bones) [m] that were used, of `body_problem.BONES`.
        camera_tilt_deg: (2,) pitch (positive: looking down) and roll of the first frame.
        vertical_source: what the vertical was told by, in words; empty where that is told elsewhere.
    """

    joint_pos_world: np.ndarray
    T_world_camera: np.ndarray
    K: np.ndarray
    confidence: np.ndarray
    reprojection_px: np.ndarray
    segment_lengths: np.ndarray
    camera_tilt_deg: np.ndarray
    vertical_source: str = ""

    def save(self, path: Path) -> None:
        """Writes stages/body.npz."""
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **{**self.__dict__, "vertical_source": np.array(self.vertical_source)})

    @classmethod
    def load(cls, path: Path) -> BodyTrack:
        """Reads stages/body.npz."""
        with np.load(path, allow_pickle=False) as data:
            values = {name: data[name] for name in data.files}
        return cls(**{**values, "vertical_source": str(values.get("vertical_source", ""))})


def run(out: Path, height_m: float, progress: FrameProgress) -> BodyTrack:
    """Solves for the person and writes stages/body.npz."""
    source = FrameSource.load(out / "stages" / "frames.json")
    landmarks = PoseLandmarks.load(out / "stages" / "landmarks.npz")
    camera = CameraMotion.load(out / "stages" / "camera.npz")
    problem, points = _first_guess(source, landmarks, camera)
    points, problem = _solve(problem, points, lambda: progress.step(source.num_frames // SOLVES))
    track = _in_world(problem, points, camera, height_m / SOLVED_HEIGHT_M)
    for doubt in gravity.doubts(points, problem.weight, problem.planted, track.camera_tilt_deg):
        warn(doubt)
    track.save(out / "stages" / "body.npz")
    return track


def _first_guess(source: FrameSource, landmarks: PoseLandmarks, camera: CameraMotion) -> tuple[BodyProblem, np.ndarray]:
    weight = gathered(landmarks, landmarks.visibility * inside(landmarks, source))
    xy, shape = gathered(landmarks, landmarks.xy_px), gathered(landmarks, landmarks.world_m)
    seen = weight.mean(axis=1) > 0.3
    if seen.sum() < 5:
        raise VmError(
            f"the person is seen well in {int(seen.sum())} of {len(seen)} frames of {source.path}; "
            "expected at least 5 frames with the whole body"
        )
    shape = turned_to_ray(shape, xy, camera.K)
    lengths = body_problem.model_lengths(SOLVED_HEIGHT_M)
    shape *= np.median(lengths / body_problem.measured_lengths(shape[seen], weight[seen]))
    place = np.array([_place(shape[t], xy[t], weight[t], camera.K) if seen[t] else np.zeros(3) for t in range(len(xy))])
    back = camera.R_cam_first.transpose(0, 2, 1)
    shape, place = np.einsum("tij,tnj->tni", back, shape), np.einsum("tij,tj->ti", back, place)
    shape, place = _filled(shape, seen), _filled(place, seen)
    place = gaussian_filter1d(median_filter(place, (5, 1), mode="nearest"), 3.0, axis=0, mode="nearest")
    nothing = np.zeros((len(xy) - 1, len(POINTS)))
    problem = BodyProblem(source.fps, camera.K, camera.R_cam_first, xy, weight, shape, lengths, nothing)
    return problem, shape + place[:, None]


def _solve(problem: BodyProblem, points: np.ndarray, on_solve: Callable[[], None]) -> tuple[np.ndarray, BodyProblem]:
    loose = replace(problem, noise=Noise(length_m=LOOSE_M, soft_length_m=LOOSE_M))
    points, _ = loose.solve(points)
    on_solve()
    measured = body_problem.measured_lengths(points, problem.weight)
    problem = replace(problem, lengths=body_problem.adapted_lengths(measured, SOLVED_HEIGHT_M))
    for _ in range(SOLVES - 1):
        problem = problem.with_planted(planted_points(points, problem.fps))
        points, _ = problem.solve(points)
        on_solve()
    return points, problem


def gathered(landmarks: PoseLandmarks, values: np.ndarray) -> np.ndarray:
    """Values (T, 33, ...) of the model's landmarks for the 17 points (T, 17, ...)."""
    columns = [[landmarks.names.index(name) for name in _LANDMARKS[point]] for point in POINTS]
    return np.stack([values[:, c].mean(axis=1) for c in columns], axis=1)


def turned_to_ray(shape: np.ndarray, xy: np.ndarray, K: np.ndarray) -> np.ndarray:
    """The model sees a crop as if the camera looked straight at it: turn its points (T, 17, 3) to the crop's ray."""
    ray = np.column_stack([(xy.mean(axis=1) - K[:2, 2]) / K[0, 0], np.ones(len(xy))])
    z = ray / np.linalg.norm(ray, axis=1, keepdims=True)
    x = np.cross(np.broadcast_to([0.0, 1.0, 0.0], z.shape), z)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return np.einsum("tij,tnj->tni", np.stack([x, np.cross(z, x), z], axis=-1), shape)


def _place(shape: np.ndarray, xy: np.ndarray, weight: np.ndarray, K: np.ndarray) -> np.ndarray:
    """Translation (3) [m, camera] that puts points (17, 3) on their rays: linear least squares."""
    u = (xy - K[:2, 2]) / K[0, 0]
    rows = np.zeros((len(u), 2, 3))
    rows[:, 0, 0] = rows[:, 1, 1] = 1.0
    rows[:, :, 2] = -u
    right = u * shape[:, 2:] - shape[:, :2]
    scale = weight[:, None]
    return np.linalg.lstsq((rows * scale[..., None]).reshape(-1, 3), (right * scale).ravel(), rcond=None)[0]


def _filled(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Frames without a person: straight lines between those with one."""
    index = np.arange(len(values))
    flat = values.reshape(len(values), -1)
    return np.stack([np.interp(index, index[seen], c[seen]) for c in flat.T], axis=1).reshape(values.shape)


def _in_world(problem: BodyProblem, points: np.ndarray, camera: CameraMotion, size: float) -> BodyTrack:
    """In the world, `size` times as large as solved."""
    up, vertical_source = gravity.vertical(points, problem.weight, problem.planted, camera)
    R = gravity.world_from_first(up)
    points_world = points @ R.T
    offset = gravity.ground_origin(points_world, problem.planted, problem.weight)
    T = np.tile(np.eye(4), (len(points), 1, 1))
    T[:, :3, :3] = np.einsum("ij,tkj->tik", R, camera.R_cam_first)
    T[:, :3, 3] = -size * offset
    error = np.linalg.norm(problem.reprojected(points) - problem.xy_px, axis=-1)
    total = np.maximum(problem.weight.sum(axis=1), 1e-6)
    return BodyTrack(
        joint_pos_world=all_joints(size * (points_world - offset)),
        T_world_camera=T,
        K=camera.K,
        confidence=problem.weight.mean(axis=1),
        reprojection_px=(error * problem.weight).sum(axis=1) / total,
        segment_lengths=size * problem.lengths,
        camera_tilt_deg=gravity.tilt_deg(up),
        vertical_source=vertical_source,
    )


def all_joints(points: np.ndarray) -> np.ndarray:
    """Joints (T, J, 3) from the solver's points (T, 17, 3): the trunk lies between hips and shoulders."""
    p = {name: points[:, i] for i, name in enumerate(POINTS)}
    pelvis = 0.5 * (p["left_hip"] + p["right_hip"])
    neck = 0.5 * (p["left_shoulder"] + p["right_shoulder"])
    trunk = {name: pelvis + share * (neck - pelvis) for name, share in (("spine", 1 / 3), ("chest", 2 / 3))}
    p |= {"pelvis": pelvis, "neck": neck, **trunk}
    return np.stack([p[name] for name in JOINT_NAMES], axis=1)
