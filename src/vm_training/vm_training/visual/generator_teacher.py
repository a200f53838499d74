"""A generator's PPO over the frozen tracker, from an imitation of its task's script."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from vm_training.rl.model import GatedModel, student_of, take_student
from vm_training.rl.task import AnchorConfig, PpoConfig, Task
from vm_training.rl.trainer import Trainer
from vm_training.student import Student, digest
from vm_training.tasks.motion_pretraining import run
from vm_training.visual.bundle import tracker_contract
from vm_training.visual.gait_table import GaitTable
from vm_training.visual.generator import Generator
from vm_training.visual.generator_env import GeneratorEnv
from vm_training.visual.object_world import PERIOD_S, Tracker, WorldConfig
from vm_training.visual.tasks.base import ObjectTask


@dataclass(frozen=True)
class GeneratorPpoConfig:
    """Everything that decides a generator's reinforcement learning.

    Attributes:
        longest_s: of an episode.
        world: how robots and objects differ.
        ppo: the learner; a little noise on commands moves whole steps, so it begins small.
        anchor: what keeps it from forgetting the imitation that it began with, if it did.
    """

    longest_s: float = 20.0
    world: WorldConfig = field(default_factory=lambda: WorldConfig(worlds=64))
    ppo: PpoConfig = field(
        default_factory=lambda: PpoConfig(
            iterations=300,
            learning_rate=1e-5,
            desired_kl=0.01,
            init_std=0.06,
            entropy=0.0,
            save_every=60,
            steps=32,
            hidden=(256, 128),
        )
    )
    anchor: AnchorConfig = field(default_factory=lambda: AnchorConfig(critic_hidden=(256, 128)))

    def __post_init__(self) -> None:
        self.ppo.must_let_end(self.longest_s, PERIOD_S)


def train_generator_teacher(
    task: ObjectTask,
    tracker: Tracker,
    table: GaitTable,
    start: Generator | None,
    config: GeneratorPpoConfig,
    out: Path,
    resume: bool,
) -> tuple[Generator, Trainer]:
    """All iterations that are not done yet; returns the generator of the last.

    Args:
        task, tracker, table: where it acts.
        start: an imitation that knows the state, of the same layers; None: nothing is known.
        config: how.
        out: run folder.
        resume: go on with the run that is there.

    Raises:
        VmError: a resumed run began with another imitation or tracker, or clamped otherwise.
    """

    first = None if start is None else _as_student(start).eval()

    # a resumed run acts over the same tracker and is held to the same imitation
    began = {"start": digest(start), "tracker": digest(tracker.student), "clamped": tracker.clip}

    def begin(model: GatedModel) -> None:
        if first is not None:
            take_student(model, first)

    stage = Task(
        f"{task.name}_teacher",
        lambda seed: GeneratorEnv(task, tracker, table, config.world, config.longest_s, seed, first),
        tracker_contract(f"{task.name}_teacher", tracker.statistics, began),
        start=begin,
        anchor=None if first is None else config.anchor,
    )
    trainer = run(stage, config, config.ppo, out, resume)
    return _as_generator(trainer.ppo.actor), trainer


def _as_student(generator: Generator) -> Student:
    layers = [layer for layer in generator.mlp if isinstance(layer, nn.Linear)]
    student = Student(layers[0].in_features, layers[-1].out_features, [layer.out_features for layer in layers[:-1]])
    state = {
        f"layers.{key.removeprefix('mlp.')}": value for key, value in generator.mlp.state_dict(prefix="mlp.").items()
    }
    student.load_state_dict(state | {"mean": generator.mean, "spread": generator.spread})
    return student


def _as_generator(model: nn.Module) -> Generator:
    student = student_of({key: value.detach() for key, value in model.state_dict().items()})
    widths = [layer.out_features for layer in student.layers if isinstance(layer, nn.Linear)]
    generator = Generator("state", tuple(widths[:-1]))
    with torch.no_grad():
        generator.mlp.load_state_dict(student.layers.state_dict())
        generator.mean.copy_(student.mean)
        generator.spread.copy_(student.spread)
    return generator.eval()
