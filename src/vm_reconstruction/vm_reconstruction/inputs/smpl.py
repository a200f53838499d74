"""SMPL and SMPL-X: joints of a motion's parameters by the user's own model file (their licence forbids to ship one).

A model file is the official `.npz` (SMPLX_NEUTRAL.npz and its like), or a folder that has one for each gender
(`SMPLX_MALE.npz`, `smplh/male/model.npz`); pickled ones are refused, convert them with the model's own tools. A motion
is an AMASS `.npz` (poses, trans, betas, gender, mocap_framerate; SMPL, SMPL-H or SMPL-X) or GVHMR's `hmr4d_results.pt`.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from vm_core.errors import VmError
from vm_reconstruction.solver.joint import so3

JOINTS = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_toe_base", "right_toe_base", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
)  # fmt: skip
_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
_Y_UP_TO_Z_UP = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])


def rest_joints(model: Path, betas: np.ndarray) -> np.ndarray:
    """The first 22 joints (22, 3) [m] of a shape in the model's rest pose."""
    if model.suffix != ".npz":
        raise VmError(f"{model}: expected the body model as .npz; a pickle could run anything and is not opened")
    try:
        with np.load(model, allow_pickle=False) as data:
            template, shapes, regressor = data["v_template"], data["shapedirs"], data["J_regressor"]
    except (OSError, ValueError, KeyError) as error:
        raise VmError(f"{model} is no SMPL or SMPL-X model ({error})") from None
    used = min(len(betas), shapes.shape[2])
    vertices = template + shapes[:, :, :used] @ betas[:used]
    joints = np.asarray(regressor @ vertices, dtype=np.float64)
    if joints.shape[0] < len(JOINTS):
        raise VmError(f"{model} has {joints.shape[0]} joints; expected at least {len(JOINTS)}")
    return joints[: len(JOINTS)]


def posed_joints(rest: np.ndarray, rotvecs: np.ndarray, trans: np.ndarray) -> np.ndarray:
    """(T, 22, 3) for rotation vectors (T, 22, 3), the pelvis first, and translations (T, 3)."""
    turns = so3.exp(rotvecs)
    pos, rot = np.zeros_like(rotvecs), np.zeros((*rotvecs.shape, 3))
    for joint, parent in enumerate(_PARENTS):
        if parent < 0:
            pos[:, 0], rot[:, 0] = rest[0] + trans, turns[:, 0]
        else:
            pos[:, joint] = pos[:, parent] + rot[:, parent] @ (rest[joint] - rest[parent])
            rot[:, joint] = rot[:, parent] @ turns[:, joint]
    return pos


def model_of(model: Path, gender: str) -> Path:
    """The model itself, or that of the gender in a folder of several.

    Raises:
        VmError: nothing there, or none or several of this gender.
    """
    if not model.exists():
        raise VmError(f"no body model at {model}; expected an .npz of SMPL, SMPL-H or SMPL-X, or a folder of them")
    if not model.is_dir():
        return model
    every = sorted(model.rglob("*.npz"))
    fits = [path for path in every if gender in _words(path.relative_to(model))]
    if len(fits) != 1:
        there = ", ".join(str(path.relative_to(model)) for path in fits or every) or "no .npz"
        raise VmError(
            f"{model} has {len(fits)} body models for gender {gender!r}; expected one file, there are: {there}"
        )
    return fits[0]


def _words(path: Path) -> set[str]:
    return set("".join(c if c.isalpha() else " " for c in str(path.with_suffix("")).lower()).split())


def read_amass(path: Path, model: Path) -> tuple[np.ndarray, list[str], float]:
    """Joint positions (T, 22, 3) z up, names, frames a second of an AMASS .npz; `model` as for `model_of`."""
    try:
        with np.load(path, allow_pickle=False) as data:
            rate = next((data[key] for key in ("mocap_frame_rate", "mocap_framerate", "fps") if key in data), None)
            poses = np.asarray(data["poses"], dtype=np.float64)
            trans, betas = np.asarray(data["trans"], np.float64), np.asarray(data["betas"], np.float64).ravel()
            gender = np.asarray(data["gender"]).astype(str).item().lower() if "gender" in data else "neutral"
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise VmError(f"{path} is no motion in SMPL's parameters ({error}); expected poses, trans, betas") from None
    if rate is None or not np.isfinite(rate) or rate <= 0:
        raise VmError(f"{path} has no frame rate ({rate}); expected mocap_frame_rate [Hz]")
    size = 3 * len(JOINTS)
    if poses.ndim != 2 or poses.shape[1] < size or not len(poses) or trans.shape != (len(poses), 3):
        raise VmError(
            f"{path} has poses {poses.shape} and trans {trans.shape}; expected (T, {size} or more) and (T, 3), T > 0"
        )
    rotvecs = poses[:, :size].reshape(len(poses), len(JOINTS), 3)
    return posed_joints(rest_joints(model_of(model, gender), betas), rotvecs, trans), list(JOINTS), float(rate)


def read_gvhmr(
    path: Path, model: Path, fps: float = 30.0, key: str = "smpl_params_global"
) -> tuple[np.ndarray, list[str], float]:
    """The same of GVHMR's results; a .pt holds no frame rate, so it is given.

    `smpl_params_global` has y up and becomes z up; `smpl_params_incam` stays in the camera's axes.
    """
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)[key]
        value = {name: content[name].numpy().astype(np.float64) for name in ("body_pose", "global_orient", "transl")}
        betas = content["betas"].numpy().astype(np.float64).reshape(len(content["betas"]), -1).mean(axis=0)
    except Exception as error:  # torch raises whatever its zip and its unpickler meet
        raise VmError(f"{path} is no result of GVHMR ({type(error).__name__}: {error})"[:300]) from None
    frames = len(value["transl"])
    rotvecs = np.concatenate([value["global_orient"], value["body_pose"]], axis=1).reshape(frames, len(JOINTS), 3)
    joints = posed_joints(rest_joints(model, betas), rotvecs, value["transl"])
    return joints @ _Y_UP_TO_Z_UP.T if key.endswith("global") else joints, list(JOINTS), fps
