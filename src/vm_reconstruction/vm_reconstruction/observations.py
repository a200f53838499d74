"""What perception tells about a video of one or several people: the file between front-ends and joint optimization."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_reconstruction import mapped_arrays
from vm_reconstruction.solver.body_problem import POINTS

_PERSON = ("xy_px", "confidence", "points_camera", "found")
_SHARED = ("matrix", "R_world_camera", "camera_center", "depth", "mask", "up_first_camera")

# How far annotators disagree, as shares of the body's size in the picture: COCO's sigmas of the joints nearest to ours;
# heels and toes as ankles (COCO has none), the head as ears.
COCO_SIGMA = {
    "hip": 0.107, "knee": 0.087, "ankle": 0.089, "heel": 0.089, "toe": 0.089, "shoulder": 0.079, "elbow": 0.072,
    "wrist": 0.062, "head": 0.035,
}  # fmt: skip


@dataclass(frozen=True)
class PersonObservation:
    """One tracked person over T frames; point names are `body_problem.POINTS` (17).

    Attributes:
        height_m: stature as told by the user [m], the ruler.
        xy_px: (T, 17, 2) image positions; confidence: (T, 17) 0..1, 0 where nothing was found.
        points_camera: (T, 17, 3) the pose network's points, camera axes, relative to the middle of the hips [m].
        found: (T,) bool.
    """

    height_m: float
    xy_px: np.ndarray
    confidence: np.ndarray
    points_camera: np.ndarray
    found: np.ndarray

    def __post_init__(self) -> None:
        frames = len(self.found)
        shapes = {"xy_px": (frames, 17, 2), "confidence": (frames, 17), "points_camera": (frames, 17, 3)}
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value.shape != shape:
                raise VmError(f"observations: {name} has shape {value.shape}, expected {shape} (points {POINTS})")
            if not np.isfinite(value).all():
                raise VmError(f"observations: {name} has values that are not finite numbers")


@dataclass(frozen=True)
class Observations:
    """T frames of a camera of which neither the scale nor the vertical is known.

    Attributes:
        fps: frames a second.
        size: width, height [px]; matrix: (3, 3) intrinsics.
        R_world_camera: (T, 3, 3), camera_center: (T, 3) [units of this video]; axes x right, y down, z forward.
        depth: (T, h, w) float16 along the optical axis [the same units], 0 where unknown; smaller than the picture.
        mask: (T, h, w) uint8, k where person k is seen.
        up_first_camera: (3,) the vertical as seen in the first frame.
        people: one each.
    """

    fps: float
    size: tuple[int, int]
    matrix: np.ndarray
    R_world_camera: np.ndarray
    camera_center: np.ndarray
    depth: np.ndarray
    mask: np.ndarray
    up_first_camera: np.ndarray
    people: tuple[PersonObservation, ...]

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.camera_center)

    @property
    def depth_matrix(self) -> np.ndarray:
        """(3, 3) intrinsics [px] of the depth picture."""
        return np.diag([self.depth.shape[2] / self.size[0], self.depth.shape[1] / self.size[1], 1.0]) @ self.matrix

    def save(self, path: Path) -> None:
        """Writes one .npz; it appears whole or not at all."""
        arrays = {name: getattr(self, name) for name in _SHARED}
        for k, person in enumerate(self.people):
            arrays |= {f"person{k}_{name}": getattr(person, name) for name in _PERSON}
        heights = np.array([person.height_m for person in self.people])
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, fps=self.fps, size=np.array(self.size), heights_m=heights, **arrays)

    @classmethod
    def load(cls, path: Path) -> Observations:
        """Reads what `save` wrote, large arrays mapped; raises VmError with the cause when it is anything else."""
        try:
            with np.load(path, allow_pickle=False) as data:
                people = tuple(
                    PersonObservation(float(height), *(data[f"person{k}_{name}"] for name in _PERSON))
                    for k, height in enumerate(data["heights_m"])
                )
                width, height = (int(v) for v in data["size"])
                shared = {name: mapped_arrays.read(path, name) for name in _SHARED}
                return cls(fps=float(data["fps"]), size=(width, height), people=people, **shared)
        except VmError:
            raise
        except Exception as error:  # zip and numpy each raise their own kinds
            raise VmError(f"{path} holds no observations ({error}); expected an .npz of a front-end") from error
