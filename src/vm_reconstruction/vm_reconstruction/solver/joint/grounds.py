"""Grounds that several rests of feet share: a floor or a landing is one plane, and nearly always a level one.

Every step on a landing tells its height again, so a landing that seems to rise tells that the camera's pose drifts:
without this, slow errors of the picture's points bend the camera's way and whole flights of stairs with it. Ramps are
steeper than floors are uneven, so the prior on slopes lets them be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from vm_reconstruction.solver.joint.rows import Rows
from vm_reconstruction.solver.joint.skeleton import SOLES
from vm_reconstruction.solver.joint.state import PersonPoints, pose_columns, shape_columns
from vm_reconstruction.stages.stances import intervals

SAME_M = 0.06  # lower than half of any step, higher than a rest's noise and a stride's share of a ramp
OFF_M = 0.03  # a rest that is farther off its ground's plane is of another one
MIN_RESTS, MOST_GROUNDS = 3, 6  # each costs three right-hand sides a step
SIZE = 3  # unknowns of a ground: height [m] over its middle, slopes along x and y


@dataclass(frozen=True)
class Grounds:
    """Which rests lie on which ground.

    Attributes:
        of: one (T, 4) a person: the ground of each heel and toe, -1 for none.
        trust: one (T, 4) a person: a rest counts as one measurement, however long it is.
        middle: (K, 2) [m]; first: (K, 3) heights and slopes as they are found.
    """

    of: tuple[np.ndarray, ...] = ()
    trust: tuple[np.ndarray, ...] = ()
    middle: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    first: np.ndarray = field(default_factory=lambda: np.zeros((0, SIZE)))

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.middle)

    def cut(self, at: slice) -> Grounds:
        """Of some frames."""
        return replace(self, of=tuple(v[at] for v in self.of), trust=tuple(v[at] for v in self.trust))


@dataclass(frozen=True)
class _Rest:
    person: int
    foot: int
    start: int
    end: int
    place: np.ndarray


def found(points: list[np.ndarray], still: list[np.ndarray]) -> Grounds:
    """Grounds under people's rests; points (T, 19, 3) [m, world] and still (T, >= 4) 0/1 of each person."""
    of = tuple(np.full((len(p), len(SOLES)), -1) for p in points)
    trust = tuple(np.zeros((len(p), len(SOLES))) for p in points)
    groups = [g for p, (body, flags) in enumerate(zip(points, still, strict=True)) for g in _groups(p, body, flags)]
    groups = sorted(groups, key=len, reverse=True)[:MOST_GROUNDS]
    for k, group in enumerate(groups):
        for rest in group:
            at = slice(rest.start, rest.end), slice(2 * rest.foot, 2 * rest.foot + 2)
            of[rest.person][at], trust[rest.person][at] = k, 1.0 / np.sqrt(2 * (rest.end - rest.start))
    middle = np.array([np.mean([r.place[:2] for r in group], axis=0) for group in groups]).reshape(-1, 2)
    height = np.array([np.mean([r.place[2] for r in group]) for group in groups])
    return Grounds(of, trust, middle, np.column_stack([height, np.zeros((len(height), 2))]))


def _groups(person: int, points: np.ndarray, still: np.ndarray) -> list[list[_Rest]]:
    """Rests one after the other at about the same height; those far off their common plane left out."""
    rests = []
    for foot in (0, 1):
        flat = still[:, 2 * foot : 2 * foot + 2].min(axis=1) > 0.5
        sole = points[:, SOLES[2 * foot : 2 * foot + 2]].mean(axis=1)
        rests += [_Rest(person, foot, s, e, np.median(sole[s:e], axis=0)) for s, e in intervals(flat)]
    groups: list[list[_Rest]] = []
    for rest in sorted(rests, key=lambda r: r.start + r.end):
        if not groups or abs(rest.place[2] - groups[-1][-1].place[2]) > SAME_M:
            groups.append([])
        groups[-1].append(rest)
    return [kept for kept in map(_on_one_plane, groups) if len(kept) >= MIN_RESTS]


def _on_one_plane(group: list[_Rest]) -> list[_Rest]:
    """Without rests that are off the plane through the others (slopes held to what can be walked on)."""
    while len(group) >= MIN_RESTS:
        xyz = np.array([r.place for r in group])
        away = xyz - xyz.mean(axis=0)
        slope = np.linalg.solve(away[:, :2].T @ away[:, :2] + 0.1 * np.eye(2), away[:, :2].T @ away[:, 2])
        off = np.abs(away[:, 2] - away[:, :2] @ slope)
        if off.max() < OFF_M:
            break
        group = [r for k, r in enumerate(group) if k != int(off.argmax())]
    return group


def rows(
    grounds: Grounds, planes: np.ndarray, bodies: list[PersonPoints], shared: int, sigma_m: float, slope: float,
    cauchy: float,
) -> Iterator[Rows]:  # fmt: skip
    """Resting soles lie on their grounds' planes (K, 3), whose unknowns are the last of `shared`; slopes are small."""
    if not grounds.count:
        return
    own = shared - SIZE * grounds.count + SIZE * np.arange(grounds.count)[:, None] + np.arange(SIZE)
    for p, body in enumerate(bodies):
        for k, point in enumerate(SOLES):
            frames = np.flatnonzero(grounds.of[p][:, k] >= 0)
            if len(frames):
                yield _on_plane(grounds, planes, body, p, k, int(point), frames, own, shared, sigma_m)
    tilt = np.zeros((grounds.count, 2, shared))
    for axis in (0, 1):
        tilt[np.arange(grounds.count), axis, own[:, 1 + axis]] = 1.0 / slope
    residual = (planes[:, 1:] / slope).reshape(1, -1)
    yield Rows(residual, (), (), np.arange(1), tilt.reshape(1, -1, shared), 2, cauchy, once=True)


def _on_plane(
    grounds: Grounds, planes: np.ndarray, body: PersonPoints, p: int, k: int, point: int, frames: np.ndarray,
    own: np.ndarray, shared: int, sigma_m: float,
) -> Rows:  # fmt: skip
    which = grounds.of[p][frames, k]
    weight = (grounds.trust[p][frames, k] / sigma_m)[:, None]
    plane, place = planes[which], body.points[frames, point]
    away = place[:, :2] - grounds.middle[which]
    residual = place[:, 2] - plane[:, 0] - np.sum(plane[:, 1:] * away, axis=1)
    up = np.column_stack([-plane[:, 1:], np.ones(len(frames))])[:, None]
    border = np.zeros((len(frames), 1, shared))
    border[..., shape_columns(p)] = up @ body.by_shape[frames, point]
    border[np.arange(len(frames))[:, None], 0, own[which]] = -np.column_stack([np.ones(len(frames)), away])
    by_pose = up @ body.by_pose[frames, point]
    return Rows(
        residual[:, None] * weight, (by_pose * weight[..., None],), (pose_columns(p),), frames,
        border * weight[..., None],
    )  # fmt: skip
