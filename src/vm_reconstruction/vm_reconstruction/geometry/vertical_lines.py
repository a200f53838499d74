"""Which way is up, from straight edges of what people build: walls, doors, shelves and posts share one direction.

An edge's image and the camera's centre span a plane that the edge lies in, whatever its distance; the vertical is the
direction that most of these planes contain (S. Barnard, Interpreting perspective images, Artificial Intelligence 21,
1983). Nothing says which planes are of vertical edges, so the direction is sought near a rough vertical.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

REACH_DEG, STEP_DEG = 20.0, 1.0  # around the rough vertical
END_PX = 1.0  # how exactly a segment's ends are found, across it
EDGE_STD_DEG = 0.4  # how far edges that should be vertical are not, with what the lens bends
CAMERA_STD_DEG, FOCAL_STD = 0.4, 0.05  # what all segments share: the lens, and the focal length times the tilt
FEWEST, MIN_SHARE = 12, 0.25  # segments that agree, and their share of those that could
NEAR_STD = 2.5  # standard deviations within which a segment agrees
DOUBT = 2.0  # standard deviations from the rough vertical beyond which lines count less and less


@dataclass(frozen=True)
class LineVertical:
    """What lines say of the vertical.

    Attributes:
        up: (3,) unit vector, in the axes of the normals.
        information: (3, 3) inverse covariance [1/rad^2] of small turns of `up` (across it; `up` is its null vector).
        count, frames: segments that agree, and frames that they are of.
    """

    up: np.ndarray
    information: np.ndarray
    count: int
    frames: int

    @property
    def std_deg(self) -> tuple[float, float]:
        """Standard deviations across `up` [deg], of the best and of the worst known direction."""
        known = np.linalg.eigvalsh(self.information)[1:]
        worst, best = np.degrees(1.0 / np.sqrt(np.maximum(known, 1e-9)))
        return float(best), float(worst)


def plane_normals(segments_px: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Unit normals (N, 3), camera axes, of the planes through the centre and segments (N, 4: x y x y) [px]."""
    ends = (segments_px.reshape(-1, 2, 2) - matrix[:2, 2]) / matrix[[0, 1], [0, 1]]
    rays = np.concatenate([ends, np.ones((len(ends), 2, 1))], axis=2)
    normals = np.cross(rays[:, 0], rays[:, 1])
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def turn_std(segments_px: np.ndarray) -> np.ndarray:
    """(N,) how exactly n.v = 0 holds for a vertical edge [rad]: a short segment's direction is known badly."""
    length = np.linalg.norm(segments_px[:, 2:] - segments_px[:, :2], axis=1)
    return np.hypot(np.sqrt(2.0) * END_PX / np.maximum(length, 1.0), np.radians(EDGE_STD_DEG))


def vertical(
    normals: np.ndarray, std: np.ndarray, frame: np.ndarray, rough_up: np.ndarray, optical_axis: np.ndarray
) -> LineVertical | None:
    """The direction near rough_up (3,) that most planes contain; None where too few agree.

    Args:
        normals: (N, 3) in axes that all frames share; std: (N,) as `turn_std`; frame: (N,) where each was seen.
        rough_up: (3,) unit vector, right within REACH_DEG.
        optical_axis: (3,) of a typical frame, in the same axes: a wrong focal length errs by a share of the tilt.
    """
    could = np.abs(normals @ rough_up) < np.sin(np.radians(REACH_DEG))
    normals, std, frame = normals[could], std[could], frame[could]
    if len(normals) < FEWEST:
        return None
    up = _refined(normals, std, _best_of_grid(normals, std, rough_up))
    agree = np.abs(normals @ up) < NEAR_STD * std
    near = up @ rough_up > np.cos(np.radians(REACH_DEG))
    if not near or agree.sum() < max(FEWEST, MIN_SHARE * len(normals)):
        return None
    frames = len(np.unique(frame[agree]))
    information = _information(normals[agree], std[agree], frames, up, optical_axis)
    return LineVertical(up, information, int(agree.sum()), frames)


def _best_of_grid(normals: np.ndarray, std: np.ndarray, rough_up: np.ndarray) -> np.ndarray:
    """Of directions all around rough_up the one that most planes pass; long segments count more."""
    steps = np.radians(np.arange(-REACH_DEG, REACH_DEG + 0.5 * STEP_DEG, STEP_DEG))
    a, b = (grid.ravel() for grid in np.meshgrid(steps, steps))
    inside = np.hypot(a, b) <= np.radians(REACH_DEG)
    across = _across(rough_up)
    tried = rough_up + np.tan(a[inside, None]) * across[0] + np.tan(b[inside, None]) * across[1]
    tried /= np.linalg.norm(tried, axis=1, keepdims=True)
    wide = np.hypot(std, np.radians(STEP_DEG))
    score = np.zeros(len(tried))
    for normal, width in zip(normals, wide, strict=True):
        score += 1.0 / (width * (1.0 + (tried @ normal / width) ** 2) ** 2)
    return tried[int(score.argmax())]


def _refined(normals: np.ndarray, std: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Reweighted least squares (Geman-McClure's weights) of n.v = 0 from a direction that is nearly right."""
    for wide in (3.0, 2.0, *[1.0] * 8):
        limit = NEAR_STD * wide * std
        weight = 1.0 / (std * (1.0 + (normals @ up / limit) ** 2)) ** 2
        found = np.linalg.eigh(np.einsum("n,ni,nj->ij", weight, normals, normals))[1][:, 0]
        up = found if found @ up > 0 else -found
    return up


def _information(
    normals: np.ndarray, std: np.ndarray, frames: int, up: np.ndarray, optical_axis: np.ndarray
) -> np.ndarray:
    """That of one frame's segments, for the same edges are seen again, less what all of them get wrong together."""
    across = _across(up)
    turned = normals @ across.T / std[:, None]
    one_frame = turned.T @ turned / frames
    tilt = across @ optical_axis * np.sign(up @ optical_axis)  # where the focal length's error turns `up` to
    shared = np.radians(CAMERA_STD_DEG) ** 2 * np.eye(2)
    lean = float(up @ optical_axis)
    if np.linalg.norm(tilt) > 1e-9:
        tilt /= np.linalg.norm(tilt)
        shared = shared + (FOCAL_STD * lean) ** 2 * np.outer(tilt, tilt)
    covariance = np.linalg.inv(one_frame + 1e-6 * np.eye(2)) + shared
    return across.T @ np.linalg.inv(covariance) @ across


def _across(up: np.ndarray) -> np.ndarray:
    """(2, 3) unit vectors across `up` and each other."""
    first = np.cross(up, np.eye(3)[int(np.abs(up).argmin())])
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(up, first)])


@dataclass(frozen=True)
class Blend:
    """A rough vertical and the lines' together.

    Attributes:
        up: (3,) unit vector; covariance: (3, 3) of its small turns [rad^2], nothing along it.
        share: of the lines, 0..1, mean of both directions across `up`; off_deg: between the two opinions.
    """

    up: np.ndarray
    covariance: np.ndarray
    share: float
    off_deg: float


def blended(rough_up: np.ndarray, std: float, lines: LineVertical | None) -> Blend:
    """The most likely vertical of a rough one with standard deviation `std` [rad] and of lines, if there are any.

    Lines that contradict it by more than DOUBT standard deviations of both count less and less.
    """
    prior = np.eye(3) / std**2
    if lines is None:
        return Blend(rough_up, std**2 * (np.eye(3) - np.outer(rough_up, rough_up)), 0.0, 0.0)
    across = _across(lines.up)
    off = across @ rough_up
    spread = np.linalg.inv(across @ lines.information @ across.T) + std**2 * np.eye(2)
    doubt = 1.0 / (1.0 + float(off @ np.linalg.solve(spread, off)) / DOUBT**2)
    information = prior + doubt * lines.information
    up = np.linalg.solve(information, prior @ rough_up)
    up /= np.linalg.norm(up)
    across = _across(up)
    covariance = np.linalg.inv(across @ information @ across.T)
    share = 0.5 * float(np.trace(covariance @ across @ (doubt * lines.information) @ across.T))
    off_deg = float(np.degrees(np.arccos(np.clip(rough_up @ lines.up, -1.0, 1.0))))
    return Blend(up, across.T @ covariance @ across, share, off_deg)
