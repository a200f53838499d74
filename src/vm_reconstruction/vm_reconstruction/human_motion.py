"""HumanMotion: where a person's joints are in the world, frame by frame; the file between perception and the robot."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_core.motion_clip import read_npz

FORMAT = "vm_human_motion"
FORMAT_VERSION = 1
CONTACT_NAMES = ("left_foot", "right_foot", "seat")
HAND_NAMES = ("left_hand", "right_hand")  # contacts that follow these where the scene around the hands is known
_LEG = ("hip", "knee", "ankle", "toe", "heel")
_ARM = ("shoulder", "elbow", "wrist")
JOINT_NAMES: tuple[str, ...] = (
    "pelvis",
    *(f"left_{n}" for n in _LEG),
    *(f"right_{n}" for n in _LEG),
    "spine",
    "chest",
    "neck",
    "head",
    *(f"left_{n}" for n in _ARM),
    *(f"right_{n}" for n in _ARM),
)
_PARENT_NAMES = {
    "hip": "pelvis",
    "knee": "hip",
    "ankle": "knee",
    "toe": "ankle",
    "heel": "ankle",
    "shoulder": "chest",
    "elbow": "shoulder",
    "wrist": "elbow",
    "spine": "pelvis",
    "chest": "spine",
    "neck": "chest",
    "head": "neck",
}


def joint_index(name: str) -> int:
    """Index of a joint in JOINT_NAMES; raises VmError that lists the names when there is none of that name."""
    if name not in JOINT_NAMES:
        raise VmError(f"no joint {name!r} in the human skeleton; it has: {', '.join(JOINT_NAMES)}")
    return JOINT_NAMES.index(name)


def _parent(name: str) -> int:
    if name == "pelvis":
        return -1
    side, _, part = name.rpartition("_")
    parent = _PARENT_NAMES[part]
    return JOINT_NAMES.index(f"{side}_{parent}" if f"{side}_{parent}" in JOINT_NAMES else parent)


PARENTS: tuple[int, ...] = tuple(_parent(name) for name in JOINT_NAMES)


@dataclass(frozen=True)
class HumanMotion:
    """A person's motion in the world frame: z up, metres, origin on the ground where the person is first seen.

    Attributes:
        fps: frames a second.
        height_m: the person's stature, the ruler of everything metric.
        joint_pos_world: (T, J, 3) float64 m. `toe` and `heel` lie on the sole, and touch what the foot touches.
        joint_quat_wxyz_world: (T, J, 4) orientation of the segment that starts at a joint. In the rest pose (upright,
            arms hanging, facing +x) every quaternion is the identity: x forward, y left, z up.
        contact: (T, C) probability 0..1 that left foot, right foot, seat (and hands, HAND_NAMES) rest on something.
        confidence: (T,) 0..1, how much of the person was seen in this frame; 0 where the pose is interpolated.
        joint_names, parents, contact_names: names and (J,) parent indices (-1 for the pelvis).
    """

    fps: float
    height_m: float
    joint_pos_world: np.ndarray
    joint_quat_wxyz_world: np.ndarray
    contact: np.ndarray
    confidence: np.ndarray
    joint_names: tuple[str, ...] = JOINT_NAMES
    parents: tuple[int, ...] = PARENTS
    contact_names: tuple[str, ...] = CONTACT_NAMES
    details: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        frames, joints = len(self.joint_pos_world), len(self.joint_names)
        expected = {
            "joint_pos_world": (frames, joints, 3),
            "joint_quat_wxyz_world": (frames, joints, 4),
            "contact": (frames, len(self.contact_names)),
            "confidence": (frames,),
        }
        for name, shape in expected.items():
            value = np.asarray(getattr(self, name), dtype=np.float64)
            if value.shape != shape:
                raise VmError(f"human motion: {name} has shape {value.shape}, expected {shape}")
            if not np.isfinite(value).all():
                raise VmError(f"human motion: {name} has values that are not finite numbers")
            object.__setattr__(self, name, value)
        if frames == 0 or not (np.isfinite(self.fps) and self.fps > 0.0):
            raise VmError(f"human motion: {frames} frames at {self.fps} fps; expected at least 1 frame and fps > 0")
        if len(self.parents) != joints:
            raise VmError(f"human motion: {len(self.parents)} parents for {joints} joints")

    def touches(self, name: str) -> np.ndarray:
        """(T,) bool where the contact of that name is on; nowhere if the motion does not tell of it."""
        if name not in self.contact_names:
            return np.zeros(len(self.contact), bool)
        return self.contact[:, self.contact_names.index(name)] > 0.5

    @property
    def num_frames(self) -> int:
        """Number of frames T."""
        return len(self.joint_pos_world)

    @property
    def duration_s(self) -> float:
        """Time from the first to the last frame [s]."""
        return (self.num_frames - 1) / self.fps

    def joint(self, name: str) -> np.ndarray:
        """Positions (T, 3) [m, world] of one joint."""
        if name not in self.joint_names:
            raise VmError(f"no joint {name!r}; this motion has: {', '.join(self.joint_names)}")
        return self.joint_pos_world[:, self.joint_names.index(name)]

    def save(self, path: Path | str) -> None:
        """Writes one .npz; the file appears whole or not at all."""
        header = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "fps": float(self.fps),
            "height_m": float(self.height_m),
            "joint_names": list(self.joint_names),
            "parents": [int(p) for p in self.parents],
            "contact_names": list(self.contact_names),
            "details": self.details,
        }
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        with atomic_path(Path(path)) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, header=np.array(json.dumps(header)), **arrays)

    @classmethod
    def load(cls, path: Path | str) -> HumanMotion:
        """Reads a file written by `save`; raises VmError with the cause when it is anything else."""
        try:
            content = read_npz(path, str(path))
        except VmError as error:
            raise VmError(f"not a human motion by vm-reconstruct: {error}") from None
        try:
            header = json.loads(str(content["header"][()]))
            arrays = {name: content[name] for name in _ARRAYS}
            if header["format"] != FORMAT or header["version"] != FORMAT_VERSION:
                raise ValueError(f"format {header['format']} version {header['version']}")
            return cls(
                fps=float(header["fps"]),
                height_m=float(header["height_m"]),
                joint_names=tuple(header["joint_names"]),
                parents=tuple(header["parents"]),
                contact_names=tuple(header["contact_names"]),
                details=dict(header["details"]),
                **arrays,
            )
        except VmError:
            raise
        except Exception as error:
            # Any broken header ends here: JSON and numpy raise many kinds.
            raise VmError(f"not a human motion by vm-reconstruct: {path} ({error!r})") from None


_ARRAYS = ("joint_pos_world", "joint_quat_wxyz_world", "contact", "confidence")
