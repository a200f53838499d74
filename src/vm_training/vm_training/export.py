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
from vm_core.errors import VmError
from vm_core.height_grid import HeightGridSpec
from vm_core.motion_clip import MotionClip
from vm_core.policy_contract import METADATA_KEY, REFERENCE_KEY, GoldenPair, ObservationTerm, PolicyContract
from vm_training.benchmark.courses import SIT_SKILL
from vm_training.mdp.lane import ACTION_SCALE_RAD
from vm_training.mdp.observations import DEFAULT_JOINT_POS, TRACKING_TERMS
from vm_training.mdp.operators import FADE_STEPS
from vm_training.mdp.walk_observations import GRID, UNKNOWN_M, walk_terms
from vm_training.motions.clip import KD, KP
from vm_training.student import NormalizedNetwork
from vm_training.tasks import walk_config
from vm_training.tasks.distillation import ACTION_CLIP
from vm_training.teachers.local_models import CORRECTION_SCALE


def tracking_contract(
    name: str, clip: MotionClip, training: dict[str, Any], terms: tuple[ObservationTerm, ...] = TRACKING_TERMS
) -> PolicyContract:
    """The contract of a student that tracks a clip, without its golden pair."""
    return PolicyContract(
        name=name,
        **joint_fields(DEFAULT_JOINT_POS),
        action_scale=(CORRECTION_SCALE,) * len(g1.POLICY_JOINT_NAMES),
        observation=terms,
        action_clip=ACTION_CLIP,
        action_base="reference_target",
        control_period_s=1.0 / clip.fps,
        training=training,
    )


def walking_contract(
    name: str,
    default_joint_pos: np.ndarray,
    step_s: float,
    training: dict[str, Any],
    grid: HeightGridSpec = GRID,
) -> PolicyContract:
    """The contract of a walker, without its golden pair.

    Args:
        name: of the policy.
        default_joint_pos: (J,) [rad] that its actions add to.
        step_s: time of a step.
        training: for people; its `skills` say whether a command backwards means to sit down.
        grid: by which it sees the ground.
    """
    return PolicyContract(
        name=name,
        **joint_fields(default_joint_pos),
        action_scale=(ACTION_SCALE_RAD,) * len(g1.POLICY_JOINT_NAMES),
        observation=walk_terms(grid),
        action_clip=walk_config.ACTION_CLIP,
        height_grid=grid,
        height_grid_unknown=UNKNOWN_M,
        gait_step_s=step_s,
        gait_fade_steps=FADE_STEPS,
        command_limits=walk_config.command_limits(SIT_SKILL in training.get("skills", ())),
        training=training,
    )


def joint_fields(default_joint_pos: np.ndarray) -> dict[str, Any]:
    """The contract's part on the 23 joints, their gains, and the six that are held."""
    held = {}
    for joint in g1.WRIST_JOINT_NAMES:
        motor = g1.motor_index(joint)
        held[joint] = (float(g1.DEFAULT_STAND_POSE[motor]), float(g1.MJLAB_KP[motor]), float(g1.MJLAB_KD[motor]))
    return {
        "joint_names": g1.POLICY_JOINT_NAMES,
        "default_joint_pos": tuple(default_joint_pos.tolist()),
        "kp": tuple(KP.tolist()),
        "kd": tuple(KD.tolist()),
        "held_joints": held,
    }


def export_policy(
    student: NormalizedNetwork, contract: PolicyContract, golden: np.ndarray, out: Path, clip: MotionClip | None = None
) -> None:
    """Writes the policy file.

    Args:
        student: trained network.
        contract: without a golden pair.
        golden: (inputs,) an observation seen in simulation; the action for it is recorded.
        out: file to write.
        clip: what it follows, with PD targets, if it follows one.
    """
    model = _to_onnx(student, contract.observation_size)
    with torch.inference_mode():
        action = student(torch.from_numpy(golden[None].astype(np.float32))).numpy()[0]
    pair = GoldenPair(tuple(golden.astype(np.float32).tolist()), tuple(action.tolist()))
    properties = {METADATA_KEY: replace(contract, golden=pair).to_json()}
    if clip is not None:
        buffer = io.BytesIO()
        clip.save(buffer)
        properties[REFERENCE_KEY] = base64.b64encode(buffer.getvalue()).decode()
    onnx.helper.set_model_props(model, properties)
    with atomic_path(out) as temporary:
        onnx.save(model, str(temporary))


def check_policy_name(out: Path) -> None:
    """Raises VmError before hours of work if a policy could not be written under this name."""
    if out.suffix != ".onnx":
        raise VmError(f"--out {out}: expected a file name that ends with .onnx")


def _to_onnx(student: NormalizedNetwork, inputs: int) -> onnx.ModelProto:
    student.eval()
    example = torch.zeros(1, inputs)
    # the exporter's own deprecations, and operators of packages that no policy needs: nothing that a user could act on
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            student, (example,), input_names=["observation"], output_names=["action"], dynamo=True, verbose=False
        )
    assert program is not None
    return without_traces(program.model_proto)


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drops what the exporter writes of where it ran: stack traces with this machine's paths at every node."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return model
