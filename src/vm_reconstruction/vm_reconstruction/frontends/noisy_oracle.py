"""Turns the truth of a synthetic video into what real networks would tell of it; levels in `oracle_noise`."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter, minimum_filter, zoom
from scipy.spatial.transform import Rotation

from vm_reconstruction.datasets.synthetic.video_truth import VideoTruth
from vm_reconstruction.frontends.oracle_noise import OracleNoise
from vm_reconstruction.human_motion import HumanMotion, joint_index
from vm_reconstruction.observations import COCO_SIGMA, Observations, PersonObservation
from vm_reconstruction.solver.body_problem import POINTS

_MIRRORED = [POINTS.index(n.replace("left", "right") if "left" in n else n.replace("right", "left")) for n in POINTS]
_SIGMA = np.array([COCO_SIGMA[name.rpartition("_")[2]] for name in POINTS])
_HIPS = [POINTS.index("left_hip"), POINTS.index("right_hip")]
SLOW_S = 0.5  # how long a network's slow errors last


def slow_noise(rng: np.random.Generator, shape: tuple[int, ...], frames_s: float) -> np.ndarray:
    """Noise (T, ...) of unit standard deviation that changes over `frames_s` frames."""
    margin = int(4 * frames_s) + 1
    raw = gaussian_filter1d(rng.standard_normal((shape[0] + 2 * margin, *shape[1:])), frames_s, axis=0)
    return raw[margin:-margin] * np.sqrt(2.0 * np.sqrt(np.pi) * frames_s)


def observe(truth: VideoTruth, noise: OracleNoise, seed: int, fps: float | None = None) -> Observations:
    """The noisy observations of one video; the same seed gives the same ones."""
    rng = np.random.default_rng(seed)
    fps = fps or truth.people[0].fps
    units = units_a_metre(noise, rng)
    R, center = _drifting_camera(truth, noise, fps, rng)
    people = tuple(_person(truth, k, noise, fps, rng) for k in range(len(truth.people)))
    up = Rotation.from_euler("xz", rng.standard_normal(2) * [noise.pitch_deg, noise.roll_deg] * noise.strength, True)
    return Observations(
        fps=fps, size=truth.size, matrix=truth.matrix, R_world_camera=R, camera_center=center * units,
        depth=(_depth(truth, noise, fps, rng) * units).astype(np.float16), mask=_mask(truth, people, rng),
        up_first_camera=up.apply(truth.T_world_camera[0, 2, :3]), people=people,
    )  # fmt: skip


def units_a_metre(noise: OracleNoise, rng: np.random.Generator) -> float:
    """The factor between metres and the observations' units: a seed's first draw, for evaluations."""
    return float(np.exp(rng.uniform(-1, 1) * np.log(noise.scale_range)))


def _drifting_camera(
    truth: VideoTruth, noise: OracleNoise, fps: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Camera poses in the first camera's axes, wrong by a random walk [m]."""
    first = truth.T_world_camera[0]
    poses = np.linalg.inv(first) @ truth.T_world_camera
    frames = len(poses)
    step = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1, keepdims=True)
    way = np.concatenate([[[0.0]], np.cumsum(step, axis=0)])
    # A walk whose spread after the whole way is drift_share of it.
    spread = noise.drift_share * noise.strength * np.sqrt(step * max(float(way[-1, 0]), 1e-9))
    drift = np.concatenate([np.zeros((1, 3)), np.cumsum(rng.standard_normal((frames - 1, 3)) * spread, axis=0)])
    turn = np.cumsum(rng.standard_normal((frames, 3)), axis=0) * np.radians(noise.turn_deg) / np.sqrt(fps)
    turn = turn - turn[:1] + rng.standard_normal((frames, 3)) * np.radians(noise.jitter_deg)
    wrong = Rotation.from_matrix(poses[:, :3, :3]) * Rotation.from_rotvec(turn * noise.strength)
    return wrong.as_matrix(), poses[:, :3, 3] + drift


def _points(motion: HumanMotion) -> np.ndarray:
    return motion.joint_pos_world[:, [joint_index(name) for name in POINTS]]


def _in_camera(truth: VideoTruth, points: np.ndarray) -> np.ndarray:
    T = truth.T_world_camera
    return np.einsum("tji,tnj->tni", T[:, :3, :3], points - T[:, None, :3, 3])


def _person(truth: VideoTruth, k: int, noise: OracleNoise, fps: float, rng: np.random.Generator) -> PersonObservation:
    camera = _in_camera(truth, _points(truth.people[k]))
    frames = len(camera)
    exact = camera[..., :2] / camera[..., 2:] * truth.matrix[[0, 1], [0, 1]] + truth.matrix[:2, 2]
    inside = np.all((exact >= 0) & (exact < truth.size), axis=-1)
    hidden = _hidden(truth, k, exact, camera[..., 2])
    extent = np.ptp(exact, axis=1)
    spread = noise.strength * noise.keypoint_share * _SIGMA * np.sqrt(0.5 * np.prod(extent, axis=1))[:, None]
    spread = (spread * np.where(hidden, 3.0, 1.0))[..., None] / np.sqrt(2)
    shape = (frames, len(POINTS), 2)
    xy = exact + spread * (rng.standard_normal(shape) + slow_noise(rng, shape, SLOW_S * fps))
    found = ~_episodes(rng, frames, noise.miss_share * noise.strength, 2, 8)
    swapped = _episodes(rng, frames, noise.swap_share * noise.strength, 2, 6)
    xy[swapped] = xy[swapped][:, _MIRRORED]
    confidence = np.where(hidden, rng.uniform(0.15, 0.5, hidden.shape), rng.uniform(0.7, 0.95, hidden.shape))
    confidence = confidence * inside * found[:, None]
    points = _pose(camera, noise, fps, rng)
    points[swapped] = points[swapped][:, _MIRRORED]
    return PersonObservation(
        truth.people[k].height_m, np.where(confidence[..., None] > 0, xy, 0.0), confidence,
        np.where(found[:, None, None], points, 0.0), found,
    )  # fmt: skip


def _hidden(truth: VideoTruth, k: int, xy: np.ndarray, z: np.ndarray) -> np.ndarray:
    """(T, 17) where another person or the scene is in front of the joint."""
    height, width = truth.depth.shape[1:]
    column = np.clip(xy[..., 0] * width / truth.size[0], 0, width - 1).astype(int)
    row = np.clip(xy[..., 1] * height / truth.size[1], 0, height - 1).astype(int)
    frame = np.arange(len(xy))[:, None]
    seen, depth = truth.mask[frame, row, column], truth.depth[frame, row, column].astype(float)
    return (seen != k + 1) & (depth > 0) & (depth < z - 0.12)


def _pose(camera: np.ndarray, noise: OracleNoise, fps: float, rng: np.random.Generator) -> np.ndarray:
    """(T, 17, 3) root-relative points: turned, bent and breathing as pose networks' results."""
    points = camera - camera[:, _HIPS].mean(axis=1, keepdims=True)
    frames = len(points)
    turn = Rotation.from_rotvec(np.radians(5.0) * slow_noise(rng, (frames, 3), 1.5 * SLOW_S * fps))
    wrong = np.einsum("tij,tnj->tni", turn.as_matrix(), points) - points
    along = np.array([0.7, 0.7, 1.4])  # a single picture says least about the line of sight
    wrong += 0.030 * along * slow_noise(rng, points.shape, SLOW_S * fps)
    wrong += 0.020 * along * rng.standard_normal((1, *points.shape[1:]))  # of this body in this video
    wrong += 0.010 * along * rng.standard_normal(points.shape)
    wrong -= wrong[:, _HIPS].mean(axis=1, keepdims=True)
    return points + wrong * noise.strength * noise.pose_m / np.linalg.norm(wrong, axis=-1).mean()


def _episodes(rng: np.random.Generator, frames: int, share: float, shortest: int, longest: int) -> np.ndarray:
    """(T,) bool: runs that together take about `share` of the frames."""
    flags = np.zeros(frames, bool)
    for _ in range(rng.poisson(share * frames / (0.5 * (shortest + longest)))):
        start = int(rng.integers(frames))
        flags[start : start + int(rng.integers(shortest, longest + 1))] = True
    return flags


def _depth(truth: VideoTruth, noise: OracleNoise, fps: float, rng: np.random.Generator) -> np.ndarray:
    """(T, h, w) [m] with warps, flicker and flying edges."""
    depth = truth.depth.astype(np.float32)
    frames, height, width = depth.shape
    cells = (5, 5)
    lasting = rng.standard_normal((1, *cells))
    warp = noise.warp * np.sqrt(0.5) * (lasting + slow_noise(rng, (frames, *cells), 0.5 * fps))
    flicker = noise.flicker * rng.standard_normal(frames)
    result = np.empty_like(depth)
    for t in range(frames):
        field = zoom(warp[t], (height / cells[0], width / cells[1]), order=1, grid_mode=True, mode="nearest")
        low, high = minimum_filter(depth[t], 3), maximum_filter(depth[t], 3)
        edge = (high - low > 0.08 * depth[t]) & (rng.random(depth[t].shape) < noise.flying_share * noise.strength)
        flying = np.where(edge, low + (high - low) * rng.random(depth[t].shape), depth[t])
        result[t] = flying * np.exp(noise.strength * (field + flicker[t]))
    return np.where(depth > 0, result, 0.0)


def _mask(truth: VideoTruth, people: tuple[PersonObservation, ...], rng: np.random.Generator) -> np.ndarray:
    """Segments as trackers give them: a pixel wider or narrower now and then, none where the person was missed."""
    mask = truth.mask.copy()
    for t in range(len(mask)):
        if rng.random() < 0.3:
            mask[t] = maximum_filter(mask[t], 3) if rng.random() < 0.5 else minimum_filter(mask[t], 3)
        for k, person in enumerate(people):
            if not person.found[t]:
                mask[t][mask[t] == k + 1] = 0
    return mask
