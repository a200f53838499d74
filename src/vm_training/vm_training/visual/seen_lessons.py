"""What a generator that sees was told, and how new eyes learn where the thing is before anything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from vm_core.keypoint_command import COMMAND_SIZE
from vm_training.visual.generator import INPUTS, MEMORY_SIZE, PLACE_SIZE, Generator, GeneratorEyes, Sight
from vm_training.visual.object_world import ObjectWorld
from vm_training.visual.tasks.base import marked

_GREYS = 255.0
_BATCH, _LEARNING_RATE, _IN_PICTURE = 96, 3e-3, 0.1
_WRONG_BEFORE_M = (0.03, 0.6)


def as_bytes(depth: np.ndarray) -> np.ndarray:
    """Pictures in -0.5..0.5 as bytes."""
    return np.round((depth + 0.5) * _GREYS).astype(np.uint8)


def as_depth(pictures: np.ndarray) -> torch.Tensor:
    """Undoes `as_bytes`."""
    return torch.from_numpy(pictures.astype(np.float32) / _GREYS - 0.5)


class SeenLessons:
    """Rings of what was seen, what was thought, and wanted commands."""

    def __init__(self, size: int, sight: Sight) -> None:
        self.seen = np.zeros((size, INPUTS[sight]), np.float16)
        self.thought = np.zeros((size, MEMORY_SIZE if sight == "depth" else 0), np.float32)
        self.command = np.zeros((size, COMMAND_SIZE), np.float32)
        self.count, self.written = 0, 0

    def add(self, seen: np.ndarray, thought: np.ndarray, command: np.ndarray) -> None:
        """Adds a batch; the oldest make room."""
        at = (self.written + np.arange(len(command))) % len(self.command)
        self.seen[at], self.thought[at], self.command[at] = seen, thought, command
        self.written += len(command)
        self.count = min(self.count + len(command), len(self.command))

    def at(self, where: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Observations, thoughts and commands as the network takes them."""
        seen = torch.from_numpy(self.seen[where].astype(np.float32))
        return seen, torch.from_numpy(self.thought[where]), torch.from_numpy(self.command[where])


class Glances(NamedTuple):
    """Pictures (n, h, w) as bytes, what else was seen (n, inputs), where the thing was: ahead and left (n, 2) [m], and
    its cell of the picture (n,)."""

    pictures: np.ndarray
    seen: np.ndarray
    places: np.ndarray
    cells: np.ndarray


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
        view, limits = world.view(), world.task.glances_m
        near = np.column_stack([rng.uniform(*limit, world.num_envs) for limit in limits])
        c, s = np.cos(view.heading), np.sin(view.heading)
        offset = np.column_stack([c * near[:, 0] - s * near[:, 1], s * near[:, 0] + c * near[:, 1]])
        before = world.place_things(view.root[:, :2] + offset)
        view = world.view()
        marks = marked(world.task, view)
        inside_m = view.half_size[:, 2] * (world.task.mark == "middle")
        pictures, cells = eyes.glance(marks, inside_m)
        places = view.ahead(marks).astype(np.float32)
        world.place_things(before)
        own, _ = eyes.look()
        found.append(Glances(as_bytes(pictures), own.astype(np.float16), places, cells))
    return Glances(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def misremembered(places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n, 2) [m] what might have been thought a moment before of things at places (n, 2): little or very wrong."""
    error = _WRONG_BEFORE_M[0] * (_WRONG_BEFORE_M[1] / _WRONG_BEFORE_M[0]) ** rng.random((len(places), 1))
    return (places + error * rng.normal(0.0, 1.0, places.shape)).astype(np.float32)


def learn_to_find(network: Generator, lessons: Glances, steps: int, rng: np.random.Generator) -> float:
    """Teaches a generator's eyes where the thing is; the last loss."""
    optimizer = torch.optim.Adam([*network.eyes.parameters(), *network.finds.parameters()], lr=_LEARNING_RATE)
    loss = 0.0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = _LEARNING_RATE * 0.03 ** (step / steps)
        loss = find(network, optimizer, lessons, rng.integers(0, len(lessons.places), _BATCH), rng)
    return loss


def find(
    network: Generator, optimizer: torch.optim.Optimizer, lessons: Glances, where: np.ndarray, rng: np.random.Generator
) -> float:
    """One gradient step of the eyes on lessons `where`; its loss."""
    seen = torch.from_numpy(lessons.seen[where].astype(np.float32))
    remembered = slice(-MEMORY_SIZE, PLACE_SIZE - MEMORY_SIZE)
    seen[:, remembered] = torch.from_numpy(misremembered(lessons.places[where], rng))
    details = network.eyes.details(as_depth(lessons.pictures[where]))
    places = torch.from_numpy(lessons.places[where])
    thought, found = network.think(network.eyes.summary(details), seen)
    loss_of = nn.SmoothL1Loss(beta=0.1)
    in_picture = nn.functional.cross_entropy(details[:, 0], torch.from_numpy(lessons.cells[where]))
    loss = loss_of(thought[:, :PLACE_SIZE], places) + 0.5 * loss_of(found, places) + _IN_PICTURE * in_picture
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.item()
