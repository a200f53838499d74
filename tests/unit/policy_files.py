"""Small policy files with our contract, and a clip, for tests to damage and to run."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from vm_core import g1
from vm_core.motion_clip import MotionClip
from vm_core.policy_contract import METADATA_KEY, GoldenPair, ObservationTerm, PolicyContract

JOINTS = g1.POLICY_JOINT_NAMES
HELD = {name: (0.0, 20.0, 1.0) for name in g1.WRIST_JOINT_NAMES}
TERMS = (
    ObservationTerm("base_ang_vel", 3, (0.25,)),
    ObservationTerm("projected_gravity", 3),
    ObservationTerm("joint_pos_rel", 23, history_length=2),
    ObservationTerm("last_action", 23),
)
SIZE = sum(t.size * t.history_length for t in TERMS)
WEIGHTS = np.random.default_rng(0).normal(0.0, 0.05, (SIZE, 23)).astype(np.float32)


def contract(**changes) -> PolicyContract:
    observation = np.linspace(-1.0, 1.0, SIZE).astype(np.float32)
    values = {
        "name": "linear",
        "joint_names": JOINTS,
        "default_joint_pos": (0.1,) * 23,
        "action_scale": (0.25,) * 23,
        "kp": (80.0,) * 23,
        "kd": (3.0,) * 23,
        "observation": TERMS,
        "held_joints": HELD,
        "golden": GoldenPair(tuple(observation.tolist()), tuple((observation @ WEIGHTS).tolist())),
        "command_limits": ((-0.5, 1.0), (-0.3, 0.3), (-0.2, 0.2)),
    }
    return PolicyContract(**(values | changes))


def onnx_bytes(metadata: dict[str, str], weights: np.ndarray = WEIGHTS) -> bytes:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["obs", "w"], ["actions"])],
        "linear",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, [1, weights.shape[0]])],
        [helper.make_tensor_value_info("actions", TensorProto.FLOAT, [1, weights.shape[1]])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    helper.set_model_props(model, metadata)
    return model.SerializeToString()


def write(path: Path, policy_contract: PolicyContract | None = None, **metadata: str) -> Path:
    policy_contract = contract() if policy_contract is None else policy_contract
    path.write_bytes(onnx_bytes({METADATA_KEY: policy_contract.to_json()} | metadata))
    return path


def clip(joint_names=g1.MOTOR_NAMES, frames: int = 30, target: bool = True) -> MotionClip:
    joint_pos = np.tile(np.linspace(0.0, 0.1, len(joint_names)), (frames, 1))
    quat = np.tile([1.0, 0.0, 0.0, 0.0], (frames, 1))
    pos = np.linspace([0.0, 0.0, 0.75], [0.3, 0.0, 0.75], frames)
    return MotionClip(50.0, tuple(joint_names), joint_pos, pos, quat, joint_target=joint_pos + 0.05 if target else None)


def embedded(motion: MotionClip) -> str:
    buffer = io.BytesIO()
    motion.save(buffer)
    return base64.b64encode(buffer.getvalue()).decode()
