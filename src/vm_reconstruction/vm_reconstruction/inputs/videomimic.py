"""VideoMimic's results: people as joints, without a body model (`gravity_calibrated_keypoints.h5`, its stage 3)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vm_core.errors import VmError

KEYPOINTS_FILE = "gravity_calibrated_keypoints.h5"
FPS = 30.0  # its stage 4 assumes it, too; the files hold no rate
# SMPL calls the ball of the foot "foot" and the knuckles "hand"; elsewhere those are the ankle and the wrist.
_OURS = {"left_foot": "left_toe_base", "right_foot": "right_toe_base", "left_hand": "", "right_hand": ""}


def read_videomimic(path: Path, person: str | None = None) -> tuple[np.ndarray, list[str], float]:
    """Joint positions (T, N, 3) [m, z up], their names, frames a second.

    Args:
        path: the file, or the result folder (`output_calib_mesh/NAME`) that holds it.
        person: its number in the file; by default the only one.

    Raises:
        VmError: no such file, another one, or several people of whom none was named.
    """
    import h5py

    path = path / KEYPOINTS_FILE if path.is_dir() else path
    try:
        with h5py.File(path, "r") as file:
            people = {str(name): np.asarray(data, np.float64) for name, data in file["joints"].items()}
            names = [n.decode() if isinstance(n, bytes) else str(n) for n in np.asarray(file.attrs["/joint_names"])]
    except (OSError, KeyError, AttributeError) as error:
        raise VmError(f"{path} is no {KEYPOINTS_FILE} of VideoMimic ({error}); expected joints, joint_names") from None
    joints = people[_chosen(path, list(people), person)]
    if joints.ndim != 3 or joints.shape[1:] != (len(names), 3):
        raise VmError(f"{path}: joints {joints.shape} do not fit {len(names)} names; expected (T, {len(names)}, 3)")
    kept = [k for k, name in enumerate(names) if _OURS.get(name, name)]
    return joints[:, kept], [_OURS.get(names[k], names[k]) for k in kept], FPS


def _chosen(path: Path, people: list[str], person: str | None) -> str:
    if person is None and len(people) == 1:
        return people[0]
    if person not in people:
        what = f"no person {person}" if person is not None else f"{len(people)} people"
        raise VmError(f"{path} has {what}; name one of {', '.join(sorted(people)) or 'none'} with --person")
    return person
