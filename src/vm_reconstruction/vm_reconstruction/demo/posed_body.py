"""The demo's person: rest mesh, joints, and skinning from segment rotations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vm_reconstruction.demo.rasterizer import vertex_normals
from vm_reconstruction.demo.walking_motion import Skeleton

BODY_FILE = Path(__file__).with_name("body.npz")
PIVOT = {
    "pelvis": "pelvis", "spine": "spine", "chest": "chest", "neck": "neck", "head": "head", "thigh": "hip",
    "shin": "knee", "foot": "ankle", "toes": "ball", "upper_arm": "shoulder", "forearm": "elbow", "hand": "wrist",
}  # fmt: skip


def pivot_joint(segment: str) -> str:
    """The joint about which a segment turns, e.g. `left_thigh` -> `left_hip`."""
    side, _, part = segment.partition("_")
    return f"{side}_{PIVOT[part]}" if side in ("left", "right") else PIVOT[segment]


Color = tuple[float, float, float]


@dataclass(frozen=True)
class Clothes:
    """Colours (RGB 0..1) of the parts; the shirt has rings of `stripe` every `stripe_m` [share of the height]."""

    skin: Color = (0.80, 0.58, 0.46)
    hair: Color = (0.16, 0.10, 0.07)
    shirt: Color = (0.72, 0.16, 0.13)
    trousers: Color = (0.16, 0.21, 0.36)
    shoes: Color = (0.88, 0.88, 0.86)
    stripe: Color | None = None
    stripe_m: float = 0.04


@dataclass(frozen=True)
class PosedBody:
    """A skinned person.

    Attributes:
        vertices: (V, 3) rest positions [m]; faces: (F, 3); colors: (V, 3) RGB 0..1.
        segments: names; segment_index, segment_weight: (V, 4) linear blend skinning.
        skeleton: rest joints [m].
    """

    vertices: np.ndarray
    faces: np.ndarray
    colors: np.ndarray
    segments: tuple[str, ...]
    segment_index: np.ndarray
    segment_weight: np.ndarray
    skeleton: Skeleton

    @classmethod
    def load(cls, height_m: float) -> PosedBody:
        """Reads `body.npz` and scales it to the height [m], shoes and hair included."""
        with np.load(BODY_FILE, allow_pickle=False) as data:
            return cls.from_arrays(dict(data), height_m)

    @classmethod
    def from_arrays(cls, data: dict[str, np.ndarray], height_m: float, clothes: Clothes | None = None) -> PosedBody:
        """A body 1 m tall (`body_from_anny`: vertices, joints, faces, skin), dressed and scaled to height_m [m]."""
        vertices = data["vertices"].astype(float) * height_m
        faces, names = data["faces"].astype(np.int32), tuple(map(str, data["segments"]))
        index, weight = data["segment_index"].astype(int), data["segment_weight"].astype(float)
        joints = dict(zip(map(str, data["joint_names"]), data["joint_pos"].astype(float) * height_m, strict=True))
        colors, thickness = _dress(vertices / height_m, names, index, weight, clothes or Clothes())
        normals = vertex_normals(vertices, faces)
        dressed = vertices + thickness[:, None] * normals * np.array([1.0, 1.0, 0.0])
        return cls(dressed, faces, colors, names, index, weight / weight.sum(1, keepdims=True), Skeleton(joints))

    def posed(self, rotations: dict[str, np.ndarray], joints: dict[str, np.ndarray]) -> np.ndarray:
        """Skins one frame.

        Args:
            rotations: segment name -> (3, 3) rotation from the rest pose to the world.
            joints: joint name -> (3,) world position [m] of the segments' pivots.

        Returns:
            (V, 3) vertices [m, world].
        """
        matrix = np.stack([rotations[name] for name in self.segments])
        rest = np.stack([self.skeleton.joints[pivot_joint(name)] for name in self.segments])
        shift = np.stack([joints[pivot_joint(name)] for name in self.segments]) - np.einsum("sij,sj->si", matrix, rest)
        blended = np.einsum("vk,vkij->vij", self.segment_weight, matrix[self.segment_index])
        offset = np.einsum("vk,vki->vi", self.segment_weight, shift[self.segment_index])
        return np.einsum("vij,vj->vi", blended, self.vertices) + offset


def _dress(
    unit: np.ndarray, names: tuple[str, ...], index: np.ndarray, weight: np.ndarray, clothes: Clothes
) -> tuple[np.ndarray, np.ndarray]:
    """Colours (V, 3) and thickness (V,) [m] from the vertices (V, 3) of a body 1 m tall."""
    main = np.take_along_axis(index, weight.argmax(1)[:, None], 1)[:, 0]
    part = np.array([name.split("_", 1)[-1] if name.startswith(("left_", "right_")) else name for name in names])[main]
    z, x = unit[:, 2], unit[:, 0]
    colors = np.tile(clothes.skin, (len(unit), 1)).astype(float)
    thickness = np.zeros(len(unit))
    shirt = np.isin(part, ["chest", "spine", "upper_arm"]) | ((part == "pelvis") & (z > 0.555))
    trousers = (np.isin(part, ["thigh", "shin"]) | (part == "pelvis")) & ~shirt
    shoes = np.isin(part, ["foot", "toes"]) | (z < 0.055)
    hair = (part == "head") & (z > 0.93 - 0.35 * (0.03 - x).clip(-0.05, 0.2)) & (x < 0.075)
    for mask, color, thick in (
        (shirt, clothes.shirt, 0.008),
        (trousers, clothes.trousers, 0.007),
        (shoes, clothes.shoes, 0.004),
        (hair, clothes.hair, 0.008),
    ):
        colors[mask], thickness[mask] = color, thick
    if clothes.stripe is not None:
        colors[shirt & (z % (2 * clothes.stripe_m) < clothes.stripe_m)] = clothes.stripe
    return colors, thickness
