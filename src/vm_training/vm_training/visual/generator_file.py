"""Reads a generator back from a bundle's ONNX file: to be taught on or exported anew without its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from vm_core import visual_bundle as vb
from vm_core.errors import VmError
from vm_training.visual.generator import OWN_TERMS, SEEING_TERMS, Generator, Sight
from vm_training.visual.generator_weights import generator_of

_PREFIX = "generator."
_LEARNT = (".weight", ".bias", "generator.mean", "generator.spread")
_TERMS = {"depth": SEEING_TERMS, "blind": OWN_TERMS}


def read_generator(file: Path, sight: Sight) -> Generator:
    """The network of a generator.onnx that `vm-train export_visual` wrote.

    Raises:
        VmError: not such a file, one of another sight or of other terms than today's, or a network that says something
            else than its golden command, as one does that was exported before what it thinks was changed.
    """
    about, arrays = _parts(file)
    if about.observation != _TERMS.get(sight):
        known = next((name for name, terms in _TERMS.items() if terms == about.observation), "other terms than today's")
        raise VmError(f"{file}: {about.name} reads {known}; expected a generator that sees {sight}")
    try:
        generator = generator_of(arrays, sight)
    except (VmError, KeyError):
        raise VmError(f"{file}: not the layers of a generator; expected a file that vm-train exported") from None
    vb.check_golden(about, _golden_command(generator, about), str(file))
    return generator


def _parts(file: Path) -> tuple[vb.GeneratorContract, dict[str, np.ndarray]]:
    try:
        model = onnx.load(str(file))
    except Exception as error:  # onnx' own kinds differ from version to version
        raise VmError(f"{file}: not a network ({str(error).splitlines()[0]})") from None
    metadata = {item.key: item.value for item in model.metadata_props}
    if vb.GENERATOR_KEY not in metadata:
        raise VmError(f"{file}: no contract in its metadata; expected the generator.onnx of a visual policy")
    weights = {tensor.name: numpy_helper.to_array(tensor).copy() for tensor in model.graph.initializer}
    learnt = {name.removeprefix(_PREFIX): value for name, value in weights.items() if name.endswith(_LEARNT)}
    rows = {name.replace(".weight", ".bias"): len(value) for name, value in learnt.items() if name.endswith(".weight")}
    zero = {name: np.zeros(count, np.float32) for name, count in rows.items()}  # the exporter leaves out what is zero
    return vb.GeneratorContract.from_json(metadata[vb.GENERATOR_KEY]), zero | learnt


def _golden_command(generator: Generator, about: vb.GeneratorContract) -> np.ndarray:
    """(18,) [m]"""
    assert about.golden is not None  # which from_json sees to
    depth = torch.tensor(about.golden.depth).reshape(1, about.depth.height, about.depth.width)
    with torch.inference_mode():
        return generator(depth, torch.tensor([about.golden.observation]))[0].numpy()[0].astype(np.float64)
