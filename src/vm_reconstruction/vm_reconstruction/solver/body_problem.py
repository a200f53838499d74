"""The person over all frames as one least-squares problem: 17 points a frame, tied by images, limb lengths and time.

Everything lives in the first camera's axes (x right, y down, z forward), metres, the camera's centre at the origin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vm_reconstruction.body_model import rest_positions
from vm_reconstruction.human_motion import joint_index
from vm_reconstruction.solver.banded import Block, Solution, minimize

_PAIRS = ("hip", "knee", "ankle", "heel", "toe", "shoulder", "elbow", "wrist")
POINTS: tuple[str, ...] = (*(f"{side}_{part}" for part in _PAIRS for side in ("left", "right")), "head")
COUNT = len(POINTS)
UNKNOWNS = 3 * COUNT
BANDWIDTH = 2 * UNKNOWNS + 3  # three frames of acceleration, left and right hip side by side
_SIDE_BONES = (
    ("hip", "knee"),
    ("knee", "ankle"),
    ("ankle", "heel"),
    ("ankle", "toe"),
    ("heel", "toe"),
    ("shoulder", "elbow"),
    ("elbow", "wrist"),
)
# Ties of the trunk bend and breathe: their length is softer than a limb's.
_SOFT_BONES = (
    ("left_hip", "left_shoulder"),
    ("right_hip", "right_shoulder"),
    ("left_hip", "right_shoulder"),
    ("right_hip", "left_shoulder"),
    ("left_shoulder", "head"),
    ("right_shoulder", "head"),
)
BONES: tuple[tuple[str, str], ...] = (
    *((f"{side}_{a}", f"{side}_{b}") for a, b in _SIDE_BONES for side in ("left", "right")),
    ("left_hip", "right_hip"),
    ("left_shoulder", "right_shoulder"),
    *_SOFT_BONES,
)
_A = np.array([POINTS.index(a) for a, _ in BONES])
_B = np.array([POINTS.index(b) for _, b in BONES])
IS_SOFT = np.array([bone in _SOFT_BONES for bone in BONES])
SEEN_SEGMENTS = np.flatnonzero([b not in ("left_heel", "right_heel") for _, b in BONES])


@dataclass(frozen=True)
class Noise:
    """Standard deviations of what the problem is told.

    Attributes:
        point_m: a landmark's image position, expressed at the person's distance [m].
        direction: a segment's direction by the pose model, per metre of its length.
        length_m, soft_length_m: limb lengths and trunk ties [m].
        limb_acceleration, root_acceleration: how fast points and the pelvis change their velocity [m/s^2].
        contact_speed: of a planted heel or toe [m/s].
        cauchy: standard deviations beyond which a landmark counts as wrong.
    """

    point_m: float = 0.02
    direction: float = 0.25
    length_m: float = 0.002
    soft_length_m: float = 0.02
    limb_acceleration: float = 12.0
    root_acceleration: float = 2.5
    contact_speed: float = 0.03
    cauchy: float = 2.5


@dataclass(frozen=True)
class BodyProblem:
    """What is known about T frames.

    Attributes:
        fps: frames a second.
        K: (3, 3); R_cam_first: (T, 3, 3).
        xy_px: (T, 17, 2); weight: (T, 17) 0..1, how far each is trusted.
        points_model: (T, 17, 3) the pose model's points, turned into the first camera's axes; directions are used.
        lengths: (bones) [m].
        planted: (T-1, 17) 0..1: the point stays between frames t and t+1.
    """

    fps: float
    K: np.ndarray
    R_cam_first: np.ndarray
    xy_px: np.ndarray
    weight: np.ndarray
    points_model: np.ndarray
    lengths: np.ndarray
    planted: np.ndarray
    noise: Noise = Noise()

    def solve(self, start: np.ndarray, max_iterations: int = 25) -> tuple[np.ndarray, Solution]:
        """From first points (T, 17, 3) to the most likely ones."""
        px_sigma = self._pixel_sigma(start)
        fixed = [self._acceleration(), self._root_acceleration(), self._planted(), self._directions()]

        def model(x: np.ndarray) -> list[Block]:
            points = x.reshape(-1, COUNT, 3)
            linear = [_at(block, x) for block in fixed]
            return [self._reprojection(points, px_sigma), self._lengths(points), *linear]

        solution = minimize(model, start.ravel(), BANDWIDTH, max_iterations)
        return solution.x.reshape(start.shape), solution

    def with_planted(self, planted: np.ndarray) -> BodyProblem:
        """The same with other contacts."""
        return replace(self, planted=planted)

    def reprojected(self, points: np.ndarray) -> np.ndarray:
        """Image positions (T, 17, 2) [px] of points (T, 17, 3)."""
        camera = np.einsum("tij,tnj->tni", self.R_cam_first, points)
        return camera[..., :2] / np.maximum(camera[..., 2:], 0.1) * self.K[[0, 1], [0, 1]] + self.K[:2, 2]

    def _pixel_sigma(self, start: np.ndarray) -> np.ndarray:
        depth = np.einsum("tj,tnj->tn", self.R_cam_first[:, 2], start).mean(axis=1)
        return self.noise.point_m * self.K[0, 0] / np.maximum(depth, 0.3)

    def _reprojection(self, points: np.ndarray, px_sigma: np.ndarray) -> Block:
        camera = np.einsum("tij,tnj->tni", self.R_cam_first, points)
        depth = np.maximum(camera[..., 2], 0.1)
        scale = (np.sqrt(self.weight) / px_sigma[:, None])[..., None]
        residual = (self.reprojected(points) - self.xy_px) * scale
        focal = self.K[0, 0]
        by_camera = np.zeros((*depth.shape, 2, 3))
        by_camera[..., 0, 0] = by_camera[..., 1, 1] = focal / depth
        by_camera[..., 0, 2], by_camera[..., 1, 2] = (-focal * camera[..., i] / depth**2 for i in (0, 1))
        jacobian = np.einsum("tnab,tbc->tnac", by_camera, self.R_cam_first) * scale[..., None]
        columns = _columns(len(points))
        return Block(residual.reshape(-1, 2), jacobian.reshape(-1, 2, 3), columns.reshape(-1, 3), self.noise.cauchy)

    def _lengths(self, points: np.ndarray) -> Block:
        difference = points[:, _B] - points[:, _A]
        length = np.maximum(np.linalg.norm(difference, axis=-1), 1e-6)
        sigma = np.where(IS_SOFT, self.noise.soft_length_m, self.noise.length_m)
        direction = difference / (length * sigma)[..., None]
        jacobian = np.concatenate([-direction, direction], axis=-1)
        residual = (length - self.lengths) / sigma
        columns = _columns(len(points))
        pair = np.concatenate([columns[:, _A], columns[:, _B]], axis=-1)
        return Block(residual.reshape(-1, 1), jacobian.reshape(-1, 1, 6), pair.reshape(-1, 6))

    def _directions(self) -> Block:
        a, b = _A[SEEN_SEGMENTS], _B[SEEN_SEGMENTS]
        difference = self.points_model[:, b] - self.points_model[:, a]
        unit = difference / np.maximum(np.linalg.norm(difference, axis=-1, keepdims=True), 1e-6)
        lengths = self.lengths[SEEN_SEGMENTS]
        trust = np.sqrt(self.weight[:, a] * self.weight[:, b])
        sigma = self.noise.direction * np.maximum(lengths, 0.12)
        rows = (trust / sigma)[..., None]
        target = unit * lengths[:, None] * rows
        jacobian = np.concatenate([-np.eye(3), np.eye(3)], axis=1) * rows[..., None]
        columns = _columns(len(unit))
        pair = np.concatenate([columns[:, a], columns[:, b]], axis=-1)
        return Block(-target.reshape(-1, 3), jacobian.reshape(-1, 3, 6), pair.reshape(-1, 6), self.noise.cauchy)

    def _acceleration(self) -> Block:
        columns = _columns(len(self.xy_px)).reshape(len(self.xy_px), UNKNOWNS)
        triple = np.stack([columns[:-2], columns[1:-1], columns[2:]], axis=-1).reshape(-1, 3)
        row = np.array([1.0, -2.0, 1.0]) * self.fps**2 / self.noise.limb_acceleration
        return Block(np.zeros((len(triple), 1)), np.broadcast_to(row, (len(triple), 1, 3)), triple)

    def _root_acceleration(self) -> Block:
        columns = _columns(len(self.xy_px))[:, :2]  # left and right hip
        six = np.concatenate([columns[:-2], columns[1:-1], columns[2:]], axis=1).transpose(0, 2, 1).reshape(-1, 6)
        row = 0.5 * np.repeat([1.0, -2.0, 1.0], 2) * self.fps**2 / self.noise.root_acceleration
        return Block(np.zeros((len(six), 1)), np.broadcast_to(row, (len(six), 1, 6)), six)

    def _planted(self) -> Block:
        frame, point = np.nonzero(self.planted > 0.0)
        columns = _columns(len(self.xy_px))
        pair = np.concatenate([columns[frame, point], columns[frame + 1, point]], axis=-1)
        strength = (np.sqrt(self.planted[frame, point]) * self.fps / self.noise.contact_speed)[:, None, None]
        jacobian = np.concatenate([-np.eye(3), np.eye(3)], axis=1)[None] * strength
        return Block(np.zeros((len(pair), 3)), jacobian, pair, 3.0)


def _columns(frames: int) -> np.ndarray:
    return np.arange(frames * UNKNOWNS).reshape(frames, COUNT, 3)


def _at(block: Block, x: np.ndarray) -> Block:
    """A linear block (its residual at x = 0 is stored) at x."""
    return replace(block, residual=block.residual + np.einsum("nmk,nk->nm", block.jacobian, x[block.columns]))


def model_lengths(height_m: float) -> np.ndarray:
    """Lengths (bones) [m] of a person of this height."""
    rest = rest_positions(height_m)[[joint_index(name) for name in POINTS]]
    return np.linalg.norm(rest[_B] - rest[_A], axis=1)


def measured_lengths(points: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Typical lengths (bones) [m] in points (T, 17, 3): the median over the frames that show the bone best."""
    length = np.linalg.norm(points[:, _B] - points[:, _A], axis=-1)
    trust = np.sqrt(weight[:, _A] * weight[:, _B])
    return np.array([np.median(lengths[w >= np.median(w)]) for lengths, w in zip(length.T, trust.T, strict=True)])


def adapted_lengths(measured: np.ndarray, height_m: float, trust: float = 0.6, limit: float = 0.15) -> np.ndarray:
    """Lengths between the table's and the measured ones, both sides equal, the stature unchanged.

    Args:
        measured: (bones) [m].
        height_m: the ruler; the sum of the bones that make up the stature stays the table's.
        trust: share of the measured deviation that is taken over.
        limit: largest deviation from the table.
    """
    table = model_lengths(height_m)
    ratio = measured / table
    groups = [tuple(sorted(name.partition("_")[2] or name for name in bone)) for bone in BONES]
    mean = np.array([np.mean([r for r, g in zip(ratio, groups, strict=True) if g == group]) for group in groups])
    ratio = 1.0 + np.clip(trust * (mean / np.median(mean) - 1.0), -limit, limit)
    stature = [groups.index(tuple(sorted(pair))) for pair in (("hip", "knee"), ("knee", "ankle"), ("hip", "shoulder"))]
    return table * ratio * table[stature].sum() / (table * ratio)[stature].sum()
