"""Writes a visual policy's folder and reads one back for evaluation; see `vm_core.visual_bundle`."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from vm_core import g1
from vm_core import visual_bundle as vb
from vm_core.atomic_files import atomic_path
from vm_core.depth_image import DepthSpec
from vm_core.errors import VmError
from vm_core.gait_clock import QUICK_STOP
from vm_core.keypoint_command import CommandStatistics
from vm_core.policy_contract import METADATA_KEY, ObservationTerm, PolicyContract
from vm_training.export import export_policy, joint_fields, without_traces
from vm_training.mdp.observations import DEFAULT_JOINT_POS
from vm_training.student import Student
from vm_training.visual.gait_table import gait_table
from vm_training.visual.generator import OWN_TERMS, SEEING_TERMS, Generator, Sight
from vm_training.visual.lift_path import lift_path
from vm_training.visual.motions import SLOW_STEP_S
from vm_training.visual.object_world import Tracker
from vm_training.visual.tasks import find_object_task
from vm_training.visual.tracker import ACTION_SCALE_RAD, OBSERVATION_SIZE, TRACKER_TERMS
from vm_training.visual.tracker_training import ACTION_CLIP


def tracker_contract(
    name: str, statistics: CommandStatistics, training: dict[str, Any], step_s: float = SLOW_STEP_S
) -> PolicyContract:
    """What a keypoint tracker says of itself, without golden pair."""
    return PolicyContract(
        name=name,
        **joint_fields(DEFAULT_JOINT_POS),
        action_scale=(ACTION_SCALE_RAD,) * len(g1.POLICY_JOINT_NAMES),
        observation=TRACKER_TERMS,
        action_clip=ACTION_CLIP,
        command_statistics=statistics,
        gait_step_s=step_s,
        training=training,
    )


class _Seeing(nn.Module):
    """A generator whose file has a depth input whether it looks or not."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, depth: torch.Tensor, observation: torch.Tensor) -> tuple[torch.Tensor, ...]:
        command, thought = self.generator(depth, observation)
        command = command + 0.0 * depth.mean()
        return (command, thought) if thought.shape[1] else (command,)


def export_bundle(
    folder: Path,
    task: str,
    student: Student,
    statistics: CommandStatistics,
    generator: Generator,
    seen: tuple[np.ndarray, np.ndarray, np.ndarray],
    training: tuple[dict[str, Any], dict[str, Any]],
    tracker_file: Path | None = None,
    step_s: float = SLOW_STEP_S,
) -> None:
    """Writes tracker.onnx and generator.onnx.

    Args:
        folder: to write.
        task: name of the object task.
        student, statistics: the tracker and its commands.
        generator: that sees depth, or nothing.
        seen: golden inputs: tracker's observation, depth (height, width) scaled, generator's observation.
        training: of tracker and generator, for people.
        tracker_file: the tracker as a file, taken over as it is; None: written from `student`.
        step_s: time of the steps that the tracker was taught.

    Raises:
        VmError: a generator that knows what no robot does.
    """
    if generator.sight == "state":
        raise VmError("a generator that knows the object's state cannot run on a robot; export one that sees depth")
    folder.mkdir(parents=True, exist_ok=True)
    contract = tracker_contract(f"{folder.name}_tracker", statistics, training[0], step_s)
    if tracker_file is None:
        export_policy(student, contract, seen[0], folder / vb.TRACKER_FILE)
    else:
        with atomic_path(folder / vb.TRACKER_FILE) as temporary:
            temporary.write_bytes(tracker_file.read_bytes())
    depth, observation = (torch.from_numpy(part[None].astype(np.float32)) for part in seen[1:])
    model = _to_onnx(generator, depth, observation)
    with torch.inference_mode():
        command = _Seeing(generator)(depth, observation)[0].numpy()[0]
    about = vb.GeneratorContract(
        name=folder.name,
        task=task,
        tracker=vb.fingerprint((folder / vb.TRACKER_FILE).read_bytes()),
        joint_names=contract.joint_names,
        default_joint_pos=contract.default_joint_pos,
        observation=SEEING_TERMS if generator.sight == "depth" else OWN_TERMS,
        gait_step_s=step_s,
        gait_steps_to_rest=QUICK_STOP,
        rest_keypoints=tuple(gait_table(step_s).stand_keypoints.ravel().tolist()),
        lift=lift_path() if find_object_task(task).lifts else None,
        golden=vb.GoldenCommand(
            tuple(depth.numpy().ravel().tolist()), tuple(observation.numpy()[0].tolist()), tuple(command.tolist())
        ),
        training=training[1],
    )
    onnx.helper.set_model_props(model, {vb.GENERATOR_KEY: about.to_json()})
    with atomic_path(folder / vb.GENERATOR_FILE) as temporary:
        onnx.save(model, str(temporary))


def _to_onnx(generator: Generator, depth: torch.Tensor, observation: torch.Tensor) -> onnx.ModelProto:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Seeing(generator).eval(),
            (depth, observation),
            input_names=[vb.DEPTH_INPUT, vb.OBSERVATION_INPUT],
            output_names=[vb.COMMAND_OUTPUT, vb.MEMORY_OUTPUT][: 2 if generator.sight == "depth" else 1],
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    return without_traces(program.model_proto)


class OnnxTracker:
    """A tracker's file in place of its network."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name

    def __call__(self, seen: torch.Tensor) -> torch.Tensor:
        rows = [np.asarray(self._session.run(None, {self._input: row[None]})[0]) for row in seen.numpy()]
        return torch.from_numpy(np.concatenate(rows))


class OnnxGenerator:
    """A generator's file in place of its network."""

    sight: Sight = "depth"

    def __init__(self, session: onnxruntime.InferenceSession, about: vb.GeneratorContract) -> None:
        self._session, self.steps_to_rest, self.terms = session, about.gait_steps_to_rest, about.observation
        self.halts, self.lift = about.rest_keypoints is not None, about.lift

    def look(self, seen: np.ndarray, depth: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """(N, 18) [m], and what it is to remember (N, M)."""
        assert depth is not None
        rows = [
            self._session.run(None, {vb.DEPTH_INPUT: picture[None], vb.OBSERVATION_INPUT: row[None]})
            for picture, row in zip(depth, seen.astype(np.float32), strict=True)
        ]
        command, *memory = (np.concatenate(part).astype(np.float64) for part in zip(*rows, strict=True))
        return command, memory[0] if memory else np.zeros((len(command), 0))


def load_bundle(folder: Path) -> tuple[str, Tracker, OnnxGenerator]:
    """A bundle's task, its tracker and its generator.

    Raises:
        VmError: not a bundle, halves that disagree, or terms that this evaluation does not provide.
    """
    sessions = {}
    for name in (vb.TRACKER_FILE, vb.GENERATOR_FILE):
        if not (folder / name).is_file():
            raise VmError(f"{folder}: no {name}; expected a folder with {vb.TRACKER_FILE} and {vb.GENERATOR_FILE}")
        try:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            sessions[name] = onnxruntime.InferenceSession(str(folder / name), options, ["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own kinds differ from version to version
            raise VmError(f"{folder / name}: not a network ({str(error).splitlines()[0]})") from None
    texts = [_metadata(sessions[n], key, folder / n) for n, key in _KEYS.items()]
    contract, about = PolicyContract.from_json(texts[0]), vb.GeneratorContract.from_json(texts[1])
    vb.check_halves(about, contract, (folder / vb.TRACKER_FILE).read_bytes(), folder.name)
    if contract.observation != TRACKER_TERMS or not _seeing(about.observation) or about.depth != DepthSpec():
        raise VmError(f"{folder}: other terms than this evaluation gives; expected a bundle that vm-train exported")
    assert contract.command_statistics is not None and contract.observation_size == OBSERVATION_SIZE
    session = sessions[vb.TRACKER_FILE]
    tracker = Tracker(OnnxTracker(session), contract.command_statistics, step_s=about.gait_step_s or SLOW_STEP_S)
    generator = OnnxGenerator(sessions[vb.GENERATOR_FILE], about)
    assert about.golden is not None
    depth = np.array(about.golden.depth, np.float32).reshape(1, about.depth.height, about.depth.width)
    replayed = generator.look(np.array([about.golden.observation], np.float32), depth)[0][0]
    vb.check_golden(about, replayed, folder.name)
    return about.task, tracker, generator


def _seeing(terms: tuple[ObservationTerm, ...]) -> bool:
    """Whether a generator reads OWN_TERMS, and beside them at most its legs' velocity and a memory of whatever size."""
    own, others = terms[: len(OWN_TERMS)], terms[len(OWN_TERMS) :]
    legs, memory = SEEING_TERMS[len(OWN_TERMS) :]
    remembered = others[1:] if others[:1] == (legs,) else others
    return own == OWN_TERMS and remembered == tuple(replace(memory, size=term.size) for term in remembered[:1])


_KEYS = {vb.TRACKER_FILE: METADATA_KEY, vb.GENERATOR_FILE: vb.GENERATOR_KEY}


def _metadata(session: onnxruntime.InferenceSession, key: str, path: Path) -> str:
    found = session.get_modelmeta().custom_metadata_map
    if key not in found:
        raise VmError(f"{path}: no contract in its metadata; expected a file that vm-train exported")
    return found[key]
