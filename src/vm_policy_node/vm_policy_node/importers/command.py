"""`vm-import-policy FORMAT …`: one command for all formats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from vm_core import command_line
from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_core.policy_contract import PolicyContract
from vm_policy_node.importers.holosoma import import_holosoma
from vm_policy_node.importers.imported import Imported
from vm_policy_node.importers.mjlab import BEYONDMIMIC, MJLAB, import_metadata_policy
from vm_policy_node.importers.onnx_metadata import Limits
from vm_policy_node.importers.torchscript import import_torchscript
from vm_policy_node.importers.unitree_rl_lab import import_unitree_rl_lab


@dataclass(frozen=True)
class UnitreeRlLab:
    """unitree_rl_lab: a folder with deploy.yaml and policy.onnx.

    Attributes:
        source: the folder.
        out: policy file to write.
        name: of the policy; by default the folder's.
        clip: clip (.npz) that a mimic policy follows.
    """

    source: Annotated[Path, tyro.conf.Positional]
    out: Path = Path("policy.onnx")
    name: str = ""
    clip: Path | None = None

    def read(self) -> Imported:
        return import_unitree_rl_lab(self.source, _clip(self.clip), self.name)


@dataclass(frozen=True)
class Mjlab:
    """mjlab: an ONNX file with its metadata, velocity or tracking.

    Attributes:
        source: the ONNX file.
        out: policy file to write.
        name: of the policy; by default the file's.
        period_s: control period, which the file does not tell.
        limits: vx, vy [m/s] and yaw rate [rad/s], lower and upper each; the file does not tell them.
    """

    source: Annotated[Path, tyro.conf.Positional]
    out: Path = Path("policy.onnx")
    name: str = ""
    period_s: float = 0.02
    limits: Limits = ((-0.5, 0.5), (-0.3, 0.3), (-0.5, 0.5))

    def read(self) -> Imported:
        return import_metadata_policy(self.source, MJLAB, self.name, self.period_s, self.limits)


@dataclass(frozen=True)
class BeyondMimic:
    """BeyondMimic (whole_body_tracking): an ONNX file with its metadata and its motion.

    Attributes:
        source: the ONNX file.
        out: policy file to write.
        name: of the policy; by default the file's.
        period_s: control period, which the file does not tell.
    """

    source: Annotated[Path, tyro.conf.Positional]
    out: Path = Path("policy.onnx")
    name: str = ""
    period_s: float = 0.02

    def read(self) -> Imported:
        return import_metadata_policy(self.source, BEYONDMIMIC, self.name, self.period_s, ((0.0, 0.0),) * 3)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Holosoma:
    """holosoma: an ONNX file with its metadata, locomotion or whole-body tracking.

    Attributes:
        source: the ONNX file.
        out: policy file to write.
        name: of the policy; by default the file's.
        config: YAML or JSON with what departs from holosoma_inference's presets for the G1.
    """

    source: Annotated[Path, tyro.conf.Positional]
    out: Path = Path("policy.onnx")
    name: str = ""
    config: Path | None = None

    def read(self) -> Imported:
        return import_holosoma(self.source, self.config, self.name)


@dataclass(frozen=True)
class Torchscript:
    """TorchScript: a scripted or traced module with one input, and a file that says what it reads.

    Attributes:
        source: the TorchScript file.
        contract: unitree_rl_lab's deploy.yaml, or a contract as JSON.
        out: policy file to write.
        name: of the policy; by default the file's.
        clip: clip (.npz) that the policy follows.
    """

    source: Annotated[Path, tyro.conf.Positional]
    contract: Path
    out: Path = Path("policy.onnx")
    name: str = ""
    clip: Path | None = None

    def read(self) -> Imported:
        return import_torchscript(self.source, self.contract, _clip(self.clip), self.name)


Request = UnitreeRlLab | Mjlab | BeyondMimic | Holosoma | Torchscript
_COMMANDS: dict[str, Any] = {
    "unitree_rl_lab": UnitreeRlLab,
    "mjlab": Mjlab,
    "beyondmimic": BeyondMimic,
    "holosoma": Holosoma,
    "torchscript": Torchscript,
}


def _clip(path: Path | None) -> MotionClip | None:
    return None if path is None else MotionClip.load(path)


def describe(contract: PolicyContract) -> str:
    """Two lines for the person who imports: what the policy reads and what the node must give it."""
    needs = [
        *(["odometry"] if contract.uses_odometry else []),
        *(["its clip"] if contract.uses_reference else []),
        *(["a height grid"] if contract.height_grid else []),
    ]
    terms = ", ".join(f"{term.name} {term.size}×{term.history_length}" for term in contract.observation)
    moved = f"{len(contract.joint_names)} joints at {1.0 / contract.control_period_s:.0f} Hz"
    return f"{contract.name}: {moved}, needs {' and '.join(['the robot state', *needs])}\nobservation: {terms}"


def _main() -> None:
    request: Request = tyro.extras.subcommand_cli_from_dict(_COMMANDS, prog="vm-import-policy")
    if request.out.resolve() == request.source.resolve():
        raise VmError(f"{request.out}: would overwrite the policy that is read; give another --out")
    contract = request.read().write(request.out)
    print(f"{request.out}: {describe(contract)}")


def main() -> None:
    """Console entry point."""
    command_line.run(_main)
