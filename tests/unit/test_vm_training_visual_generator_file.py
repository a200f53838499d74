"""Generators out of policies' files: taught on and exported anew without the folder that training wrote."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from object_worlds import STATISTICS, TASK, stand_still, stirred
from onnx import numpy_helper

from vm_core import visual_bundle as vb
from vm_core.errors import VmError
from vm_training.student import Student
from vm_training.visual.bundle import export_bundle
from vm_training.visual.commander import golden_inputs
from vm_training.visual.gait_table import gait_table
from vm_training.visual.generator import Generator
from vm_training.visual.generator_commands import ExportVisual
from vm_training.visual.trained_parts import load_generator


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Generator]:
    """A bundle, and the generator in it."""
    generator, frozen = Generator("depth", (8,)), stand_still()
    stirred(generator)
    assert isinstance(frozen.student, Student)
    folder = tmp_path_factory.mktemp("bundle")
    seen = golden_inputs(TASK, frozen, gait_table(), generator)
    export_bundle(folder, TASK.name, frozen.student, STATISTICS, generator, seen, ({}, {}))
    return folder, generator


def test_every_weight_comes_back(written: tuple[Path, Generator]):
    folder, generator = written
    again = load_generator(folder / vb.GENERATOR_FILE, "depth").state_dict()
    assert set(again) == set(generator.state_dict())
    assert all(torch.equal(again[name], value) for name, value in generator.state_dict().items())


def test_a_policy_is_exported_anew_from_its_own_files(written: tuple[Path, Generator], tmp_path: Path):
    folder, _ = written
    parts = [folder / name for name in (vb.TRACKER_FILE, vb.GENERATOR_FILE)]
    ExportVisual(TASK.name, *parts, out=tmp_path / "anew").run()
    first, second = (load_generator(place / vb.GENERATOR_FILE, "depth") for place in (folder, tmp_path / "anew"))
    for mine, theirs in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_what_is_no_such_generator_is_named(written: tuple[Path, Generator], tmp_path: Path):
    folder, _ = written
    file = folder / vb.GENERATOR_FILE
    with pytest.raises(VmError, match="reads depth; expected a generator that sees blind"):
        load_generator(file, "blind")
    with pytest.raises(VmError, match="no contract in its metadata"):
        load_generator(folder / vb.TRACKER_FILE, "depth")
    (tmp_path / "broken.onnx").write_bytes(file.read_bytes()[:200])
    with pytest.raises(VmError, match="not a network|no contract"):
        load_generator(tmp_path / "broken.onnx", "depth")
    with pytest.raises(VmError, match="no such file"):
        load_generator(tmp_path / "missing.onnx", "depth")


def test_other_weights_than_its_golden_commands_are_refused(written: tuple[Path, Generator], tmp_path: Path):
    model = onnx.load(str(written[0] / vb.GENERATOR_FILE))
    bias = next(tensor for tensor in model.graph.initializer if tensor.name.endswith("mlp.0.bias"))
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(1.0), bias.name))
    onnx.save(model, str(tmp_path / "other.onnx"))
    with pytest.raises(VmError, match="golden pair differs"):
        load_generator(tmp_path / "other.onnx", "depth")
