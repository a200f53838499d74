"""Mirrors and windows: people who are somebody's image, and bodies whose left and right change places, are told."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from vm_reconstruction.geometry.reflection import Reflection, best_reflection
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.progress import warn
from vm_reconstruction.stages.stances import intervals

SEEN, SHORTEST_S = 0.3, 1.0  # confidence of frames that count, and how much of them there must be
# The solver's people in the tests' video are less than 0.1 m beside the mirror and agree by over 0.9; the rest is room
# for more noise, in which hardly any pair falls who know nothing of each other. Who walk in step side by side may.
RESIDUAL_M, AGREEMENT, APART_SHARE = 0.20, 0.6, 0.95
MOTION_M = 0.05  # who moves less could be anybody's image

SIDES = "left and right"  # begins the warning, by which summaries know it
LONGEST_STEP_S = 0.2  # between two frames that are compared
TURNED_M, EXCHANGED_SHARE = 0.12, 0.8  # shoulders and hips go so far, and would go less by so much with sides exchanged
SHORTEST_RUN_S = 0.25  # shorter runs the joint solver turns back by itself
_TRUNK = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")


def sides_exchanged(names: tuple[str, ...] | list[str]) -> list[int]:
    """For each name the index of the other side's."""
    other = {"left": "right", "right": "left"}
    parts = [name.partition("_") for name in names]
    return [
        names.index(f"{other[side]}_{rest}" if side in other else f"{side}{bar}{rest}") for side, bar, rest in parts
    ]


def reflection_of(first: HumanMotion, second: HumanMotion) -> Reflection | None:
    """The mirror in which the second person is the first one's image, or None where that is not so [world].

    People who stand still, and those who are seen together for less than a second, are nobody's image.
    """
    seen = (first.confidence > SEEN) & (second.confidence > SEEN)
    if seen.sum() < SHORTEST_S * first.fps:
        return None
    image = second.joint_pos_world[:, sides_exchanged(second.joint_names)]
    found = best_reflection(first.joint_pos_world[seen], image[seen], first.joint_names.index("pelvis"))
    near = found.residual_m < RESIDUAL_M and found.apart_share > APART_SHARE
    return found if near and found.motion_m > MOTION_M and found.agreement > AGREEMENT else None


def tell_reflections(people: tuple[HumanMotion, ...]) -> list[dict]:
    """Warns of every pair that is one person and an image; the pairs, counted from one, for stages/joint.json."""
    told = []
    for (i, first), (j, second) in combinations(enumerate(people, 1), 2):
        found = reflection_of(first, second)
        if found is None:
            continue
        warn(
            f"persons {i} and {j} move as each other's mirror image, {100 * found.residual_m:.0f} cm beside it: one of "
            "them is probably seen in a mirror or a window; both are kept, leave the image out and run again"
        )
        told.append({"people": [i, j], "residual_m": found.residual_m, "agreement": found.agreement})
    return told


def exchanged_runs(
    points: np.ndarray, names: tuple[str, ...] | list[str], seen: np.ndarray, fps: float
) -> list[tuple[int, int]]:
    """Frames [start, end) in which a body's left and right are the other way round than in most frames around.

    Args:
        points: (T, N, 3) [m] of `names`, from anywhere, in axes that hardly turn between two frames.
        names: with shoulders and hips among them.
        seen: (T,) bool.
        fps: frames a second.
    """
    trunk = points[:, [names.index(name) for name in _TRUNK]]
    trunk = trunk - trunk.mean(axis=1, keepdims=True)
    frames, changes = np.flatnonzero(seen), np.zeros(len(points), int)
    before, after = trunk[frames[:-1]], trunk[frames[1:]]
    as_is, other = (
        np.linalg.norm(after[:, order] - before, axis=-1).mean(axis=1) for order in ([0, 1, 2, 3], [1, 0, 3, 2])
    )
    bridged = np.diff(frames) <= max(1.0, LONGEST_STEP_S * fps)
    changes[frames[1:]] = bridged & (as_is > TURNED_M) & (other < EXCHANGED_SHARE * as_is)
    odd = np.cumsum(changes) % 2 == 1
    for part in np.split(frames, np.flatnonzero(~bridged) + 1):  # what went on in a longer gap nobody knows
        odd[part] ^= odd[part].mean() > 0.5
    return [(start, end) for start, end in intervals(odd & seen) if end - start > SHORTEST_RUN_S * fps]


def tell_exchanged_sides(
    points: np.ndarray, names: tuple[str, ...] | list[str], seen: np.ndarray, fps: float, who: str = "the person"
) -> None:
    """Warns of them; see `exchanged_runs`."""
    runs = exchanged_runs(points, names, seen, fps) if seen.sum() > 1 else []
    if runs:
        times = ", ".join(f"{start / fps:.1f} to {end / fps:.1f}" for start, end in runs[:3])
        warn(
            f"{SIDES} of {who} change places from {times} s{' and later' if len(runs) > 3 else ''}: an image in a "
            "mirror, or the pose model's mistake; the pose there is used as it came"
        )
