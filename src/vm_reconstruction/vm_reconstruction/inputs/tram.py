"""TRAM's and VIMO's results: `hps/hps_track_K.npy` (SMPL parameters in the camera) and `camera.npy` (its way).

Both files are dictionaries that numpy pickled, which could run anything when opened; here only tensors, arrays and
plain containers are rebuilt, and anything else in them is refused.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vm_core.errors import VmError
from vm_reconstruction.geometry import gravity
from vm_reconstruction.inputs import smpl
from vm_reconstruction.solver.joint import so3

FPS = 30.0  # TRAM writes no rate; its own video has 30
CAMERA_FILE = "camera.npy"
_ALLOWED = {
    ("numpy", "ndarray"), ("numpy", "dtype"), ("collections", "OrderedDict"),
    *((f"numpy.{core}.{part}", name) for core in ("core", "_core") for part, name in (
        ("multiarray", "_reconstruct"), ("multiarray", "scalar"), ("numeric", "_frombuffer"))),
    ("torch._utils", "_rebuild_tensor_v2"), ("torch.storage", "_load_from_bytes"),
}  # fmt: skip


@dataclass(frozen=True)
class TramTrack:
    """One person where he was tracked, camera axes (x right, y down, z forward).

    Attributes:
        frames: (N,) of the video.
        joints: (N, 22, 3) [m], named `smpl.JOINTS`.
    """

    frames: np.ndarray
    joints: np.ndarray


class _Tensors(pickle.Unpickler):
    """Rebuilds tensors and arrays; any other name is refused before it is looked up."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it holds {module}.{name}")
        if name == "_load_from_bytes":
            return _storage
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _storage(content: bytes) -> Any:
    """A tensor's numbers as torch wrote them, by its reader of plain tensors only."""
    import torch

    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def read_track(path: Path, model: Path) -> TramTrack:
    """One person's joints by the user's own SMPL model file (`.npz`); the mean shape holds for all frames, as in TRAM.

    Raises:
        VmError: no such file, another one, or one with more than tensors in it.
    """
    values = dictionary(path, ("pred_rotmat", "pred_shape", "pred_trans", "frame"))
    rotations, frames = values["pred_rotmat"].astype(np.float64), values["frame"].astype(int).ravel()
    shift = values["pred_trans"].astype(np.float64).reshape(-1, 3)
    if rotations.shape[1:] != (24, 3, 3) or not len(rotations) == len(frames) == len(shift):
        raise VmError(f"{path}: rotations {rotations.shape}, frames {frames.shape}, shifts {shift.shape} do not fit")
    if not (np.isfinite(rotations).all() and np.isfinite(shift).all()):
        raise VmError(f"{path} has values that are not finite numbers")
    rest = smpl.rest_joints(model, values["pred_shape"].astype(np.float64).mean(axis=0))
    return TramTrack(frames, smpl.posed_joints(rest, so3.log(rotations[:, : len(smpl.JOINTS)]), shift))


def read_tram(path: Path, model: Path) -> tuple[np.ndarray, list[str], float]:
    """Joints (T, 22, 3) [m], z up, their names, frames a second of one track; frames between are filled by lines.

    `camera.npy` beside the folder `hps` brings them into TRAM's world, the first camera's axes; without it the camera
    counts as one that does not move. The vertical is that of a level first camera, corrected by the upright person.
    """
    track = read_track(path, model)
    joints = track.joints
    camera = path.parent.parent / CAMERA_FILE
    if camera.is_file():
        values = dictionary(camera, ("pred_cam_R", "pred_cam_T"))
        turn, center = values["pred_cam_R"].astype(np.float64), values["pred_cam_T"].astype(np.float64)
        if track.frames.max() >= len(turn) or turn.shape[1:] != (3, 3) or center.shape != (len(turn), 3):
            raise VmError(f"{camera}: rotations {turn.shape}, centres {center.shape} do not fit {path.name}'s frames")
        joints = np.einsum("tij,tnj->tni", turn[track.frames], joints) + center[track.frames, None]
    every = np.arange(track.frames.min(), track.frames.max() + 1)
    flat = joints.reshape(len(joints), -1)
    filled = np.stack([np.interp(every, track.frames, c) for c in flat.T], axis=1).reshape(len(every), -1, 3)
    return _upright(filled @ _CAMERA_TO_Z_UP.T), list(smpl.JOINTS), FPS


def _upright(joints: np.ndarray) -> np.ndarray:
    """The same joints (T, 22, 3) in a world whose z the person stands along."""
    hips, neck, ankles = ([joints[:, [smpl.JOINTS.index(n) for n in names]].mean(axis=1)] for names in _PLUMB)
    return joints @ gravity.levelling(gravity.combined(gravity.upright_people(hips, neck, ankles, FPS))).T


_PLUMB = (("pelvis",), ("neck",), ("left_ankle", "right_ankle"))
_CAMERA_TO_Z_UP = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # forward, left, up of a level camera


def dictionary(path: Path, keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Arrays under `keys` of a dictionary that numpy.save wrote."""
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
            if shape != () or not dtype.hasobject:
                raise ValueError("it is no dictionary")
            values = _Tensors(file).load().item()
        return {key: np.asarray(values[key]) for key in keys}
    except Exception as error:  # a pickle that is cut or made up raises anything
        what = f"{type(error).__name__}: {error}"[:200]
        raise VmError(f"{path} is no result of TRAM ({what}); expected a dictionary with {', '.join(keys)}") from None
