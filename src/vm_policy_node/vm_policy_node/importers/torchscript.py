"""TorchScript policies: converted to ONNX by a program of vm_training, because this package runs without torch.

A TorchScript file says nothing of its joints, gains or observation: another file does, either unitree_rl_lab's
deploy.yaml or our own contract as JSON.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_core.policy_contract import PolicyContract
from vm_policy_node.importers.imported import Imported
from vm_policy_node.importers.unitree_rl_lab import contract_from_deploy, read_deploy_yaml

CONVERTER = "vm_training.torchscript_to_onnx"
_TIMEOUT_S = 300.0


def import_torchscript(path: Path, contract_file: Path, clip: MotionClip | None = None, name: str = "") -> Imported:
    """Converts a scripted or traced module with one input.

    Args:
        path: the TorchScript file.
        contract_file: deploy.yaml of unitree_rl_lab, or a contract as JSON (`PolicyContract.to_json`).
        clip: the motion that the policy follows, if any.
        name: of the policy; by default the file's.

    Raises:
        VmError: a missing file, a contract that cannot be read, or a module that does not convert.
    """
    if not path.is_file():
        raise VmError(f"{path}: no such policy file")
    contract = _read_contract(contract_file, name or path.stem)
    if contract.uses_reference and clip is None:
        raise VmError(f"{contract_file.name}: the policy follows a motion; give it as a clip: --clip FILE.npz")
    with tempfile.TemporaryDirectory(prefix="vm-torchscript-") as folder:
        out = Path(folder) / "network.onnx"
        convert(path, out, contract.observation_size)
        training = contract.training | {"converted_from": "TorchScript"}
        return Imported(out.read_bytes(), replace(contract, training=training), clip)


def convert(path: Path, out: Path, inputs: int) -> None:
    """Runs the converter, which needs torch.

    Raises:
        VmError: it is not installed, or says why it does not convert.
    """
    if importlib.util.find_spec(CONVERTER.partition(".")[0]) is None or importlib.util.find_spec("torch") is None:
        raise VmError("TorchScript is converted where vm_training and torch are installed; here they are not")
    command = [sys.executable, "-m", CONVERTER, str(path.resolve()), str(out), "--inputs", str(inputs)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        raise VmError(lines[-1].removeprefix("error: ") if lines else f"{CONVERTER} ended with {done.returncode}")


def _read_contract(path: Path, name: str) -> PolicyContract:
    if path.suffix in (".yaml", ".yml"):
        return contract_from_deploy(read_deploy_yaml(path), name)
    try:
        return replace(PolicyContract.from_json(path.read_text(encoding="utf-8")), name=name, golden=None)
    except FileNotFoundError:
        raise VmError(f"{path}: no such file; expected deploy.yaml or a contract as JSON") from None
    except UnicodeDecodeError:
        raise VmError(f"{path.name}: not text in UTF-8") from None
