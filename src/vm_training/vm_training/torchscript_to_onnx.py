"""`python -m vm_training.torchscript_to_onnx IN OUT --inputs N`: a TorchScript policy as ONNX, same numbers.

Only modules that compute: TorchScript is a language of its own, loaded without Python's unpickler, and the result is
compared with the module before it is written.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import onnxruntime
import torch
import tyro

from vm_core import command_line
from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError

_OPSET = 17
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Conversion:
    """A TorchScript policy to ONNX.

    Attributes:
        source: TorchScript file.
        out: ONNX file to write.
        inputs: numbers that the module takes.
    """

    source: Annotated[Path, tyro.conf.Positional]
    out: Annotated[Path, tyro.conf.Positional]
    inputs: int


def convert(source: Path, out: Path, inputs: int) -> None:
    """Writes `out`.

    Raises:
        VmError: not TorchScript, another number of inputs, a module with a memory, or operators that ONNX lacks.
    """
    module = _load(source)
    example = torch.from_numpy(np.random.default_rng(0).normal(0.0, 0.5, (1, inputs)).astype(np.float32))
    wanted = _run(module, example, source.name)
    if not torch.equal(wanted, _run(module, example, source.name)):
        raise VmError(
            f"{source.name}: gives another answer the second time; a policy with a memory cannot be converted"
        )
    data = _export(module, example, source.name)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    found = np.asarray(session.run(None, {session.get_inputs()[0].name: example.numpy()})[0])
    if found.shape != tuple(wanted.shape) or not np.abs(found - wanted.numpy()).max() <= _TOLERANCE:
        raise VmError(f"{source.name}: the converted network answers differently; it was not written")
    with atomic_path(out) as temporary:
        temporary.write_bytes(data)


def _load(source: Path) -> torch.jit.ScriptModule:
    if not source.is_file():
        raise VmError(f"{source}: no such file")
    if not zipfile.is_zipfile(source) or not any("/code/" in name for name in zipfile.ZipFile(source).namelist()):
        raise VmError(f"{source.name}: not TorchScript (a checkpoint or pickle is refused unread)")
    try:
        return torch.jit.load(str(source), map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        raise VmError(f"{source.name}: not readable TorchScript ({_first_line(error)})") from None


def _run(module: torch.jit.ScriptModule, example: torch.Tensor, name: str) -> torch.Tensor:
    try:
        with torch.inference_mode():
            answer = module(example)
    except (RuntimeError, TypeError) as error:
        raise VmError(f"{name}: does not take {example.shape[1]} numbers ({_first_line(error)})") from None
    if not isinstance(answer, torch.Tensor) or answer.ndim != 2:
        raise VmError(f"{name}: gives {type(answer).__name__}; expected one row of actions")
    return answer


def _export(module: torch.jit.ScriptModule, example: torch.Tensor, name: str) -> bytes:
    buffer = io.BytesIO()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            # the exporter of scripted modules; torch.export does not take them
            torch.onnx.export(
                module,
                (example,),
                buffer,  # pyright: ignore[reportArgumentType]
                dynamo=False,
                opset_version=_OPSET,
                input_names=["obs"],
                output_names=["actions"],
            )
    except Exception as error:  # the exporter raises many kinds
        raise VmError(f"{name}: cannot be converted ({_first_line(error)})") from None
    return buffer.getvalue()


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:160]


def _main() -> None:
    request = tyro.cli(Conversion, prog="python -m vm_training.torchscript_to_onnx")
    convert(request.source, request.out, request.inputs)


def main() -> None:
    """Console entry point."""
    command_line.run(_main)


if __name__ == "__main__":
    main()
