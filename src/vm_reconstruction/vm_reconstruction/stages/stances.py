"""Feet at rest: when, where, and the ground under the lowest of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.stages.stillness import speed

STEP_MIN_M = 0.09  # lower than any step, higher than the noise of a stance
SLOPE_STD = 0.05  # grounds are level within 3 deg unless the feet say otherwise
STANCE_STD_M = 0.03


@dataclass(frozen=True)
class Stance:
    """One foot at rest: heel and toe (2, 3) [m, world], their scatter in height [m], frames [start, end)."""

    sole: np.ndarray
    height_std_m: float
    start: int
    end: int

    @property
    def height(self) -> float:
        """Height of what carries the foot [m]: the lower end of the sole, for a stance may be on toes alone."""
        return float(self.sole[:, 2].min() * 0.5 + self.sole[:, 2].mean() * 0.5)


def stances(motion: HumanMotion) -> list[Stance]:
    """Every interval in which one foot rests, with where its sole was while it was slowest."""
    result = []
    for side in ("left", "right"):
        flags = motion.contact[:, motion.contact_names.index(f"{side}_foot")] > 0.5
        sole = np.stack([motion.joint(f"{side}_heel"), motion.joint(f"{side}_toe")], axis=1)
        slow = np.max([speed(sole[:, i], motion.fps) for i in (0, 1)], axis=0)
        for start, end in intervals(flags):
            frames = np.arange(start, end)
            if motion.confidence[frames].mean() < 0.3:
                continue  # nobody saw this foot
            calm = frames[slow[frames] <= np.median(slow[frames])]
            height_std = float(np.std(sole[calm, :, 2].mean(axis=1)))
            result.append(Stance(np.median(sole[calm], axis=0), height_std, start, end))
    return sorted(result, key=lambda stance: stance.start)


def intervals(flags: np.ndarray) -> list[tuple[int, int]]:
    """[start, end) of each run of true flags (T,)."""
    edges = np.diff(np.concatenate([[0], flags.astype(int), [0]]))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))


def fit_ground(found: list[Stance]) -> tuple[tuple[float, float, float], float, list[bool]]:
    """Plane z = a x + b y + c under the lowest stances; returns it, its standard deviation [m], who stands on it."""
    if not found:
        return (0.0, 0.0, 0.0), 0.1, []
    xy = np.array([s.sole[:, :2].mean(axis=0) for s in found])
    z = np.array([s.height for s in found])
    member = z <= np.sort(z)[0] + STEP_MIN_M
    member |= z <= np.median(z[member]) + STEP_MIN_M
    plane = np.array([0.0, 0.0, float(np.median(z[member]))])
    for _ in range(5):
        plane = _plane(xy[member], z[member])
        next_member = np.abs(z - xy @ plane[:2] - plane[2]) < STEP_MIN_M
        if not next_member.any() or (next_member == member).all():
            break
        member = next_member
    rest = z[member] - xy[member] @ plane[:2] - plane[2]
    std = float(np.hypot(np.std(rest), STANCE_STD_M) / np.sqrt(max(1, member.sum())))
    return (float(plane[0]), float(plane[1]), float(plane[2])), std, member.tolist()


def _plane(xy: np.ndarray, z: np.ndarray) -> np.ndarray:
    rows = np.column_stack([xy - xy.mean(axis=0), np.ones(len(xy))]) / STANCE_STD_M
    prior = np.eye(3)[:2] / SLOPE_STD
    a, b, c = np.linalg.lstsq(np.vstack([rows, prior]), np.append(z / STANCE_STD_M, [0.0, 0.0]), rcond=None)[0]
    return np.array([a, b, c - xy.mean(axis=0) @ [a, b]])


def ground_height(ground: tuple[float, float, float], xy: np.ndarray) -> float:
    return float(xy @ np.array(ground[:2]) + ground[2])
