"""The clip: a G1 motion over time with everything that names its numbers. One `.npz` with a JSON header."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_core.frames import quat_conjugate, quat_multiply, quat_slerp, rotvec_from_quat

FORMAT = "videomimic_g1_clip"
FORMAT_VERSION = 1
_ARRAYS = ("joint_pos", "root_pos_world", "root_quat_wxyz", "body_pos_world", "body_quat_wxyz", "contact")
_OPTIONAL_ARRAYS = ("joint_target", "given_joint_vel")


@dataclass(frozen=True)
class MotionClip:
    """A motion of T frames, J joints, B bodies, C contacts.

    Attributes:
        fps: frames a second.
        joint_names: J names; order of `joint_pos`.
        joint_pos: (T, J) [rad].
        root_pos_world: (T, 3) pelvis origin [m], z up.
        root_quat_wxyz: (T, 4) pelvis orientation.
        body_names: B names.
        body_pos_world: (T, B, 3) [m].
        body_quat_wxyz: (T, B, 4).
        contact_names: C names, such as left_foot, right_foot, seat.
        contact: (T, C) in 0..1.
        source: where the motion comes from, for people.
        joint_target: (T, J) PD target that produces the motion, feed-forward torque folded in [rad]; or None.
        given_joint_vel: (T, J) [rad/s] where the source tells velocities of its own; or None: from the positions.
    """

    fps: float
    joint_names: tuple[str, ...]
    joint_pos: np.ndarray
    root_pos_world: np.ndarray
    root_quat_wxyz: np.ndarray
    body_names: tuple[str, ...] = ()
    body_pos_world: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 3)))
    body_quat_wxyz: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 4)))
    contact_names: tuple[str, ...] = ()
    contact: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    source: str = ""
    joint_target: np.ndarray | None = None
    given_joint_vel: np.ndarray | None = None

    def __post_init__(self) -> None:
        frames = len(self.joint_pos)
        if not self.body_names:
            object.__setattr__(self, "body_pos_world", np.zeros((frames, 0, 3)))
            object.__setattr__(self, "body_quat_wxyz", np.zeros((frames, 0, 4)))
        if not self.contact_names:
            object.__setattr__(self, "contact", np.zeros((frames, 0)))
        _check(self)

    @property
    def num_frames(self) -> int:
        return len(self.joint_pos)

    @property
    def duration_s(self) -> float:
        return (self.num_frames - 1) / self.fps

    @property
    def joint_vel(self) -> np.ndarray:
        """(T, J) [rad/s], the given ones, else central differences."""
        return _rate(self.joint_pos, self.fps) if self.given_joint_vel is None else self.given_joint_vel

    @property
    def root_lin_vel_world(self) -> np.ndarray:
        """(T, 3) [m/s], central differences."""
        return _rate(self.root_pos_world, self.fps)

    @property
    def root_ang_vel_body(self) -> np.ndarray:
        """(T, 3) [rad/s] in the pelvis frame, central differences on the rotation group."""
        q = self.root_quat_wxyz
        if len(q) < 2:
            return np.zeros((len(q), 3))
        ahead = np.minimum(np.arange(len(q)) + 1, len(q) - 1)
        behind = np.maximum(np.arange(len(q)) - 1, 0)
        turn = rotvec_from_quat(quat_multiply(quat_conjugate(q[behind]), q[ahead]))
        return turn * self.fps / (ahead - behind)[:, None]

    def resampled(self, fps: float) -> MotionClip:
        """The same motion at another frame rate: linear, slerp for rotations, nearest for contacts."""
        if self.num_frames < 2:
            return replace(self, fps=fps)
        count = int(np.floor(self.duration_s * fps + 1e-6)) + 1
        at = np.minimum(np.arange(count) / fps * self.fps, self.num_frames - 1)
        low = np.minimum(at.astype(int), self.num_frames - 2)
        part = at - low

        def linear(x: np.ndarray) -> np.ndarray:
            weight = part.reshape(-1, *[1] * (x.ndim - 1))
            return x[low] * (1 - weight) + x[low + 1] * weight

        bodies = np.broadcast_to(part[:, None], (count, len(self.body_names)))
        return replace(
            self,
            fps=fps,
            joint_pos=linear(self.joint_pos),
            root_pos_world=linear(self.root_pos_world),
            root_quat_wxyz=quat_slerp(self.root_quat_wxyz[low], self.root_quat_wxyz[low + 1], part),
            body_pos_world=linear(self.body_pos_world),
            body_quat_wxyz=quat_slerp(self.body_quat_wxyz[low], self.body_quat_wxyz[low + 1], bodies),
            contact=self.contact[np.rint(at).astype(int)],
            joint_target=None if self.joint_target is None else linear(self.joint_target),
            given_joint_vel=None if self.given_joint_vel is None else linear(self.given_joint_vel),
        )

    def save(self, path: Path | str | BinaryIO) -> None:
        """Writes the clip; a path appears whole or not at all."""
        header = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "fps": self.fps,
            "joint_names": self.joint_names,
            "body_names": self.body_names,
            "contact_names": self.contact_names,
            "source": self.source,
            "quaternion_order": "wxyz",
        }
        arrays: dict[str, np.ndarray] = {n: np.asarray(getattr(self, n), dtype=np.float64) for n in _ARRAYS}
        for name in _OPTIONAL_ARRAYS:
            if getattr(self, name) is not None:
                arrays[name] = np.asarray(getattr(self, name), dtype=np.float64)
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
        if not isinstance(path, (str, Path)):
            np.savez_compressed(path, allow_pickle=False, **arrays)
            return
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **arrays)

    @staticmethod
    def load(path: Path | str | BinaryIO) -> MotionClip:
        """Reads and checks a clip; never unpickles.

        Raises:
            VmError: missing or damaged file, another format or version, wrong shapes, NaN.
        """
        name = str(path) if isinstance(path, (str, Path)) else "embedded clip"
        arrays = read_npz(path, name)
        header = _header(arrays, name)
        missing = [key for key in _ARRAYS if key not in arrays]
        if missing:
            raise VmError(f"{name}: clip lacks {', '.join(missing)}; a clip has {', '.join(_ARRAYS)}")
        try:
            return MotionClip(
                fps=float(header["fps"]),
                joint_names=tuple(header["joint_names"]),
                body_names=tuple(header["body_names"]),
                contact_names=tuple(header["contact_names"]),
                source=str(header.get("source", "")),
                joint_target=arrays.get("joint_target"),
                given_joint_vel=arrays.get("given_joint_vel"),
                **{key: arrays[key] for key in _ARRAYS},
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise VmError(f"{name}: clip header is damaged ({error!r})") from None
        except VmError as error:
            raise VmError(f"{name}: {error}") from None


def read_npz(path: Path | str | BinaryIO, name: str) -> dict[str, np.ndarray]:
    """All arrays of an `.npz`; pickled content is refused.

    Raises:
        VmError: the file is missing, is not a zip of arrays, or holds pickled objects.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise VmError(f"{name}: not an .npz archive (a single array)")
            return {key: archive[key] for key in archive.files}
    except FileNotFoundError:
        raise VmError(f"{name}: no such file") from None
    except VmError:
        raise
    except Exception as error:  # damaged zips raise a dozen kinds: zlib, struct, EOF, pickle refusal, memory
        kind = "no .npz archive" if not zipfile.is_zipfile(path) else "damaged or pickled content"
        raise VmError(f"{name}: {kind} ({type(error).__name__}); expected .npz arrays without pickle") from None


def _header(arrays: dict[str, np.ndarray], name: str) -> dict:
    try:
        header = json.loads(arrays["header"].tobytes().decode())
        kind, version = header["format"], header["format_version"]
    except (KeyError, ValueError, TypeError, RecursionError):
        raise VmError(f"{name}: no readable clip header; expected format {FORMAT!r}") from None
    if kind != FORMAT or version != FORMAT_VERSION:
        raise VmError(f"{name}: format {kind!r} version {version!r}; this reads {FORMAT!r} version {FORMAT_VERSION}")
    return header


def _rate(x: np.ndarray, fps: float) -> np.ndarray:
    return np.gradient(x, 1.0 / fps, axis=0) if len(x) > 1 else np.zeros_like(x)


def _check(clip: MotionClip) -> None:
    frames, joints, bodies = len(clip.joint_pos), len(clip.joint_names), len(clip.body_names)
    expected = {
        "joint_pos": (frames, joints),
        "root_pos_world": (frames, 3),
        "root_quat_wxyz": (frames, 4),
        "body_pos_world": (frames, bodies, 3),
        "body_quat_wxyz": (frames, bodies, 4),
        "contact": (frames, len(clip.contact_names)),
        **dict.fromkeys(_OPTIONAL_ARRAYS, (frames, joints)),
    }
    if frames == 0:
        raise VmError("clip has no frames")
    if not np.isfinite(clip.fps) or clip.fps <= 0:
        raise VmError(f"clip has {clip.fps} frames a second; expected more than 0")
    for name, shape in expected.items():
        value = getattr(clip, name)
        if name in _OPTIONAL_ARRAYS and value is None:
            continue
        if np.shape(value) != shape:
            raise VmError(f"clip's {name} has shape {np.shape(value)}; expected {shape}")
        if not np.issubdtype(np.asarray(value).dtype, np.floating) or not np.all(np.isfinite(value)):
            raise VmError(f"clip's {name} has NaN, infinite or non-float values")
    for name in ("root_quat_wxyz", "body_quat_wxyz"):
        if not np.allclose(np.linalg.norm(getattr(clip, name), axis=-1), 1.0, atol=1e-3):
            raise VmError(f"clip's {name} has quaternions that are not of length 1")
