"""Stage 4, fine-tuning: a student goes on learning by itself, under commands, pushes and the map's own errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from vm_core import g1
from vm_core.errors import VmError
from vm_core.policy_contract import PolicyContract
from vm_training.mdp.randomization import EpisodeRanges
from vm_training.policy_file import PolicyFile
from vm_training.rl.command_env import CommandConfig, CommandEnv
from vm_training.rl.env_config import EnvConfig
from vm_training.rl.model import GatedModel, take_student
from vm_training.rl.task import AnchorConfig, PpoConfig, Task
from vm_training.rl.terrain_share import TerrainShare
from vm_training.rl.trainer import Trainer
from vm_training.rl.walk_validation import ValidationConfig, validate
from vm_training.student import Student
from vm_training.tasks.motion_pretraining import run

NAME = "finetune"
_EASY = EpisodeRanges(
    friction=(0.4, 1.0),
    payload_kg=(-1.0, 2.0),
    torso_com_m=0.01,
    delay_s=0.012,
    joint_bias_rad=0.003,
    tilt_bias_rad=0.005,
    push_every_s=3.5,
    push_m_s=0.6,
    exact_grids=0.5,
)
"""Robots as different as those that the student was taught on, and a little more."""


@dataclass(frozen=True)
class FinetuneConfig:
    """Everything that decides a fine-tuning.

    Attributes:
        student: policy file to begin with; it sees a root command.
        env: how robots are simulated, varied and seen.
        task: what they are asked for.
        ppo: the learner.
        anchor: what keeps the student from forgetting.
        validation: on courses that stay the same; the best policy of all is kept.
    """

    student: Path
    env: EnvConfig = field(default_factory=lambda: EnvConfig(num_envs=256, ranges=_EASY, threads=1))
    task: CommandConfig = field(default_factory=CommandConfig)
    ppo: PpoConfig = field(
        default_factory=lambda: PpoConfig(
            steps=32,
            epochs=3,
            learning_rate=2e-5,
            desired_kl=0.005,
            init_std=0.12,
            entropy=0.0,
            save_every=50,
            overlap=False,
        )
    )
    anchor: AnchorConfig = field(default_factory=AnchorConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)


def train_finetune(config: FinetuneConfig, out: Path, resume: bool) -> Trainer:
    """All iterations that are not done yet.

    Raises:
        VmError: a student that cannot be fine-tuned, or a folder of another run.
    """
    student, contract = read_student(config.student)
    hidden = [layer.out_features for layer in student.layers if isinstance(layer, nn.Linear)][:-1]
    ppo = replace(config.ppo, hidden=tuple(hidden))
    return run(finetuning_task(config, student, contract), config, ppo, out, resume)


def finetuning_task(config: FinetuneConfig, student: Student, contract: PolicyContract) -> Task:
    """What is trained: the student, under commands, on courses that follow its falls."""
    commands = replace(config.task.commands, limits=contract.command_limits)
    settings = replace(config.task, commands=commands)
    grid = contract.height_grid if contract.observation[-1].name == "height_grid" else None
    share = TerrainShare()

    def make_env(seed: int) -> CommandEnv:
        share.fade()
        return CommandEnv(contract, student, config.env, settings, seed, share)

    return Task(
        NAME,
        make_env,
        replace(contract, golden=None, name=NAME, training={}),
        grid_cells=grid.num_cells if grid is not None else 0,
        start=lambda actor: take_student(actor, student),
        state=share.state,
        load_state=share.load_state,
        anchor=config.anchor,
        validate=_validation(config, contract, settings) if config.validation.every else None,
        validate_every=max(config.validation.every, 1),
    )


def _validation(
    config: FinetuneConfig, contract: PolicyContract, settings: CommandConfig
) -> Callable[[GatedModel], dict[str, float]]:
    return lambda actor: validate(actor.raw, contract, settings, config.validation, config.env.threads)


def read_student(path: Path) -> tuple[Student, PolicyContract]:
    """The network of a policy file that this project exported, to be trained on.

    Raises:
        VmError: another kind of network, or a contract that commands cannot drive.
    """
    contract = PolicyFile.load(path).contract
    names = [term.name for term in contract.observation]
    if contract.action_base != "default_pose" or "velocity_commands" not in names:
        raise VmError(f"{path.name}: follows a clip; fine-tuning needs a policy that sees a root command")
    if contract.joint_names != g1.POLICY_JOINT_NAMES or contract.action_clip is None:
        raise VmError(f"{path.name}: moves {len(contract.joint_names)} joints; fine-tuning needs this project's 23")
    arrays = {t.name: numpy_helper.to_array(t).copy() for t in onnx.load(str(path)).graph.initializer}
    weights = _linear_layers(arrays)
    sizes = [weight.shape for weight, _ in weights]
    if not sizes or sizes[0][1] != contract.observation_size:
        raise VmError(f"{path.name}: not a plain perceptron of this project; its layers are {sizes}")
    student = Student(sizes[0][1], sizes[-1][0], [rows for rows, _ in sizes[:-1]])
    layers = [layer for layer in student.layers if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for layer, (weight, bias) in zip(layers, weights, strict=True):
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
        for name, buffer in (("mean", student.mean), ("spread", student.spread)):
            if name in arrays:  # the exporter leaves out what changes nothing
                buffer.copy_(torch.from_numpy(arrays[name]))
    assert contract.golden is not None
    seen = torch.tensor([contract.golden.observation])
    with torch.no_grad():
        given = student(seen)[0].numpy()
    if np.abs(given - np.array(contract.golden.action)).max() > 10.0 * contract.golden.tolerance:
        raise VmError(f"{path.name}: its layers alone do not give its golden action; not a plain perceptron")
    return student.eval(), contract


def _linear_layers(arrays: dict[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights (out, in) and biases (out,) of the network's layers in order."""
    stems = sorted(
        (name.removesuffix(".weight") for name in arrays if name.startswith("layers.") and name.endswith(".weight")),
        key=lambda stem: int(stem.split(".")[1]),
    )
    found = []
    for stem in stems:
        weight = arrays[f"{stem}.weight"]
        bias = arrays.get(f"{stem}.bias")  # the exporter leaves out what is zero
        found.append((weight, np.zeros(len(weight), np.float32) if bias is None else bias))
    return found
