"""`vm-import-policy unitree_rl_lab DIR --out policy.onnx`: gives Unitree's exported policies the contract they lack.

unitree_rl_lab writes `deploy.yaml` beside `policy.onnx`. Joint-wise lists there are in policy order, except `stiffness`
and `damping`, which are in motor order; `joint_ids_map[policy index]` is the motor. Histories are flattened term by
term, oldest first. The YAML carries Python object tags, which are stripped as text and never constructed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import onnx
import tyro
import yaml

from vm_core import command_line
from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_core.g1 import MOTOR_NAMES, NUM_MOTORS
from vm_core.policy_contract import (
    METADATA_KEY,
    GoldenPair,
    ObservationTerm,
    PolicyContract,
)
from vm_policy_node.onnx_policy import OnnxPolicy, open_session, read_policy_bytes

_PYTHON_TAG = re.compile(r"!!python/\S+")
_TERM_SIZES = {
    "base_ang_vel": 3,
    "projected_gravity": 3,
    "velocity_commands": 3,
    "joint_pos_rel": NUM_MOTORS,
    "joint_vel_rel": NUM_MOTORS,
    "last_action": NUM_MOTORS,
}
_GOLDEN_SEED = 0


@dataclass(frozen=True)
class ImportPolicy:
    """Writes an ONNX file with a contract from a policy that others trained.

    Attributes:
        kind: the format; unitree_rl_lab is the one that is known.
        folder: folder with policy.onnx and deploy.yaml.
        out: file to write.
        name: name of the policy in logs; by default the folder's.
    """

    kind: Annotated[Literal["unitree_rl_lab"], tyro.conf.Positional]
    folder: Annotated[Path, tyro.conf.Positional]
    out: Path = Path("policy.onnx")
    name: str = ""


def import_unitree_rl_lab(folder: Path, out: Path, name: str = "") -> PolicyContract:
    """Reads DIR/deploy.yaml and DIR/policy.onnx, writes `out`, and loads it once as the node will.

    Raises:
        VmError: a missing file, an unknown observation term or action, or sizes that contradict each other.
    """
    contract = contract_from_deploy(read_deploy_yaml(folder / "deploy.yaml"), name or folder.name)
    data = read_policy_bytes(folder / "policy.onnx")
    contract = replace(contract, golden=_record_golden(data, contract))
    model = onnx.load_model_from_string(data)
    onnx.helper.set_model_props(model, {METADATA_KEY: contract.to_json()})
    with atomic_path(out) as temporary:
        onnx.save(model, str(temporary))
        OnnxPolicy.load(temporary)
    return contract


def read_deploy_yaml(path: Path) -> dict[str, Any]:
    """The YAML's content with Python object tags read as the plain lists or maps behind them.

    Raises:
        VmError: no such file, not YAML, or not a map.
    """
    if not path.is_file():
        raise VmError(f"{path}: no such file; expected a folder with deploy.yaml and policy.onnx of unitree_rl_lab")
    try:
        content = yaml.safe_load(_PYTHON_TAG.sub("", path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise VmError(f"{path.name}: not readable YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(content, dict):
        raise VmError(f"{path.name}: expected a map with joint_ids_map, observations and actions")
    return content


def contract_from_deploy(deploy: dict[str, Any], name: str) -> PolicyContract:
    """The contract, still without its golden pair.

    Raises:
        VmError: unknown terms or actions by name, missing keys, wrong sizes.
    """
    try:
        return _contract(deploy, name)
    except (KeyError, TypeError, ValueError) as error:
        raise VmError(f"deploy.yaml is incomplete or damaged: {error!r}") from None


def _contract(deploy: dict[str, Any], name: str) -> PolicyContract:
    motors = [int(i) for i in deploy["joint_ids_map"]]
    if sorted(motors) != list(range(NUM_MOTORS)):
        raise VmError(f"deploy.yaml's joint_ids_map must name each of the {NUM_MOTORS} motors once, got {motors}")
    action = _joint_position_action(deploy["actions"])
    offset = _per_joint(action["offset"], "offset")
    ranges = deploy["commands"]["base_velocity"]["ranges"]
    return PolicyContract(
        name=name,
        joint_names=tuple(MOTOR_NAMES[i] for i in motors),
        default_joint_pos=offset,
        action_scale=_per_joint(action["scale"], "scale"),
        kp=tuple(_per_joint(deploy["stiffness"], "stiffness")[i] for i in motors),
        kd=tuple(_per_joint(deploy["damping"], "damping")[i] for i in motors),
        observation=_terms(deploy["observations"], offset, deploy),
        action_clip=_symmetric_clip(action.get("clip")),
        control_period_s=float(deploy["step_dt"]),
        history_layout="term_major_oldest_first",
        command_limits=tuple(
            (float(ranges[key][0]), float(ranges[key][1])) for key in ("lin_vel_x", "lin_vel_y", "ang_vel_z")
        ),
        training={"source": "unitree_rl_lab deploy.yaml"},
    )


def _joint_position_action(actions: dict[str, Any]) -> dict[str, Any]:
    if list(actions) != ["JointPositionAction"]:
        raise VmError(f"deploy.yaml has the actions {', '.join(actions)}; only JointPositionAction is known")
    return actions["JointPositionAction"]


def _per_joint(values: Any, what: str) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != NUM_MOTORS or not np.all(np.isfinite(numbers)):
        raise VmError(f"deploy.yaml's {what} has {len(numbers)} values; expected {NUM_MOTORS} finite ones")
    return numbers


def _symmetric_clip(clip: Any) -> float | None:
    if clip is None:
        return None
    bounds = np.asarray(clip, dtype=float).reshape(-1, 2)
    if np.ptp(np.abs(bounds)) > 1e-9:
        raise VmError(f"deploy.yaml's action clip {clip} differs by joint or side; one symmetric bound is known")
    return float(abs(bounds[0, 0]))


def _terms(
    observations: dict[str, Any], offset: tuple[float, ...], deploy: dict[str, Any]
) -> tuple[ObservationTerm, ...]:
    unknown = [key for key in observations if key not in _TERM_SIZES]
    if unknown:
        raise VmError(f"unknown observation terms {', '.join(unknown)}; known: {', '.join(_TERM_SIZES)}")
    if np.abs(np.array(offset) - np.array(_per_joint(deploy["default_joint_pos"], "default_joint_pos"))).max() > 1e-9:
        raise VmError("deploy.yaml's action offset differs from its default_joint_pos; one pose for both is known")
    return tuple(
        ObservationTerm(
            name=key,
            size=_TERM_SIZES[key],
            scale=tuple(float(s) for s in term["scale"]) if term.get("scale") is not None else (1.0,),
            clip=tuple(float(c) for c in term["clip"]) if term.get("clip") is not None else None,  # type: ignore[arg-type]
            history_length=max(int(term.get("history_length") or 1), 1),
        )
        for key, term in observations.items()
    )


def _record_golden(data: bytes, contract: PolicyContract) -> GoldenPair:
    session = open_session(data, "policy.onnx")
    shape = session.get_inputs()[0].shape
    if len(shape) != 2 or shape[1] != contract.observation_size:
        raise VmError(f"policy.onnx takes {shape}; deploy.yaml's terms give [1, {contract.observation_size}]")
    observation = np.random.default_rng(_GOLDEN_SEED).normal(0.0, 0.5, contract.observation_size).astype(np.float32)
    action = OnnxPolicy(session, contract).act(observation)
    return GoldenPair(tuple(observation.tolist()), tuple(action.tolist()))


def _main() -> None:
    request = tyro.cli(ImportPolicy, prog="vm-import-policy")
    contract = import_unitree_rl_lab(request.folder, request.out, request.name)
    print(f"{request.out}: {len(contract.joint_names)} joints, {contract.observation_size} observations")


def main() -> None:
    """Console entry point."""
    command_line.run(_main)
