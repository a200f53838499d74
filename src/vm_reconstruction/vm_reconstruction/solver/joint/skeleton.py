"""The body as a tree of rotations: points in the world and their exact derivatives by pose and shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_reconstruction import body_model
from vm_reconstruction.human_motion import joint_index
from vm_reconstruction.solver.body_problem import POINTS
from vm_reconstruction.solver.joint.so3 import skew

SIDES = ("left", "right")
NECK = "neck"
# Rotations: of the pelvis in the world, of every other joint relative to its parent.
ROTATIONS: tuple[str, ...] = (
    "pelvis", "trunk", "head", *(f"{s}_{n}" for s in SIDES for n in ("hip", "knee", "ankle", "shoulder", "elbow"))
)  # fmt: skip
ROTATION_PARENT = tuple(
    ROTATIONS.index(
        {"hip": "pelvis", "knee": f"{s}_hip", "ankle": f"{s}_knee", "shoulder": "trunk", "elbow": f"{s}_shoulder"}[n]
    )
    if s
    else {"pelvis": -1, "trunk": 0, "head": 1}[n]
    for s, _, n in (name.rpartition("_") for name in ROTATIONS)
)
SHAPES = ("hips", "thigh", "shank", "foot", "trunk", "shoulders", "upper_arm", "forearm", "head")
POSE_SIZE = 3 + 3 * len(ROTATIONS)  # root position, then three per rotation
PELVIS, NECK_POINT = len(POINTS), len(POINTS) + 1  # root and neck, behind POINTS in the results of `forward`

SOLES = np.array([POINTS.index(f"{side}_{part}") for side in SIDES for part in ("heel", "toe")])
WRISTS = np.array([POINTS.index(f"{side}_wrist") for side in SIDES])
# What rests: heels, toes, the pelvis over a seat, hands.
TOUCHING = np.concatenate([SOLES, [PELVIS], WRISTS])
SEAT, HANDS = len(SOLES), slice(len(SOLES) + 1, len(SOLES) + 3)  # places in TOUCHING


@dataclass(frozen=True)
class Link:
    """A vector from one point to another, turned by `rotation`; `shape` scales it."""

    start: int
    end: int
    rotation: int
    shape: int
    rest: np.ndarray


def _links(height_m: float) -> tuple[Link, ...]:
    rest = body_model.rest_positions(height_m)

    def link(start: str, end: str, rotation: str, shape: str, rest_start: str | None = None) -> Link:
        a, b = (joint_index(name) for name in (rest_start or start, end if end != NECK else "neck"))
        return Link(_index(start), _index(end), ROTATIONS.index(rotation), SHAPES.index(shape), rest[b] - rest[a])

    links = [link("pelvis", NECK, "trunk", "trunk"), link(NECK, "head", "head", "head", "neck")]
    for s in SIDES:
        links += [
            link("pelvis", f"{s}_hip", "pelvis", "hips"),
            link(f"{s}_hip", f"{s}_knee", f"{s}_hip", "thigh"),
            link(f"{s}_knee", f"{s}_ankle", f"{s}_knee", "shank"),
            link(f"{s}_ankle", f"{s}_heel", f"{s}_ankle", "foot"),
            link(f"{s}_ankle", f"{s}_toe", f"{s}_ankle", "foot"),
            link(NECK, f"{s}_shoulder", "trunk", "shoulders", "neck"),
            link(f"{s}_shoulder", f"{s}_elbow", f"{s}_shoulder", "upper_arm"),
            link(f"{s}_elbow", f"{s}_wrist", f"{s}_elbow", "forearm"),
        ]
    return tuple(links)


_EXTRA = {"pelvis": PELVIS, NECK: NECK_POINT}
TOTAL_POINTS = NECK_POINT + 1


def _index(name: str) -> int:
    return _EXTRA[name] if name in _EXTRA else POINTS.index(name)


@dataclass(frozen=True)
class Skeleton:
    """A person of one height.

    Attributes:
        height_m: the ruler.
        links: the tree, parents first.
        stature: (9,) share of each shape group in the stature, as metres at shape 0; they sum up to height_m.
    """

    height_m: float
    links: tuple[Link, ...]
    stature: np.ndarray

    @classmethod
    def of_height(cls, height_m: float) -> Skeleton:
        """Proportions from `body_model`."""
        stature = np.zeros(len(SHAPES))
        b = body_model
        for name, share in (
            ("foot", b.ANKLE), ("shank", b.KNEE - b.ANKLE), ("thigh", b.HIP - b.KNEE), ("trunk", b.SHOULDER - b.HIP),
            ("head", 1 - b.SHOULDER),
        ):  # fmt: skip
            stature[SHAPES.index(name)] = share * height_m
        return cls(height_m, _links(height_m), stature)

    def world_rotations(self, rotation: np.ndarray) -> np.ndarray:
        """Orientations (T, 13, 3, 3) in the world from those relative to the parents."""
        world = rotation.copy()
        for k, parent in enumerate(ROTATION_PARENT):
            if parent >= 0:
                world[:, k] = world[:, parent] @ rotation[:, k]
        return world

    def forward(self, root: np.ndarray, world: np.ndarray, shape: np.ndarray) -> np.ndarray:
        """Points (T, 19, 3): POINTS, pelvis, neck; root (T, 3) [m], world (T, 13, 3, 3), shape (9,) log factors."""
        points = np.zeros((len(root), TOTAL_POINTS, 3))
        points[:, PELVIS] = root
        for link in self.links:
            points[:, link.end] = points[:, link.start] + world[:, link.rotation] @ (
                np.exp(shape[link.shape]) * link.rest
            )
        return points

    def derivatives(self, points: np.ndarray, world: np.ndarray, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """By pose (T, 19, 3, 42) and by shape (T, 19, 3, 9), at the results of `forward`.

        A turn exp(d) of rotation k moves a point p that hangs on it by -[p - o_k]x W_k d, o_k its centre.
        """
        by_pose = np.zeros((*points.shape, POSE_SIZE))
        by_shape = np.zeros((*points.shape, len(SHAPES)))
        by_pose[..., :3] = np.eye(3)
        for k, (center, below) in enumerate(_BELOW):
            arm = points[:, below] - points[:, center, None]
            by_pose[:, below, :, 3 + 3 * k : 6 + 3 * k] = -skew(arm) @ world[:, None, k]
        for link in self.links:
            by_shape[:, link.end] = by_shape[:, link.start]
            by_shape[:, link.end, :, link.shape] += world[:, link.rotation] @ (np.exp(shape[link.shape]) * link.rest)
        return by_pose, by_shape


def _below() -> tuple[tuple[int, np.ndarray], ...]:
    """For each rotation: the point about which it turns, and the points that it moves."""
    links = _links(1.0)
    parent_of = {link.end: link for link in links}
    center = {link.rotation: link.start for link in reversed(links)}
    moved: list[list[int]] = [[] for _ in ROTATIONS]
    for end in parent_of:
        chain, point = set(), end
        while point in parent_of:
            link = parent_of[point]
            chain.add(link.rotation)
            point = link.start
        ancestors = set()
        for k in chain:
            while k >= 0:
                ancestors.add(k)
                k = ROTATION_PARENT[k]
        for k in ancestors:
            moved[k].append(end)
    return tuple((center[k], np.array(sorted(moved[k]))) for k in range(len(ROTATIONS)))


_BELOW = _below()
