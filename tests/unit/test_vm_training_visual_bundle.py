"""Files of visual policies: written, read back, and a tracker without its folder."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from object_worlds import STATISTICS, TASK, stand_still, stirred
from onnx import numpy_helper
from visual_cases import write_bundle

from vm_core import visual_bundle as vb
from vm_core.errors import VmError
from vm_training.student import Student
from vm_training.visual.bundle import export_bundle, load_bundle
from vm_training.visual.commander import golden_inputs
from vm_training.visual.evaluate_task import EvaluateTask
from vm_training.visual.gait_table import gait_table
from vm_training.visual.generator import MEMORY_SIZE, Generator
from vm_training.visual.trained_parts import load_tracker


def test_a_bundle_does_what_the_networks_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    generator, frozen = Generator("depth", (8,)), stand_still()
    stirred(generator)
    seen = golden_inputs(TASK, frozen, gait_table(), generator)
    assert isinstance(frozen.student, Student)
    folder = tmp_path / "bundle"
    export_bundle(folder, TASK.name, frozen.student, STATISTICS, generator, seen, ({}, {}))
    task, tracker, again = load_bundle(folder)
    assert task == TASK.name and tracker.statistics == STATISTICS
    mine, theirs = (g.look(seen[2][None], seen[1][None]) for g in (generator, again))
    assert np.allclose(mine[0], theirs[0], atol=1e-5) and np.allclose(mine[1], theirs[1], atol=1e-5)
    assert again.halts and mine[1].shape == (1, MEMORY_SIZE)
    given = torch.from_numpy(seen[0][None])
    assert torch.allclose(tracker.student(given), frozen.student(given).detach(), atol=1e-5)
    EvaluateTask(folder, TASK.name, rollouts=1, rollout_s=1.0, json=tmp_path / "rows.json").run()
    assert "vision" in capsys.readouterr().out and (tmp_path / "rows.json").is_file()
    with pytest.raises(VmError, match="cannot run on a robot"):
        export_bundle(folder, TASK.name, frozen.student, STATISTICS, Generator("state", (8,)), seen, ({}, {}))
    (folder / vb.TRACKER_FILE).write_bytes((folder / vb.GENERATOR_FILE).read_bytes())
    with pytest.raises(VmError):
        load_bundle(folder)


def exported(folder: Path) -> tuple[Student, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """A bundle whose tracker says something, its tracker, and what both networks saw."""
    generator, frozen = Generator("depth", (8,)), stand_still()
    assert isinstance(frozen.student, Student)
    for weights in frozen.student.parameters():
        torch.nn.init.normal_(weights, std=0.1)
    seen = golden_inputs(TASK, frozen, gait_table(), generator)
    export_bundle(folder, TASK.name, frozen.student, STATISTICS, generator, seen, ({}, {}))
    return frozen.student, seen


def test_a_trackers_file_stands_in_for_its_folder(tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    student, seen = exported(first)
    file = first / vb.TRACKER_FILE
    again, statistics = load_tracker(file)
    given = torch.from_numpy(seen[0][None])
    assert statistics == STATISTICS and torch.equal(again(given), student(given))
    export_bundle(second, TASK.name, again, statistics, Generator("depth", (8,)), seen, ({}, {"new": True}), file)
    assert (second / vb.TRACKER_FILE).read_bytes() == file.read_bytes()
    load_bundle(second)  # the halves agree
    model = onnx.load(str(file))
    bias = next(item for item in model.graph.initializer if item.name == "layers.2.bias")
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + 0.1, bias.name))
    onnx.save(model, str(file))
    with pytest.raises(VmError, match="golden pair"):
        load_tracker(file)


def test_what_is_no_tracker_is_named(tmp_path: Path):
    bundle = write_bundle(tmp_path / "other")  # of other terms
    (tmp_path / "text.onnx").write_text("nothing")
    for file, says in (
        (bundle / vb.TRACKER_FILE, "no keypoint tracker of today's terms"),
        (bundle / vb.GENERATOR_FILE, "no contract"),
        (tmp_path / "text.onnx", "not a network"),
        (tmp_path / "missing.onnx", "or a policy's tracker.onnx"),
    ):
        with pytest.raises(VmError, match=says):
            load_tracker(file)
