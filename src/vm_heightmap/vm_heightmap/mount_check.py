"""Whether the LiDAR hangs as configured: the floor that it sees must lie as the soles do, which the encoders know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core.errors import VmError

SCANS = 3
_NEAR_M, _FAR_M = 0.8, 2.5
_PARALLEL = float(np.cos(np.deg2rad(2.0)))  # soles that differ by more do not both lie flat
_BAND_M, _AGREE_M = 0.10, 0.025


@dataclass(frozen=True)
class MountLimits:
    """When the mount is refused.

    Attributes:
        tilt_deg: more between floor and soles is refused; 0: no check.
        least_points: of the floor, in a scan.
    """

    tilt_deg: float = 1.0
    least_points: int = 300

    def __post_init__(self) -> None:
        if not 0.0 <= self.tilt_deg <= 45.0:
            raise VmError(f"mount tilt limit of {self.tilt_deg} deg: expected 0 (no check) to 45")


class MountCheck:
    """Feed it scans in the torso frame while the robot stands.

    Attributes:
        passed: whether maps may be made.
        problem: what is wrong, empty while unknown or right.
    """

    def __init__(self, limits: MountLimits | None = None) -> None:
        self.limits = limits or MountLimits()
        self.passed, self.problem = self.limits.tilt_deg == 0.0, ""
        self._tilts: list[np.ndarray] = []

    def add(self, points_torso: np.ndarray, soles_torso: np.ndarray, normals_torso: np.ndarray) -> None:
        """Compares a scan (N, 3) [m] with the soles' middles (2, 3) and normals (2, 3)."""
        if self.passed or normals_torso[0] @ normals_torso[1] < _PARALLEL:
            return
        floor = _floor_normal(points_torso, soles_torso, normals_torso, self.limits)
        if floor is None:
            self._tilts.clear()
            self.problem = (
                "no floor where the soles stand: is the LiDAR upright instead of upside down, or its height or tilt "
                "wrong? Nothing is mapped; set lidar_roll_rad, lidar_tilt_rad, lidar_z_m, or mount_check_deg:=0"
            )
            return
        up = _mean_normal(normals_torso)
        self._tilts.append(np.array([floor[1] - up[1], up[0] - floor[0]]))
        if len(self._tilts) < SCANS:
            return
        roll, pitch = np.rad2deg(np.median(self._tilts[-SCANS:], axis=0))
        off = float(np.hypot(roll, pitch))
        self.passed = off <= self.limits.tilt_deg
        self.problem = (
            ""
            if self.passed
            else f"floor and soles differ by {off:.1f} deg (limit {self.limits.tilt_deg:g}): the LiDAR is mounted "
            f"{roll:+.2f} deg in roll and {pitch:+.2f} deg in pitch away from what is set; nothing is mapped until "
            f"lidar_tilt_rad is changed by {np.deg2rad(pitch):+.4f}"
        )


def _mean_normal(normals: np.ndarray) -> np.ndarray:
    mean = normals.mean(axis=0)
    return mean / np.linalg.norm(mean)


def _floor_normal(points: np.ndarray, soles: np.ndarray, normals: np.ndarray, limits: MountLimits) -> np.ndarray | None:
    """Unit normal of the floor around the robot, None if there is none near the soles' plane.

    Where steps, kerbs or boxes make a tilted plane look like the floor, too, the one that agrees with the soles counts.
    """
    up, middle = _mean_normal(normals), soles.mean(axis=0)
    away = points - middle
    height = away @ up
    distance = np.linalg.norm(away - height[:, None] * up, axis=1)
    # a wrong tilt lifts far points, so the band widens with distance
    away = away[(distance > _NEAR_M) & (distance < _FAR_M) & (np.abs(height) < _BAND_M + 0.2 * distance)]
    if len(away) < limits.least_points:
        return None
    away = away[:: max(1, len(away) // 3000)]
    within = [np.cos(np.deg2rad(limits.tilt_deg)), 0.7]
    (expected, agreeing), (found, most) = (_most_agreed(away, up, least) for least in within)
    return found if most > max(1.25 * agreeing, 0.5 * len(away)) else expected


def _most_agreed(away: np.ndarray, up: np.ndarray, least_cosine: float) -> tuple[np.ndarray, int]:
    """The plane near the soles, no further from `up` than told, that most points lie on: normal and their number."""
    rng = np.random.default_rng(0)
    best, most = up, 0
    for a, b in rng.integers(0, len(away), (150, 2)):
        normal = np.cross(away[a], away[b])
        size = float(np.linalg.norm(normal))
        if size < 0.3 or abs(normal @ up) < least_cosine * size:
            continue
        normal *= np.sign(normal @ up) / size
        height = away @ normal
        offset = float(np.clip(np.median(height[np.abs(height) < 0.06]), -0.04, 0.04))
        agree = int((np.abs(height - offset) < _AGREE_M).sum())
        if agree > most:
            best, most = normal, agree
    use = np.abs(away @ best) < 2.0 * _AGREE_M
    if most and use.sum() > 50:
        _, _, axes = np.linalg.svd(away[use] - away[use].mean(axis=0), full_matrices=False)
        refined = axes[2] * np.sign(axes[2] @ up)
        if refined @ up >= least_cosine and int((np.abs(away[use] @ refined) < 2.0 * _AGREE_M).sum()) >= 0.9 * most:
            best = refined
    return best, most
