"""Reads a keypoint tracker back from a bundle's ONNX file, so that others can be taught over it without its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from vm_core.errors import VmError
from vm_core.keypoint_command import CommandStatistics
from vm_core.policy_contract import METADATA_KEY, PolicyContract
from vm_training.exported_students import acts_as_said, perceptron_of
from vm_training.student import Student
from vm_training.visual.motions import SLOW_STEP_S
from vm_training.visual.tracker import OBSERVATION_SIZE, TRACKER_TERMS


def step_s_of(place: Path) -> float:
    """Time of the steps [s] that a tracker was taught, which `load_tracker` can read; files from before it was kept in
    them are of slow ones."""
    if place.suffix == ".onnx":
        metadata = {item.key: item.value for item in onnx.load(str(place)).metadata_props}
        return PolicyContract.from_json(metadata[METADATA_KEY]).gait_step_s or SLOW_STEP_S
    with np.load(place / "tracker" / "tracker.npz", allow_pickle=False) as archive:
        return float(archive["step_s"]) if "step_s" in archive.files else SLOW_STEP_S


def read_tracker(file: Path) -> tuple[Student, CommandStatistics]:
    """The network of a tracker.onnx that `vm-train export_visual` wrote, and the statistics of its commands.

    Raises:
        VmError: not such a file, or its network does something else than its golden pair says.
    """
    try:
        model = onnx.load(str(file))
    except Exception as error:  # onnx' own kinds differ from version to version
        raise VmError(f"{file}: not a network ({str(error).splitlines()[0]})") from None
    metadata = {item.key: item.value for item in model.metadata_props}
    if METADATA_KEY not in metadata:
        raise VmError(f"{file}: no contract in its metadata; expected the tracker.onnx of a visual policy")
    contract = PolicyContract.from_json(metadata[METADATA_KEY])
    if contract.command_statistics is None or contract.observation != TRACKER_TERMS or contract.golden is None:
        raise VmError(f"{file}: {contract.name} is no keypoint tracker of today's terms; expected one of vm-train's")
    student = perceptron_of(
        {t.name: numpy_helper.to_array(t).copy() for t in model.graph.initializer}, OBSERVATION_SIZE
    )
    if student is None:
        raise VmError(f"{file}: not the layers of a tracker; expected {OBSERVATION_SIZE} inputs")
    if not acts_as_said(student, contract):
        raise VmError(f"{file}: its layers say something else than its golden pair; expected a network of vm-train's")
    return student.eval(), contract.command_statistics
