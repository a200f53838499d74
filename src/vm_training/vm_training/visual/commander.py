"""Who says commands to the robots of an object world: a generator in the seat of a script."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from vm_core.lifting import LiftPath
from vm_core.policy_contract import ObservationTerm
from vm_sim.depth_noise import DepthNoiseConfig
from vm_training.visual.gait_table import GaitTable
from vm_training.visual.generator import INPUTS, OWN_TERMS, PLACE_SIZE, SEEING_TERMS, Generator, GeneratorEyes, Sight
from vm_training.visual.object_world import ObjectWorld, Tracker, WorldConfig
from vm_training.visual.tasks.base import ObjectTask


class Commander(Protocol):
    """Says commands for all worlds, in each control period after `ObjectWorld.tick`."""

    def reset(self, envs: np.ndarray) -> None: ...
    def command(self) -> np.ndarray: ...
    @property
    def place(self) -> np.ndarray | None:
        """(N, 2) where the thing was thought to be for this command, see `ObjectWorld.step`; None: who knows."""
        ...


class Saying(Protocol):
    """A generator, or its file."""

    @property
    def sight(self) -> Sight: ...
    @property
    def halts(self) -> bool: ...
    @property
    def steps_to_rest(self) -> float: ...
    @property
    def lift(self) -> LiftPath | None: ...
    @property
    def terms(self) -> tuple[ObservationTerm, ...] | None: ...
    def look(self, seen: np.ndarray, depth: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]: ...


class LearntCommander:
    """A generator as a commander."""

    def __init__(self, world: ObjectWorld, generator: Saying, noise: DepthNoiseConfig | None = None) -> None:
        self.generator = generator
        self.eyes = GeneratorEyes(world, generator.sight, noise, terms=generator.terms)

    def reset(self, envs: np.ndarray) -> None:
        self.eyes.reset(envs)

    def command(self) -> np.ndarray:
        command, thought = self.generator.look(*self.eyes.look())
        self.remember(thought)
        return command

    @property
    def place(self) -> np.ndarray | None:
        thought = self.eyes.memory
        return thought[:, :PLACE_SIZE] if thought.shape[1] >= PLACE_SIZE else None

    def remember(self, thought: np.ndarray) -> None:
        """Where the thing is thought to be (N, M), for the next period."""
        if thought.shape[1]:
            self.eyes.memory = thought


def golden_inputs(
    task: ObjectTask, tracker: Tracker, table: GaitTable, generator: Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What tracker and generator see after a second of work: tracker's observation, depth, generator's observation."""
    world = ObjectWorld(task, tracker, table, WorldConfig(worlds=1, run_share=1.0, run_after_s=(0.1, 0.1)), 0)
    eyes = GeneratorEyes(world, "depth", terms=SEEING_TERMS if generator.sight == "depth" else OWN_TERMS)
    picture = np.zeros((1, eyes.spec.height, eyes.spec.width), np.float32)
    seen = np.zeros((1, INPUTS[generator.sight]), np.float32)
    for _ in range(50):
        world.tick()
        seen, found = eyes.look()
        picture = picture if found is None else found
        command, thought = generator.look(seen, picture if generator.sight == "depth" else None)
        eyes.memory = thought if thought.shape[1] else eyes.memory
        world.step(command)
    world.close()
    return world.seen[0], picture[0], seen[0]
