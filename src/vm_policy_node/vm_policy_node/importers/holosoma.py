"""holosoma's locomotion and whole-body-tracking policies.

The ONNX metadata (JSON) hold dof_names, kp, kd and command_ranges. The rest stands in holosoma_inference's own presets
for the 29-joint G1, which are the defaults here; a configuration file changes single values, for policies that were
trained with others.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from vm_core import g1
from vm_core.errors import VmError
from vm_core.policy_contract import ObservationTerm, PolicyContract
from vm_policy_node.importers.fields import DAMAGE, held_joints, known_joints, numbers, read_json, read_yaml_text
from vm_policy_node.importers.imported import Imported, read_model
from vm_policy_node.importers.motion_network import action_network, follows_motion, motion_tables
from vm_policy_node.importers.onnx_metadata import read_metadata, term_size
from vm_policy_node.importers.reference_motion import clip_of_torso
from vm_policy_node.onnx_policy import read_policy_bytes

_LEG, _ARM = (-0.312, 0.0, 0.0, 0.669, -0.363, 0.0), (0.2, 0.2, 0.0, 0.6, 0.0, 0.0, 0.0)
_RIGHT_ARM = (0.2, -0.2, *_ARM[2:])
_DEFAULT_POSE = dict(zip(g1.MOTOR_NAMES, (*_LEG, *_LEG, 0.0, 0.0, 0.0, *_ARM, *_RIGHT_ARM), strict=True))
_TERMS = {
    "actions": "last_action",
    "base_ang_vel": "base_ang_vel",
    "command_ang_vel": "yaw_rate_command",
    "command_lin_vel": "linear_velocity_commands",
    "cos_phase": "foot_phase_cos",
    "dof_pos": "joint_pos_rel",
    "dof_vel": "joint_vel_rel",
    "motion_command": "ref_joint_state",
    "motion_ref_ori_b": "ref_anchor_ori",
    "motion_ref_pos_b": "ref_anchor_pos",
    "base_lin_vel": "base_lin_vel",
    "projected_gravity": "projected_gravity",
    "sin_phase": "foot_phase_sin",
}
_ACTION_CLIP = 100.0  # holosoma_inference clips the network's output to this before all else
_MOTION_OUTPUTS = ("joint_pos", "joint_vel", "ref_pos_xyz", "ref_quat_xyzw")


@dataclass(frozen=True)
class Preset:
    """What the ONNX file does not say.

    Attributes:
        obs_terms: in any order: the network takes them in alphabetical order.
        obs_scales: factor by term, 1 where missing.
        history_length: frames of every term, oldest first.
        policy_action_scale: [rad] a unit of action.
        default_dof_angles: [rad] by joint name, or in the order of dof_names.
        gait_period: of a cycle of both feet [s].
        rl_rate: control rate [Hz].
    """

    obs_terms: tuple[str, ...]
    obs_scales: dict[str, float]
    history_length: int = 1
    policy_action_scale: float = 0.25
    default_dof_angles: Any = None
    gait_period: float = 1.0
    rl_rate: float = 50.0


LOCOMOTION = Preset(
    (
        *("base_ang_vel", "projected_gravity", "command_lin_vel", "command_ang_vel", "dof_pos", "dof_vel"),
        *("actions", "sin_phase", "cos_phase"),
    ),
    {"base_ang_vel": 0.25, "dof_vel": 0.05, "base_lin_vel": 2.0},
)
TRACKING = Preset(
    ("motion_command", "motion_ref_ori_b", "base_ang_vel", "dof_pos", "dof_vel", "actions"), {}, policy_action_scale=1.0
)


def import_holosoma(path: Path, config: Path | None = None, name: str = "") -> Imported:
    """Reads an ONNX file of holosoma, with a YAML or JSON file of `Preset`'s fields if the policy departs from them.

    Raises:
        VmError: not such a file; what cannot be mapped is named.
    """
    model = read_model(read_policy_bytes(path), path.name)
    try:
        preset = TRACKING if follows_motion(model) else LOCOMOTION
        if config is not None:
            preset = _changed(preset, _read_config(config), config.name)
        return _import(model, preset, name or path.stem)
    except VmError as error:
        raise VmError(f"{path.name}: {error}") from None
    except DAMAGE as error:
        raise VmError(f"{path.name}: metadata or configuration are damaged ({type(error).__name__}: {error})") from None


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise VmError(f"{path}: no such configuration file")
    try:
        return read_yaml_text(path.read_text(encoding="utf-8"), path.name)
    except UnicodeDecodeError:
        raise VmError(f"{path.name}: not text in UTF-8") from None


def _changed(preset: Preset, values: dict[str, Any], name: str) -> Preset:
    unknown = sorted(set(values) - set(asdict(preset)))
    if unknown:
        raise VmError(f"{name}: unknown keys {', '.join(map(str, unknown))}; there are {', '.join(asdict(preset))}")
    return replace(preset, **values)


def _import(model: onnx.ModelProto, preset: Preset, name: str) -> Imported:
    metadata = {key: read_json(value, key) for key, value in read_metadata(model).items() if key in _USED_KEYS}
    missing = [key for key in ("dof_names", "kp", "kd") if key not in metadata]
    if missing:
        raise VmError(f"the ONNX metadata lack {', '.join(missing)}; expected a G1 policy of holosoma")
    joints = known_joints(metadata["dof_names"], "dof_names")
    tracking = follows_motion(model)
    contract = _contract(metadata, preset, joints, name, tracking)
    if not tracking:
        return Imported(model.SerializeToString(), contract)
    tables = motion_tables(model, _MOTION_OUTPUTS)
    clip = clip_of_torso(float(preset.rl_rate), joints, tables, f"holosoma, inside {name}")
    return Imported(action_network(model), contract, clip)


_USED_KEYS = ("dof_names", "kp", "kd", "command_ranges")


def _contract(
    metadata: dict[str, Any], preset: Preset, joints: tuple[str, ...], name: str, tracking: bool
) -> PolicyContract:
    count = len(joints)
    walks = any(term.endswith("_phase") for term in preset.obs_terms)
    return PolicyContract(
        name=name,
        joint_names=joints,
        default_joint_pos=_default_pose(preset.default_dof_angles, joints),
        action_scale=(float(preset.policy_action_scale),) * count,
        kp=numbers(metadata["kp"], count, "kp"),
        kd=numbers(metadata["kd"], count, "kd"),
        held_joints=held_joints(joints),
        observation=_terms(preset, count),
        action_clip=_ACTION_CLIP,
        control_period_s=1.0 / float(preset.rl_rate),
        phase_clock="feet" if walks else None,
        phase_period_s=float(preset.gait_period) if walks else None,
        anchor_body=g1.TORSO_BODY if tracking else None,
        command_limits=((0.0, 0.0),) * 3 if tracking else _limits(metadata.get("command_ranges")),
        training={"source": "holosoma ONNX metadata"},
    )


def _terms(preset: Preset, joints: int) -> tuple[ObservationTerm, ...]:
    unknown = [term for term in preset.obs_terms if term not in _TERMS]
    if unknown:
        raise VmError(f"unknown observation terms {', '.join(unknown)}; known: {', '.join(_TERMS)}")
    return tuple(
        ObservationTerm(
            _TERMS[term],
            term_size(_TERMS[term], joints),
            (float(preset.obs_scales.get(term, 1.0)),),
            (-_ACTION_CLIP, _ACTION_CLIP) if term == "actions" else None,
            int(preset.history_length),
        )
        for term in sorted(preset.obs_terms)
    )


def _default_pose(given: Any, joints: tuple[str, ...]) -> tuple[float, ...]:
    if isinstance(given, (list, tuple)):
        return numbers(given, len(joints), "default_dof_angles")
    pose = _DEFAULT_POSE if given is None else dict(given)
    missing = [name for name in joints if name not in pose]
    if missing:
        raise VmError(f"default_dof_angles lack {', '.join(missing)}")
    return numbers([pose[name] for name in joints], len(joints), "default_dof_angles")


def _limits(ranges: Any) -> tuple[tuple[float, float], ...]:
    if not isinstance(ranges, dict):
        raise VmError("the ONNX metadata lack command_ranges; expected lin_vel_x, lin_vel_y and ang_vel_yaw")
    low_high = [numbers(ranges[key], 2, key) for key in ("lin_vel_x", "lin_vel_y", "ang_vel_yaw")]
    return tuple((low, high) for low, high in low_high)
