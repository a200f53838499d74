"""Trackers and generators out of the folders and files that training wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vm_core.errors import VmError
from vm_core.keypoint_command import CommandStatistics
from vm_training.student import Student
from vm_training.tasks.work_folder import WorkFolder
from vm_training.visual.generator import Generator, Sight
from vm_training.visual.generator_file import read_generator
from vm_training.visual.generator_weights import generator_of
from vm_training.visual.object_world import Tracker
from vm_training.visual.tracker_file import read_tracker, step_s_of
from vm_training.visual.tracker_training import tracker_of


def load_tracker(place: Path) -> tuple[Student, CommandStatistics]:
    """A tracker and the statistics of its commands: of a folder that `vm-train keypoint_tracker` wrote, or of the
    tracker.onnx of a visual policy.

    Raises:
        VmError: there is none.
    """
    if place.suffix == ".onnx" and place.is_file():
        return read_tracker(place)
    file = place / "tracker" / "tracker.npz"
    if not file.is_file():
        raise VmError(
            f"{file}: no such file; expected a folder that vm-train keypoint_tracker wrote, or a policy's tracker.onnx"
        )
    student, moments = tracker_of(WorkFolder(file.parent).read_arrays(file.name))
    return student, moments.statistics()


def frozen_tracker(place: Path, clip: bool = True) -> Tracker:
    """A trained tracker with its commands' statistics."""
    student, statistics = load_tracker(place)
    return Tracker(student.eval(), statistics, clip, step_s_of(place))


def load_generator(place: Path, sight: Sight) -> Generator:
    """The generator of a folder that training wrote, or of the generator.onnx of a visual policy.

    Raises:
        VmError: there is none, or it sees something else.
    """
    if place.suffix == ".onnx" and place.is_file():
        return read_generator(place, sight)
    file = place / "generator.npz"
    if not file.is_file():
        expected = "a folder that vm-train imitate_generator wrote, or a policy's generator.onnx"
        raise VmError(f"{file}: no such file; expected {expected}")
    with np.load(file, allow_pickle=False) as archive:
        return generator_of({key: archive[key] for key in archive.files}, sight)
