"""What a generator that sees was told, and how new eyes learn where the thing is before anything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from vm_core.depth_image import DepthSpec
from vm_core.keypoint_command import COMMAND_SIZE
from vm_training.visual.generator import INPUTS, MEMORY_SIZE, Generator, GeneratorEyes, Sight
from vm_training.visual.object_world import ObjectWorld

_GREYS = 255.0
_BATCH, _LEARNING_RATE = 128, 3e-3
_WRONG_BEFORE_M = 0.5


def as_bytes(depth: np.ndarray) -> np.ndarray:
    """Pictures in -0.5..0.5 as bytes."""
    return np.round((depth + 0.5) * _GREYS).astype(np.uint8)


def as_depth(pictures: np.ndarray) -> torch.Tensor:
    """Undoes `as_bytes`."""
    return torch.from_numpy(pictures.astype(np.float32) / _GREYS - 0.5)


class SeenLessons:
    """Rings of what was seen, pictures as bytes, where the thing was, and wanted commands."""

    def __init__(self, size: int, sight: Sight) -> None:
        spec = DepthSpec()
        self.seen = np.zeros((size, INPUTS[sight]), np.float16)
        self.thing = np.zeros((size, MEMORY_SIZE), np.float32)
        self.depth = np.zeros((size if sight == "depth" else 0, spec.height, spec.width), np.uint8)
        self.command = np.zeros((size, COMMAND_SIZE), np.float32)
        self.count, self.written = 0, 0

    def add(self, seen: np.ndarray, depth: np.ndarray | None, thing: np.ndarray, command: np.ndarray) -> None:
        """Adds a batch; the oldest make room."""
        at = (self.written + np.arange(len(command))) % len(self.command)
        self.seen[at], self.thing[at], self.command[at] = seen, thing, command
        if depth is not None:
            self.depth[at] = as_bytes(depth)
        self.written += len(command)
        self.count = min(self.count + len(command), len(self.command))

    def at(self, where: np.ndarray) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Pictures, observations, places of the thing and commands as the network takes them."""
        depth = as_depth(self.depth[where]) if len(self.depth) else None
        seen = torch.from_numpy(self.seen[where].astype(np.float32))
        return depth, seen, torch.from_numpy(self.thing[where]), torch.from_numpy(self.command[where])


class Glances(NamedTuple):
    """Pictures (n, h, w) as bytes, what else was seen (n, inputs), where the thing was (n, 2) [m], ahead and left."""

    pictures: np.ndarray
    seen: np.ndarray
    places: np.ndarray


def glance_around(
    world: ObjectWorld, eyes: GeneratorEyes, go_on: Callable[[], None], rounds: int, rng: np.random.Generator
) -> Glances:
    """Pictures of the thing at places drawn at random, from robots that are at work.

    Args:
        world: the robots; each thing is put back where it was.
        eyes: of the robots.
        go_on: lets the robots work for a control period.
        rounds: pictures of each robot.
        rng: source of places.
    """
    found: list[Glances] = []
    for _ in range(rounds):
        go_on()
        view = world.view()
        near = np.column_stack([rng.uniform(0.1, 1.6, world.num_envs), rng.uniform(-1.0, 1.0, world.num_envs)])
        c, s = np.cos(view.heading), np.sin(view.heading)
        offset = np.column_stack([c * near[:, 0] - s * near[:, 1], s * near[:, 0] + c * near[:, 1]])
        before = world.place_things(view.root[:, :2] + offset)
        own, _ = eyes.look()
        pictures = as_bytes(eyes.glance())
        world.place_things(before)
        own[:, -MEMORY_SIZE:] = near + rng.normal(0.0, _WRONG_BEFORE_M, near.shape)  # what it thought is often wrong
        found.append(Glances(pictures, own.astype(np.float16), near.astype(np.float32)))
    return Glances(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def learn_to_find(network: Generator, lessons: Glances, steps: int, rng: np.random.Generator) -> float:
    """Teaches a generator's eyes where the thing is; the last loss [m², smooth]."""
    network.eyes.normalize(as_depth(lessons.pictures[::8]).numpy())
    loss_of, loss = nn.SmoothL1Loss(beta=0.1), torch.zeros(())
    optimizer = torch.optim.Adam([*network.eyes.parameters(), *network.finds.parameters()], lr=_LEARNING_RATE)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = _LEARNING_RATE * 0.05 ** (step / steps)
        where = rng.integers(0, len(lessons.places), _BATCH)
        seen = torch.from_numpy(lessons.seen[where].astype(np.float32))
        _, thought = network(as_depth(lessons.pictures[where]), seen)
        loss = loss_of(thought, torch.from_numpy(lessons.places[where]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return loss.item()
