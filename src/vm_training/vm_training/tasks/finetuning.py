"""Stage 4, fine-tuning: a student goes on learning by itself, under commands, pushes and the map's own errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import nn

from vm_core.policy_contract import PolicyContract
from vm_training.exported_students import read_student
from vm_training.mdp.randomization import EpisodeRanges
from vm_training.mdp.walk_observations import GRID
from vm_training.rl.command_env import CommandConfig, CommandEnv
from vm_training.rl.env_config import EnvConfig
from vm_training.rl.model import GatedModel, take_student
from vm_training.rl.task import AnchorConfig, PpoConfig, Task
from vm_training.rl.terrain_share import TerrainShare
from vm_training.rl.trainer import Trainer
from vm_training.rl.walk_validation import ValidationConfig, validate
from vm_training.student import Student
from vm_training.tasks.motion_pretraining import run
from vm_training.wider_view import with_wider_view

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
    if contract.height_grid is not None:
        student, contract = with_wider_view(student, contract, GRID)
    hidden = [layer.out_features for layer in student.layers if isinstance(layer, nn.Linear)][:-1]
    ppo = replace(config.ppo, hidden=tuple(hidden))
    return run(finetuning_task(config, student, contract), config, ppo, out, resume)


def finetuning_task(config: FinetuneConfig, student: Student, contract: PolicyContract) -> Task:
    """What is trained: the student, under commands, on courses that follow its falls."""
    commands = replace(config.task.commands, limits=contract.command_limits)
    settings = replace(config.task, commands=commands)
    grid = contract.height_grid if contract.observation[-1].name == "height_grid" else None
    share = TerrainShare(config.task.kinds)

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
