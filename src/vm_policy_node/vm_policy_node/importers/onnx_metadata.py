"""The metadata that mjlab and BeyondMimic write into their ONNX files: comma-separated text, three decimals.

Keys of both: joint_names, joint_stiffness, joint_damping, default_joint_pos, action_scale, observation_names,
command_names; trackers add anchor_body_name and body_names. BeyondMimic has observation_history_lengths, mjlab
observation_terms_{history_length, scale, clip, flatten_history_dim}; where a file has none, scales are 1 and there is
no history, as both projects' own deployments take it.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from vm_core.errors import VmError
from vm_core.policy_contract import ObservationTerm, PolicyContract
from vm_policy_node.importers.fields import clip_of, held_joints, known_joints, numbers, scale_of, split_csv
from vm_policy_node.importers.imported import Imported
from vm_policy_node.importers.motion_network import action_network, follows_motion, motion_tables
from vm_policy_node.importers.reference_motion import clip_of_pelvis

Limits = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
MOTION_OUTPUTS = ("joint_pos", "joint_vel", "body_pos_w", "body_quat_w")


@dataclass(frozen=True)
class Dialect:
    """In what the projects differ.

    Attributes:
        project: its name, for messages and the contract.
        term_names: our term for each of theirs; `command` is told apart by what is commanded.
        command_terms: our term for each command name.
    """

    project: str
    term_names: dict[str, str]
    command_terms: dict[str, str]


def read_metadata(model: onnx.ModelProto) -> dict[str, str]:
    """The metadata by key."""
    return {entry.key: entry.value for entry in model.metadata_props}


def import_with_metadata(
    model: onnx.ModelProto, dialect: Dialect, name: str, period_s: float, limits: Limits
) -> Imported:
    """The policy and the motion it follows, if its network carries one.

    Args:
        model: the network with its metadata.
        dialect: whose.
        name: of the policy.
        period_s: control period; the files do not tell it.
        limits: command limits; the files do not tell them.

    Raises:
        VmError: a missing key, an unknown joint, term or command, or sizes that contradict each other.
    """
    metadata = read_metadata(model)
    joints = known_joints(split_csv(_value(metadata, "joint_names")), "joint_names")
    anchor = metadata.get("anchor_body_name", "").strip()
    contract = PolicyContract(
        name=name,
        joint_names=joints,
        default_joint_pos=_per_joint(metadata, "default_joint_pos", joints),
        action_scale=_per_joint(metadata, "action_scale", joints),
        kp=_per_joint(metadata, "joint_stiffness", joints),
        kd=_per_joint(metadata, "joint_damping", joints),
        held_joints=held_joints(joints),
        observation=_terms(metadata, dialect, len(joints)),
        anchor_body=anchor or None,
        control_period_s=period_s,
        command_limits=((0.0, 0.0),) * 3 if follows_motion(model) else limits,
        training={"source": f"{dialect.project} ONNX metadata", "run": metadata.get("run_path", "")},
    )
    if not follows_motion(model):
        return Imported(model.SerializeToString(), contract)
    tables = motion_tables(model, MOTION_OUTPUTS)
    bodies = tuple(split_csv(_value(metadata, "body_names")))
    clip = clip_of_pelvis(1.0 / period_s, joints, tables, bodies, f"{dialect.project}, inside {name}")
    return Imported(action_network(model), contract, clip)


def _value(metadata: dict[str, str], key: str) -> str:
    if key not in metadata:
        raise VmError(f"the ONNX metadata lack {key}; they have {', '.join(sorted(metadata)) or 'nothing'}")
    return metadata[key]


def _per_joint(metadata: dict[str, str], key: str, joints: tuple[str, ...]) -> tuple[float, ...]:
    parts = split_csv(_value(metadata, key))
    return numbers(parts * len(joints) if len(parts) == 1 else parts, len(joints), f"the metadata's {key}")


def _terms(metadata: dict[str, str], dialect: Dialect, joints: int) -> tuple[ObservationTerm, ...]:
    names = split_csv(_value(metadata, "observation_names"))
    unknown = [name for name in names if name not in dialect.term_names and name != "command"]
    if unknown:
        known = ", ".join(["command", *dialect.term_names])
        raise VmError(f"{dialect.project}: unknown observation terms {', '.join(unknown)}; known: {known}")
    histories = _listed(metadata, ("observation_terms_history_length", "observation_history_lengths"), len(names), "1")
    scales = _listed(metadata, ("observation_terms_scale",), len(names), "1")
    clips = _listed(metadata, ("observation_terms_clip",), len(names), "-inf;inf")
    return tuple(
        _term(_our_name(name, metadata, dialect), joints, history, scale, clip)
        for name, history, scale, clip in zip(names, histories, scales, clips, strict=True)
    )


def _our_name(name: str, metadata: dict[str, str], dialect: Dialect) -> str:
    if name != "command":
        return dialect.term_names[name]
    commands = split_csv(_value(metadata, "command_names"))
    known = [dialect.command_terms[command] for command in commands if command in dialect.command_terms]
    if len(known) != 1:
        expected = ", ".join(dialect.command_terms)
        raise VmError(f"{dialect.project}: commands {', '.join(commands)}; expected exactly one of {expected}")
    return known[0]


def _listed(metadata: dict[str, str], keys: tuple[str, ...], count: int, default: str) -> list[str]:
    text = next((metadata[key] for key in keys if key in metadata), None)
    parts = [default] * count if text is None else split_csv(text)
    if len(parts) != count:
        raise VmError(f"the metadata's {keys[0]} has {len(parts)} values for {count} observation terms")
    return parts


def _term(name: str, joints: int, history: str, scale: str, clip: str) -> ObservationTerm:
    return ObservationTerm(
        name,
        term_size(name, joints),
        scale_of([float(part) for part in scale.split(";")], name),
        clip_of(clip.split(";"), name),
        max(int(float(history)), 1),
    )


def term_size(name: str, joints: int) -> int:
    """Numbers a frame of one of our terms, for a policy of so many joints."""
    if name == "ref_joint_state":
        return 2 * joints
    if name in ("joint_pos", "joint_pos_rel", "joint_vel_rel", "last_action"):
        return joints
    sizes = {"ref_anchor_ori": 6, "linear_velocity_commands": 2, "yaw_rate_command": 1}
    return sizes.get(name, 2 if "phase" in name else 3)
