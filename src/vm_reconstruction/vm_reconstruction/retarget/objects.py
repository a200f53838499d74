"""Things that a person carries or moves: their poses go through retargeting with the motion, for later use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.inputs.named_joints import find_joints
from vm_reconstruction.retarget.variants import MIRROR, MIRROR_QUAT, Variant

OBJECTS_FILE = "objects.npz"


@dataclass(frozen=True)
class ObjectTracks:
    """Poses of K things over T frames: pos_world (T, K, 3) [m], quat_wxyz_world (T, K, 4); fps, names (K)."""

    fps: float
    names: tuple[str, ...]
    pos_world: np.ndarray
    quat_wxyz_world: np.ndarray

    def __post_init__(self) -> None:
        frames, count = len(self.pos_world), len(self.names)
        if self.pos_world.shape != (frames, count, 3) or self.quat_wxyz_world.shape != (frames, count, 4):
            raise VmError(
                f"objects: positions {self.pos_world.shape}, quaternions {self.quat_wxyz_world.shape} do not fit the "
                f"names {list(self.names)}; expected (T, {count}, 3) and (T, {count}, 4)"
            )
        if not (np.isfinite(self.pos_world).all() and np.isfinite(self.quat_wxyz_world).all()):
            raise VmError("objects: poses that are not finite numbers")

    @classmethod
    def beside(cls, path: Path, motion: HumanMotion) -> ObjectTracks | None:
        """Those in a file of named joints (object_names, object_pos, object_quat_wxyz), in the motion's world.

        `motion` is what was read from the same file; it may have been shifted onto the ground. None if there are none.
        """
        if path.suffix != ".npz":
            return None
        with np.load(path, allow_pickle=False) as data:
            if "object_names" not in data or "joint_pos" not in data:
                return None
            pelvis = data["joint_pos"][0, find_joints([str(n) for n in data["joint_names"]])["pelvis"]]
            shift = motion.joint("pelvis")[0] - pelvis
            names, fps = tuple(str(n) for n in data["object_names"]), float(data["fps"])
            tracks = cls(fps, names, np.asarray(data["object_pos"], float) + shift, data["object_quat_wxyz"])
        if len(tracks.pos_world) != motion.num_frames:
            raise VmError(f"{path}: objects in {len(tracks.pos_world)} frames, the person in {motion.num_frames}")
        return tracks

    def varied(self, variant: Variant) -> ObjectTracks:
        """As `Variant.apply` does to the person; the rate changes with the speed."""
        pos, quat = self.pos_world * variant.size, self.quat_wxyz_world
        if variant.mirrored:
            pos, quat = pos * MIRROR, quat * MIRROR_QUAT
        return replace(self, fps=self.fps * variant.speed, pos_world=pos, quat_wxyz_world=quat)

    def like(self, motion: HumanMotion, factor: float) -> ObjectTracks:
        """At the rate and length of a motion, positions multiplied."""
        place = np.minimum(np.arange(motion.num_frames) * self.fps / motion.fps, len(self.pos_world) - 1)
        low = np.minimum(place.astype(int), max(len(self.pos_world) - 2, 0))
        high, share = np.minimum(low + 1, len(self.pos_world) - 1), (place - low)[:, None, None]
        pos = self.pos_world[low] + share * (self.pos_world[high] - self.pos_world[low])
        a, b = self.quat_wxyz_world[low], self.quat_wxyz_world[high]
        quat = a + share * (np.where(np.sum(a * b, axis=-1, keepdims=True) < 0.0, -b, b) - a)
        quat /= np.linalg.norm(quat, axis=-1, keepdims=True)
        return ObjectTracks(motion.fps, self.names, factor * pos, quat)

    def save(self, path: Path) -> None:
        """Writes names, fps, pos_world, quat_wxyz_world as one .npz."""
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file, names=np.array(self.names), fps=self.fps, pos_world=self.pos_world,
                quat_wxyz_world=self.quat_wxyz_world,
            )  # fmt: skip
