"""Stage 3: the camera. Focal length from stage 1; rotation of a hand-held camera from features outside the person.

Translation is not estimated: a phone held by hand moves centimetres, which features metres away do not show apart from
rotation (plain structure from motion does not succeed on such clips). `residual_px` says how well rotation explains
what the background does; a large value means that the camera travelled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from vm_core.atomic_files import atomic_path
from vm_core.frames import matrix_from_quat, quat_from_matrix, quat_from_rotvec, rotvec_from_quat
from vm_reconstruction.frontends.pose_frontend import PoseLandmarks
from vm_reconstruction.progress import FrameProgress, warn
from vm_reconstruction.stages import straight_edges
from vm_reconstruction.stages.frames import FrameSource, read_frames

MAX_FEATURES, MIN_FEATURES = 400, 40
INLIER_PX = 2.0
RANSAC_ROUNDS = 60
STATIC_RAD = 2e-4  # less turn than this from first to last: a tripod; the estimate would be noise
SMOOTH_FRAMES = 1.0

TRAVELS_PX = 2.0  # of background motion that no rotation explains


@dataclass(frozen=True)
class CameraMotion:
    """The camera over T frames (OpenCV axes: x right, y down, z forward).

    Attributes:
        K: (3, 3) of the working image.
        R_cam_first: (T, 3, 3) turns directions in the first frame's camera axes into those of frame t.
        residual_px: (T,) median distance that the rotation leaves between tracked background features.
        features: (T,) number of background features behind each rotation.
        focal_source: where the focal length comes from.
        segments_px, segment_frame: (M, 4), (M,) straight edges of the background in some frames (`straight_edges`).
    """

    K: np.ndarray
    R_cam_first: np.ndarray
    residual_px: np.ndarray
    features: np.ndarray
    focal_source: str
    segments_px: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    segment_frame: np.ndarray = field(default_factory=lambda: np.zeros(0, int))

    def save(self, path: Path) -> None:
        """Writes stages/camera.npz."""
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **{**self.__dict__, "focal_source": np.array(self.focal_source)})

    @classmethod
    def load(cls, path: Path) -> CameraMotion:
        """Reads stages/camera.npz."""
        with np.load(path, allow_pickle=False) as data:
            fields = {name: data[name] for name in data.files}
        return cls(**{**fields, "focal_source": str(fields["focal_source"])})


def run(out: Path, progress: FrameProgress) -> CameraMotion:
    """Tracks the background and writes stages/camera.npz."""
    source = FrameSource.load(out / "stages" / "frames.json")
    landmarks = PoseLandmarks.load(out / "stages" / "landmarks.npz")
    motion = track(source, landmarks, progress.step)
    if np.median(motion.residual_px) > TRAVELS_PX:
        warn(f"the camera travels: rotation leaves {np.median(motion.residual_px):.1f} px; positions will be off")
    motion.save(out / "stages" / "camera.npz")
    return motion


def track(source: FrameSource, landmarks: PoseLandmarks, on_frame: Callable[[], None]) -> CameraMotion:
    """The camera's rotation from the background of every frame."""
    K = np.array([[source.focal_px, 0, source.width / 2], [0, source.focal_px, source.height / 2], [0, 0, 1.0]])
    tracker, edges = _KeyframeTracker(K), straight_edges.EdgeCollector(source.num_frames)
    for index, frame in enumerate(read_frames(source)):
        gray, background = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), _background(landmarks, index, frame.shape[:2])
        tracker.add(gray, background)
        edges.add(index, gray, background)
        on_frame()
    rotations = _smoothed(np.array(tracker.rotations))
    if np.max(np.linalg.norm(rotvec_from_quat(quat_from_matrix(rotations)), axis=-1)) < STATIC_RAD:
        rotations = np.broadcast_to(np.eye(3), rotations.shape).copy()
    residuals, counts = np.array(tracker.residuals), np.array(tracker.counts)
    return CameraMotion(K, rotations, residuals, counts, source.focal_source, *edges.found())


def _background(landmarks: PoseLandmarks, index: int, shape: tuple[int, int]) -> np.ndarray:
    """uint8 mask, 255 where the person surely is not."""
    person = cv2.resize(landmarks.mask(index).astype(np.uint8), (shape[1], shape[0]))
    if landmarks.found[index]:
        cv2.fillConvexPoly(person, cv2.convexHull(landmarks.xy_px[index].astype(np.int32)), 1)
    return np.where(cv2.dilate(person, np.ones((25, 25), np.uint8)) > 0, 0, 255).astype(np.uint8)


class _KeyframeTracker:
    """Follows features from a keyframe as long as enough remain, so that errors add up per keyframe, not per frame."""

    def __init__(self, K: np.ndarray) -> None:
        self.K, self.rotations, self.residuals, self.counts = K, [], [], []
        self._random = np.random.default_rng(0)
        self._last: np.ndarray | None = None
        self._key_rotation = np.eye(3)
        self._key_points = self._points = np.zeros((0, 2), np.float32)

    def add(self, gray: np.ndarray, background: np.ndarray) -> None:
        """Takes the next frame."""
        rotation, residual = self._key_rotation, 0.0
        if self._last is not None and len(self._points) > 0:
            self._follow(gray, background)
            rotation, residual = self._rotation()
        self.rotations.append(rotation)
        self.residuals.append(residual)
        self.counts.append(len(self._points))
        if len(self._points) < max(MIN_FEATURES, 0.4 * getattr(self, "_key_count", 0)):
            self._new_keyframe(gray, background, rotation)
        self._last = gray

    def _follow(self, gray: np.ndarray, background: np.ndarray) -> None:
        ahead, good = _flow(self._last, gray, self._points)
        back, good_back = _flow(gray, self._last, ahead)
        keep = good & good_back & (np.linalg.norm(back - self._points, axis=-1) < 0.7)
        height, width = gray.shape
        column, row = np.rint(ahead).astype(int).T
        keep &= (column >= 0) & (column < width) & (row >= 0) & (row < height)
        keep[keep] &= background[row[keep], column[keep]] > 0
        self._points, self._key_points = ahead[keep], self._key_points[keep]

    def _rotation(self) -> tuple[np.ndarray, float]:
        if len(self._points) < 4:
            return (self.rotations[-1] if self.rotations else np.eye(3)), 0.0
        relative, residual = rotation_between(self._key_points, self._points, self.K, self._random)
        return relative @ self._key_rotation, residual

    def _new_keyframe(self, gray: np.ndarray, background: np.ndarray, rotation: np.ndarray) -> None:
        found = cv2.goodFeaturesToTrack(gray, MAX_FEATURES, 0.01, 9, mask=background)
        self._points = np.zeros((0, 2), np.float32) if found is None else found.reshape(-1, 2)
        self._key_points, self._key_rotation, self._key_count = self._points.copy(), rotation, len(self._points)


def _flow(image_a: Any, image_b: Any, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where points (N, 2) of image a are in image b, and (N,) whether they were found."""
    start: Any = None
    moved, status, _ = cv2.calcOpticalFlowPyrLK(image_a, image_b, points, start, winSize=(21, 21), maxLevel=3)
    return moved, status.ravel() == 1


def rotation_between(
    points_a: np.ndarray, points_b: np.ndarray, K: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Rotation R_ba (3, 3) that turns rays of image a into rays of image b, by RANSAC over pairs of points.

    Args:
        points_a, points_b: (N, 2) px, the same features in both images.
        K: (3, 3).
        random: for the draws.

    Returns:
        The rotation and the median distance [px] of all points that it leaves.
    """
    rays_a, rays_b = _rays(points_a, K), _rays(points_b, K)
    best, best_count = np.eye(3), -1
    for _ in range(RANSAC_ROUNDS):
        pick = random.choice(len(rays_a), 2, replace=False)
        candidate = _kabsch(rays_a[pick], rays_b[pick])
        count = int((_distance_px(candidate, rays_a, points_b, K) < INLIER_PX).sum())
        if count > best_count:
            best, best_count = candidate, count
    for _ in range(3):
        inliers = _distance_px(best, rays_a, points_b, K) < INLIER_PX
        if inliers.sum() < 3:
            break
        best = _kabsch(rays_a[inliers], rays_b[inliers])
    return best, float(np.median(_distance_px(best, rays_a, points_b, K)))


def _rays(points: np.ndarray, K: np.ndarray) -> np.ndarray:
    rays = np.column_stack([(points - K[:2, 2]) / K[[0, 1], [0, 1]], np.ones(len(points))])
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def _distance_px(R: np.ndarray, rays_a: np.ndarray, points_b: np.ndarray, K: np.ndarray) -> np.ndarray:
    turned = rays_a @ R.T
    depth = np.maximum(turned[:, 2:], 1e-6)
    return np.linalg.norm(turned[:, :2] / depth * K[[0, 1], [0, 1]] + K[:2, 2] - points_b, axis=1)


def _kabsch(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    u, _, vt = np.linalg.svd(b.T @ a)
    return u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt


def _smoothed(rotations: np.ndarray) -> np.ndarray:
    """Low-pass over time: trackers jitter by tenths of a pixel, hands do not."""
    vectors = rotvec_from_quat(quat_from_matrix(rotations))
    return matrix_from_quat(quat_from_rotvec(gaussian_filter1d(vectors, SMOOTH_FRAMES, axis=0, mode="nearest")))
