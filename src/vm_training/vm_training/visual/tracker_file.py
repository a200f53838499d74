"""Reads a keypoint tracker back from a bundle's ONNX file, so that others can be taught over it without its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from vm_core.errors import VmError
from vm_core.keypoint_command import CommandStatistics
from vm_core.policy_contract import METADATA_KEY, PolicyContract
from vm_training.mdp.clip_tracking import NUM_JOINTS
from vm_training.student import Student
from vm_training.visual.tracker import OBSERVATION_SIZE, TRACKER_TERMS

_SAME = 1e-4


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
    student = _student({item.name: numpy_helper.to_array(item) for item in model.graph.initializer}, file)
    with torch.inference_mode():
        said = student(torch.tensor([contract.golden.observation], dtype=torch.float32)).numpy()[0]
    if not np.allclose(said, contract.golden.action, atol=_SAME):
        raise VmError(f"{file}: its layers say something else than its golden pair; expected a network of vm-train's")
    return student, contract.command_statistics


def _student(weights: dict[str, np.ndarray], file: Path) -> Student:
    last = len([name for name in weights if name.endswith(".bias")])
    try:
        widths = [len(weights[f"layers.{2 * layer}.bias"]) for layer in range(last)]
        student = Student(OBSERVATION_SIZE, NUM_JOINTS, widths[:-1])
        given = {name: torch.from_numpy(value.copy()) for name, value in weights.items()}
        whole = {
            "mean": student.mean,
            "spread": student.spread,
        } | given  # where these change nothing, files leave them out
        student.load_state_dict(whole)
    except (KeyError, IndexError, RuntimeError) as error:
        raise VmError(f"{file}: not the layers of a tracker ({str(error).splitlines()[0]})") from None
    return student.eval()
