"""unitree_rl_lab's policies: `deploy.yaml` beside `policy.onnx`, flat or in its own `params/` and `exported/`.

Joint-wise lists there are in policy order, except `stiffness` and `damping`, which are in motor order;
`joint_ids_map[policy index]` is the motor. Histories are flattened term by term, oldest first, or frame by frame with
`use_gym_history`. The YAML carries Python object tags, which are stripped as text and never constructed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from vm_core import g1
from vm_core.errors import VmError
from vm_core.g1 import MOTOR_NAMES, NUM_MOTORS
from vm_core.motion_clip import MotionClip
from vm_core.policy_contract import ObservationTerm, PolicyContract
from vm_policy_node.importers.fields import DAMAGE, clip_of, numbers, read_yaml_text, scale_of
from vm_policy_node.importers.imported import Imported
from vm_policy_node.importers.onnx_metadata import term_size
from vm_policy_node.onnx_policy import read_policy_bytes

_PYTHON_TAG = re.compile(r"!!python/\S+")
_TERMS = {
    "base_ang_vel": "base_ang_vel",
    "projected_gravity": "projected_gravity",
    "velocity_commands": "velocity_commands",
    "joint_pos": "joint_pos",
    "joint_pos_rel": "joint_pos_rel",
    "joint_vel": "joint_vel_rel",
    "joint_vel_rel": "joint_vel_rel",
    "last_action": "last_action",
    "gait_phase": "cycle_phase",
    "motion_command": "ref_joint_state",
    "motion_anchor_ori_b": "ref_anchor_ori",
}
_SWITCHES = ("use_gym_history", "scale_first")


def import_unitree_rl_lab(folder: Path, clip: MotionClip | None = None, name: str = "") -> Imported:
    """Reads a policy folder.

    Args:
        folder: with deploy.yaml and policy.onnx.
        clip: the motion that a mimic policy follows; it lies in a file of its own there.
        name: of the policy; by default the folder's.

    Raises:
        VmError: a missing file, an unknown observation term or action, or sizes that contradict each other.
    """
    contract = contract_from_deploy(read_deploy_yaml(_find(folder, "params", "deploy.yaml")), name or folder.name)
    if contract.uses_reference and clip is None:
        raise VmError("deploy.yaml's policy follows a motion; give it as a clip: --clip FILE.npz")
    data = read_policy_bytes(_find(folder, "exported", "policy.onnx"))
    return Imported(data, contract, clip if contract.uses_reference else None)


def _find(folder: Path, inner: str, name: str) -> Path:
    inside = folder / inner / name
    return inside if inside.is_file() else folder / name


def read_deploy_yaml(path: Path) -> dict[str, Any]:
    """The YAML's content with Python object tags read as the plain lists or maps behind them.

    Raises:
        VmError: no such file, not YAML, or not a map.
    """
    if not path.is_file():
        raise VmError(f"{path}: no such file; expected a folder with deploy.yaml and policy.onnx of unitree_rl_lab")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise VmError(f"{path.name}: not text in UTF-8") from None
    return read_yaml_text(_PYTHON_TAG.sub("", text), path.name)


def contract_from_deploy(deploy: dict[str, Any], name: str) -> PolicyContract:
    """The contract, still without its golden pair.

    Raises:
        VmError: unknown terms or actions by name, missing keys, wrong sizes.
    """
    try:
        return _contract(deploy, name)
    except DAMAGE as error:
        raise VmError(f"deploy.yaml is incomplete or damaged ({type(error).__name__}: {error})") from None


def _contract(deploy: dict[str, Any], name: str) -> PolicyContract:
    motors = [int(i) for i in deploy["joint_ids_map"]]
    if sorted(motors) != list(range(NUM_MOTORS)):
        raise VmError(f"deploy.yaml's joint_ids_map must name each of the {NUM_MOTORS} motors once, got {motors}")
    action = _joint_position_action(deploy["actions"])
    offset = _per_joint(action["offset"], "offset")
    observations = _one_group(deploy["observations"])
    terms = _terms(observations, offset, deploy)
    mimics = any(term.name.startswith("ref_") for term in terms)
    period = _gait_period(observations)
    return PolicyContract(
        name=name,
        joint_names=tuple(MOTOR_NAMES[i] for i in motors),
        default_joint_pos=offset,
        action_scale=_per_joint(action["scale"], "scale"),
        kp=tuple(_per_joint(deploy["stiffness"], "stiffness")[i] for i in motors),
        kd=tuple(_per_joint(deploy["damping"], "damping")[i] for i in motors),
        observation=terms,
        joint_target_clip=_target_clip(action.get("clip")),
        control_period_s=float(deploy["step_dt"]),
        history_layout="frame_major_oldest_first" if observations.get("use_gym_history") else "term_major_oldest_first",
        phase_clock=None if period is None else "cycle",
        phase_period_s=period,
        anchor_body=g1.TORSO_BODY if mimics else None,
        command_limits=((0.0, 0.0),) * 3 if mimics else _limits(deploy),
        training={"source": "unitree_rl_lab deploy.yaml"},
    )


def _limits(deploy: dict[str, Any]) -> tuple[tuple[float, float], ...]:
    ranges = deploy["commands"]["base_velocity"]["ranges"]
    keys = ("lin_vel_x", "lin_vel_y", "ang_vel_z")
    return tuple((float(ranges[key][0]), float(ranges[key][1])) for key in keys)


def _joint_position_action(actions: dict[str, Any]) -> dict[str, Any]:
    if list(actions) != ["JointPositionAction"]:
        raise VmError(f"deploy.yaml has the actions {', '.join(actions)}; only JointPositionAction is known")
    action = actions["JointPositionAction"]
    if action.get("joint_ids") not in (None, [None, None, None], list(range(NUM_MOTORS))):
        raise VmError(f"deploy.yaml's action moves the joints {action['joint_ids']}; expected all {NUM_MOTORS}")
    return action


def _per_joint(values: Any, what: str) -> tuple[float, ...]:
    return numbers(values, NUM_MOTORS, f"deploy.yaml's {what}")


def _target_clip(clip: Any) -> tuple[tuple[float, float], ...] | None:
    """Bounds [rad] on each joint's target, in policy order; theirs come after scale and offset."""
    if clip is None:
        return None
    pairs = [numbers(pair, 2, "deploy.yaml's action clip") for pair in clip]
    pairs = pairs * NUM_MOTORS if len(pairs) == 1 else pairs
    if len(pairs) != NUM_MOTORS:
        raise VmError(f"deploy.yaml's action clip has {len(pairs)} pairs; expected {NUM_MOTORS}")
    return tuple((low, high) for low, high in pairs)


def _one_group(observations: dict[str, Any]) -> dict[str, Any]:
    """The terms; newer files nest them by the network's input."""
    terms = {key: value for key, value in observations.items() if key not in _SWITCHES}
    if not terms or any(key in _TERMS for key in terms) or not all(_is_group(value) for value in terms.values()):
        return observations
    if len(terms) > 1:
        raise VmError(f"deploy.yaml feeds the inputs {', '.join(terms)}; one input is known")
    return next(iter(terms.values()))


def _is_group(value: Any) -> bool:
    inner = [part for key, part in value.items() if key not in _SWITCHES]
    return bool(inner) and all(isinstance(part, dict) and "history_length" in part for part in inner)


def _terms(
    observations: dict[str, Any], offset: tuple[float, ...], deploy: dict[str, Any]
) -> tuple[ObservationTerm, ...]:
    named = {key: term or {} for key, term in observations.items() if key not in _SWITCHES}
    unknown = [key for key in named if key not in _TERMS]
    if unknown:
        raise VmError(f"unknown observation terms {', '.join(unknown)}; known: {', '.join(_TERMS)}")
    if np.abs(np.array(offset) - np.array(_per_joint(deploy["default_joint_pos"], "default_joint_pos"))).max() > 1e-9:
        raise VmError("deploy.yaml's action offset differs from its default_joint_pos; one pose for both is known")
    return tuple(_term(key, term, bool(observations.get("scale_first"))) for key, term in named.items())


def _term(key: str, term: dict[str, Any], scale_first: bool) -> ObservationTerm:
    subset = ((term.get("params") or {}).get("asset_cfg") or {}).get("joint_ids")
    if subset not in (None, list(range(NUM_MOTORS)), [None, None, None]):
        raise VmError(f"deploy.yaml's {key} reads the joints {subset}; expected all {NUM_MOTORS}")
    scale, clip = scale_of(term.get("scale"), key), clip_of(term.get("clip"), key)
    if scale_first and clip is not None:
        if len(scale) != 1 or scale[0] <= 0.0:
            raise VmError(f"deploy.yaml clips {key} after scaling by different factors; one positive factor is known")
        clip = clip_of([bound / scale[0] for bound in clip], key)
    name = _TERMS[key]
    return ObservationTerm(name, term_size(name, NUM_MOTORS), scale, clip, max(int(term.get("history_length") or 1), 1))


def _gait_period(observations: dict[str, Any]) -> float | None:
    if "gait_phase" not in observations:
        return None
    return float(observations["gait_phase"]["params"]["period"])
