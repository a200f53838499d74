"""A walker that begins from an earlier one, which may have stood in another pose and seen less of the ground."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from vm_core.errors import VmError
from vm_core.height_grid import HeightGridSpec
from vm_training.exported_students import read_student
from vm_training.mdp.lane import ACTION_SCALE_RAD
from vm_training.mdp.walk_observations import GRID, WALK_TERMS
from vm_training.student import Student
from vm_training.tasks.work_folder import WorkFolder
from vm_training.wider_view import with_wider_view

WALKER_FILE = "walker.npz"


def take_weights(student: Student, saved: dict[str, np.ndarray], prefix: str = "") -> None:
    """Fills a student from arrays, whose names may begin with a prefix."""
    student.load_state_dict({key: torch.from_numpy(saved[prefix + key]) for key in student.state_dict()})


def take_earlier(student: Student, default_joint_pos: np.ndarray, earlier: Path, grid: HeightGridSpec = GRID) -> None:
    """Fills a student with the earlier walker, for a pose (J,) [rad] that its actions shall add to.

    Args:
        student: of the same layers.
        default_joint_pos: the pose.
        earlier: work folder of the earlier walker, or its policy file, which may see a part of the student's grid.
        grid: by which the student sees the ground.

    Raises:
        VmError: there is no walker, or one of other layers or inputs.
    """
    saved = _of_policy(earlier, grid) if earlier.is_file() else _of_folder(WorkFolder(earlier))
    try:
        take_weights(student, saved)
    except (RuntimeError, KeyError) as error:
        raise VmError(f"{earlier}: a walker of other layers or inputs ({error})") from None
    stand_differently(student, saved["default_joint_pos"] - default_joint_pos)


def _of_folder(earlier: WorkFolder) -> dict[str, np.ndarray]:
    if not (earlier / WALKER_FILE).is_file():
        raise VmError(f"{earlier.path}: no {WALKER_FILE}; expected the work folder or the policy file of a walker")
    return earlier.read_arrays(WALKER_FILE)


def _of_policy(policy: Path, grid: HeightGridSpec) -> dict[str, np.ndarray]:
    earlier, contract = with_wider_view(*read_student(policy), grid)
    weights = {name: value.numpy() for name, value in earlier.state_dict().items()}
    return weights | {"default_joint_pos": np.array(contract.default_joint_pos)}


def stand_differently(student: Student, change: np.ndarray) -> None:
    """The same walker for a default pose that is less by (J,) [rad]: inputs are the more, and so must be outputs."""
    start = 0
    for term in WALK_TERMS:
        per_rad = {"joint_pos_rel": 1.0, "last_action": 1.0 / ACTION_SCALE_RAD}.get(term.name, 0.0)
        size = term.size * term.history_length
        if per_rad:
            shift = np.tile(term.scale[0] * per_rad * change, term.history_length)
            student.mean[start : start + size] += torch.from_numpy(shift).float()
        start += size
    last = student.layers[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.bias += torch.from_numpy(change / ACTION_SCALE_RAD).float()
