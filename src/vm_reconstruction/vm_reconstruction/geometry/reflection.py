"""The best upright mirror between two people's joints, in closed form: is one the other's image?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Reflection:
    """The upright plane n x = d that reflects one track onto another best.

    Attributes:
        normal: (3,) unit, horizontal, toward the first track; offset: d [m].
        residual_m: root mean square distance of the first track from the second one's image.
        agreement: of how both move and turn, each about its own root and its own mean pose: 1 as one does in a mirror,
            0 as two people do who know nothing of each other, -1 the opposite.
        motion_m: root mean square of that motion of the stiller one; where there is none nothing agrees.
        apart_share: of the frames in which each is on his own side of the plane.
    """

    normal: np.ndarray
    offset: float
    residual_m: float
    agreement: float
    motion_m: float
    apart_share: float

    def image(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) [m] seen in the mirror."""
        return points - 2.0 * (points @ self.normal - self.offset)[..., None] * self.normal


def best_reflection(first: np.ndarray, second: np.ndarray, root: int = 0) -> Reflection:
    """The mirror of two tracks (T, N, 3) [m, z up], the second one with left and right already exchanged.

    For a given n the best d is the mean of n (a + b) / 2; what is left is sum |a - b|^2 + n^T M n with M = the scatter
    of a + b about its mean less that of a - b about zero, so the best horizontal n is the eigenvector of the smaller
    eigenvalue of M's horizontal part.

    Args:
        first, second: joints in the same order.
        root: index of the joint that carries the others.
    """
    total, between = (first + second).reshape(-1, 3), (first - second).reshape(-1, 3)
    mean = total.mean(axis=0)
    scatter = (total - mean).T @ (total - mean) - between.T @ between
    horizontal = np.linalg.eigh(scatter[:2, :2])[1][:, 0]
    normal = np.append(horizontal, 0.0)
    if between.mean(axis=0) @ normal < 0:
        normal = -normal
    plane = Reflection(normal, float(0.5 * mean @ normal), 0.0, 0.0, 0.0, 0.0)
    seen = plane.image(second)
    residual = float(np.sqrt(np.mean(np.sum((first - seen) ** 2, axis=-1))))
    moves = [own - own[:, root : root + 1] for own in (first, seen)]
    moves = [own - own.mean(axis=0) for own in moves]
    power = [float(np.mean(np.sum(own**2, axis=-1))) for own in moves]
    both = float(np.mean(np.sum(moves[0] * moves[1], axis=-1)))
    sides = [np.mean(track @ normal, axis=1) - plane.offset for track in (first, second)]
    apart = float(np.mean((sides[0] > 0) & (sides[1] < 0)))
    agreement = 2.0 * both / max(power[0] + power[1], 1e-12)
    return Reflection(normal, plane.offset, residual, agreement, float(np.sqrt(min(power))), apart)
