"""A trained student as a policy file: ONNX, contract, golden pair and the clip that it follows, in one."""

from __future__ import annotations

import base64
import io
import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from vm_core import g1
from vm_core.atomic_files import atomic_path
from vm_core.motion_clip import MotionClip
from vm_core.policy_contract import METADATA_KEY, REFERENCE_KEY, GoldenPair, PolicyContract
from vm_training.mdp.observations import DEFAULT_JOINT_POS, TRACKING_TERMS
from vm_training.motions.clip import KD, KP
from vm_training.student import Student
from vm_training.tasks.distillation import ACTION_CLIP, OBSERVATION_SIZE
from vm_training.teachers.local_models import CORRECTION_SCALE


def tracking_contract(name: str, clip: MotionClip, training: dict[str, Any]) -> PolicyContract:
    """The contract of a student that tracks a clip, without its golden pair."""
    held = {}
    for joint in g1.WRIST_JOINT_NAMES:
        motor = g1.motor_index(joint)
        held[joint] = (float(g1.DEFAULT_STAND_POSE[motor]), float(g1.MJLAB_KP[motor]), float(g1.MJLAB_KD[motor]))
    return PolicyContract(
        name=name,
        joint_names=g1.POLICY_JOINT_NAMES,
        default_joint_pos=tuple(DEFAULT_JOINT_POS.tolist()),
        action_scale=(CORRECTION_SCALE,) * len(g1.POLICY_JOINT_NAMES),
        kp=tuple(KP.tolist()),
        kd=tuple(KD.tolist()),
        observation=TRACKING_TERMS,
        held_joints=held,
        action_clip=ACTION_CLIP,
        action_base="reference_target",
        control_period_s=1.0 / clip.fps,
        training=training,
    )


def export_policy(student: Student, clip: MotionClip, contract: PolicyContract, golden: np.ndarray, out: Path) -> None:
    """Writes the policy file.

    Args:
        student: trained network.
        clip: what it follows, with PD targets.
        contract: without a golden pair.
        golden: (108,) an observation seen in simulation; the action for it is recorded.
        out: file to write.
    """
    model = _to_onnx(student)
    with torch.inference_mode():
        action = student(torch.from_numpy(golden[None].astype(np.float32))).numpy()[0]
    pair = GoldenPair(tuple(golden.astype(np.float32).tolist()), tuple(action.tolist()))
    buffer = io.BytesIO()
    clip.save(buffer)
    properties = {
        METADATA_KEY: replace(contract, golden=pair).to_json(),
        REFERENCE_KEY: base64.b64encode(buffer.getvalue()).decode(),
    }
    onnx.helper.set_model_props(model, properties)
    with atomic_path(out) as temporary:
        onnx.save(model, str(temporary))


def _to_onnx(student: Student) -> onnx.ModelProto:
    student.eval()
    example = torch.zeros(1, OBSERVATION_SIZE)
    # the exporter's own deprecations, and operators of packages that no policy needs: nothing that a user could act on
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            student, (example,), input_names=["observation"], output_names=["action"], dynamo=True, verbose=False
        )
    assert program is not None
    return _without_traces(program.model_proto)


def _without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drops what the exporter writes of where it ran: stack traces with this machine's paths at every node."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return model
