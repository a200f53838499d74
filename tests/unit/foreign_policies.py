"""Small policy files in the forms that other projects export: right names, shapes and metadata, random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from vm_core import frames, g1
from vm_core.g1_kinematics import torso_pose

REVERSED = tuple(reversed(g1.MOTOR_NAMES))
BODIES = ("pelvis", "left_knee_link", "torso_link")
FRAMES = 40


def network(
    inputs: int,
    outputs: int,
    metadata: dict[str, str],
    tables: dict[str, np.ndarray] | None = None,
    names: tuple[str, str] = ("obs", "actions"),
    seed: int = 0,
) -> bytes:
    """A linear network; with tables it also takes a time step and looks them up, as motion policies do."""
    weights = np.random.default_rng(seed).normal(0.0, 0.05, (inputs, outputs)).astype(np.float32)
    nodes = [helper.make_node("MatMul", [names[0], "w"], [names[1]])]
    given = [helper.make_tensor_value_info(names[0], TensorProto.FLOAT, [1, inputs])]
    answers = [helper.make_tensor_value_info(names[1], TensorProto.FLOAT, [1, outputs])]
    kept = [numpy_helper.from_array(weights, "w")]
    if tables:
        length = len(next(iter(tables.values())))
        given.append(helper.make_tensor_value_info("time_step", TensorProto.FLOAT, [1, 1]))
        kept += [numpy_helper.from_array(np.array(length - 1), "last"), numpy_helper.from_array(np.array([1]), "axis")]
        nodes += [
            helper.make_node("Cast", ["time_step"], ["whole"], to=TensorProto.INT64),
            helper.make_node("Squeeze", ["whole", "axis"], ["flat"]),
            helper.make_node("Min", ["flat", "last"], ["clamped"]),
        ]
    for name, table in (tables or {}).items():
        kept.append(numpy_helper.from_array(table.astype(np.float32), f"table_{name}"))
        nodes.append(helper.make_node("Gather", [f"table_{name}", "clamped"], [name]))
        answers.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *table.shape[1:]]))
    graph = helper.make_graph(nodes, "policy", given, answers, kept)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    helper.set_model_props(model, metadata)
    return model.SerializeToString()


def csv(values) -> str:
    """As both exporters print lists: numbers with three decimals."""
    return ",".join(f"{v:.3f}" if isinstance(v, (int, float)) else str(v) for v in values)


def joint_table(seed: int = 1) -> np.ndarray:
    """(FRAMES, 29) joint angles [rad] that wander."""
    rng = np.random.default_rng(seed)
    return 0.3 * np.cumsum(rng.normal(0.0, 0.05, (FRAMES, 29)), axis=0)


def pelvis_motion(seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """(FRAMES, 3) [m] and (FRAMES, 4): a pelvis that walks and leans."""
    rng = np.random.default_rng(seed)
    pos = np.array([0.5, -0.3, 0.75]) + np.cumsum(rng.normal(0.0, 0.01, (FRAMES, 3)), axis=0)
    turn = np.array([0.0, 0.0, 0.7]) + np.cumsum(rng.normal(0.0, 0.02, (FRAMES, 3)), axis=0)
    return pos, frames.quat_from_rotvec(turn)


def motion_tables(names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """joint_pos, joint_vel, body_pos_w and body_quat_w of BODIES, joints in the order of `names`."""
    joint_pos, (pos, quat) = joint_table(), pelvis_motion()
    waist = joint_pos[:, [names.index(f"waist_{axis}_joint") for axis in ("yaw", "roll", "pitch")]]
    torso_pos, torso_quat = torso_pose(pos, quat, waist)
    return {
        "joint_pos": joint_pos,
        "joint_vel": np.random.default_rng(3).normal(0.0, 1.0, joint_pos.shape),
        "body_pos_w": np.stack([pos, pos - 0.4, torso_pos], axis=1),
        "body_quat_w": np.stack([quat, quat, torso_quat], axis=1),
    }


def common_metadata(terms: list[str], command: str) -> dict[str, str]:
    """What mjlab and BeyondMimic write alike, for a robot in reversed joint order."""
    return {
        "run_path": "somebody/run",
        "joint_names": csv(REVERSED),
        "joint_stiffness": csv([40.0 + i for i in range(29)]),
        "joint_damping": csv([1.0 + 0.1 * i for i in range(29)]),
        "default_joint_pos": csv([0.01 * i for i in range(29)]),
        "command_names": csv([command]),
        "observation_names": csv(terms),
        "action_scale": csv([0.3 + 0.01 * i for i in range(29)]),
    }


BEYONDMIMIC_TERMS = [
    *("command", "motion_anchor_pos_b", "motion_anchor_ori_b", "base_lin_vel", "base_ang_vel"),
    *("joint_pos", "joint_vel", "actions"),
]
MJLAB_TERMS = [*("base_lin_vel", "base_ang_vel", "projected_gravity", "joint_pos", "joint_vel", "actions"), "command"]


def beyondmimic(path: Path, terms: list[str] = BEYONDMIMIC_TERMS, history: int = 1, **changes: str) -> Path:
    """A BeyondMimic file with a motion inside."""
    sizes = {"command": 58, "motion_anchor_ori_b": 6, **dict.fromkeys(("joint_pos", "joint_vel", "actions"), 29)}
    metadata = common_metadata(terms, "motion") | {
        "observation_history_lengths": csv([str(history)] * len(terms)),
        "anchor_body_name": "torso_link",
        "body_names": csv(BODIES),
    }
    inputs = history * sum(sizes.get(term, 3) for term in terms)
    path.write_bytes(network(inputs, 29, metadata | changes, motion_tables(REVERSED)))
    return path


def mjlab(path: Path, terms: list[str] = MJLAB_TERMS, inputs: int | None = None, **changes: str) -> Path:
    """A velocity policy of mjlab: history of 3, one term scaled and clipped."""
    count = len(terms)
    metadata = common_metadata(terms, "twist") | {
        "observation_terms_scale": csv(["0.250;0.500;1.000", *["1.000"] * (count - 1)]),
        "observation_terms_history_length": csv([3.0, *[0.0] * (count - 1)]),
        "observation_terms_clip": csv(["-inf;inf", "-1.500;1.500", *["-inf;inf"] * (count - 2)]),
        "observation_terms_flatten_history_dim": csv(["True"] * count),
    }
    sizes = dict.fromkeys(("joint_pos", "joint_vel", "actions"), 29)
    size = 6 + sum(sizes.get(term, 3) for term in terms) if inputs is None else inputs
    path.write_bytes(network(size, 29, metadata | changes))
    return path


def holosoma(path: Path, tracking: bool = False, **changes: str) -> Path:
    """A locomotion or tracking policy of holosoma."""
    metadata = {
        "dof_names": json.dumps(list(REVERSED)),
        "kp": json.dumps([40.0 + i for i in range(29)]),
        "kd": json.dumps([1.0 + 0.1 * i for i in range(29)]),
        "command_ranges": json.dumps(
            {"lin_vel_x": [-1.0, 1.0], "lin_vel_y": [-0.5, 0.5], "ang_vel_yaw": [-1.0, 1.0], "heading": [-3.14, 3.14]}
        ),
    } | changes
    if not tracking:
        path.write_bytes(network(100, 29, metadata, names=("actor_obs", "action")))
        return path
    tables = motion_tables(REVERSED)
    own = {
        "joint_pos": tables["joint_pos"],
        "joint_vel": tables["joint_vel"],
        "ref_pos_xyz": tables["body_pos_w"][:, 2],
        "ref_quat_xyzw": np.roll(tables["body_quat_w"][:, 2], -1, axis=-1),
    }
    path.write_bytes(network(154, 29, metadata | {"command_ranges": "null"}, own))
    return path


DEPLOY_SIZES = {
    **dict.fromkeys(("base_ang_vel", "projected_gravity", "velocity_commands"), 3),
    **dict.fromkeys(("joint_pos_rel", "joint_vel_rel", "last_action"), 29),
    "gait_phase": 2,
    "motion_command": 58,
    "motion_anchor_ori_b": 6,
}


def deploy(terms: dict[str, dict] | None = None, **changes) -> dict:
    """unitree_rl_lab's deploy.yaml with reversed joint order, so that order mistakes show."""
    values = {
        "joint_ids_map": list(reversed(range(29))),
        "step_dt": 0.02,
        "stiffness": [float(i) for i in range(29)],
        "damping": [0.1 * i for i in range(29)],
        "default_joint_pos": [0.01 * i for i in range(29)],
        "commands": {
            "base_velocity": {"ranges": {"lin_vel_x": [-0.5, 1.0], "lin_vel_y": [-0.3, 0.3], "ang_vel_z": [-0.2, 0.2]}}
        },
        "actions": {
            "JointPositionAction": {"clip": None, "scale": [0.25] * 29, "offset": [0.01 * i for i in range(29)]}
        },
        "observations": terms
        or {
            "base_ang_vel": {"clip": None, "scale": [0.2] * 3, "history_length": 5},
            "joint_pos_rel": {"clip": [-9.0, 9.0], "scale": [1.0] * 29, "history_length": 2},
        },
    }
    return values | changes


def unitree_rl_lab(folder: Path, deploy_values: dict) -> Path:
    """A policy folder as unitree_rl_lab lays it out."""
    import yaml

    terms = {k: v for k, v in deploy_values["observations"].items() if k in DEPLOY_SIZES}
    inputs = sum(DEPLOY_SIZES[key] * int(term.get("history_length") or 1) for key, term in terms.items())
    for name in ("params", "exported"):
        (folder / name).mkdir(parents=True)
    (folder / "params/deploy.yaml").write_text(yaml.safe_dump(deploy_values, sort_keys=False))
    (folder / "exported/policy.onnx").write_bytes(network(inputs, 29, {}))
    return folder


def load(data: bytes) -> onnx.ModelProto:
    """The model of a file's bytes."""
    return onnx.load_model_from_string(data)
