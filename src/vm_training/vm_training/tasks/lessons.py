"""What a student was told, and how it learns it: for every DAgger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from vm_training.student import Student

Pair = tuple[np.ndarray, np.ndarray]


@dataclass
class Lessons:
    """Rings of observations (n, inputs), kept in half precision, and wanted raw actions (n, outputs).

    Attributes:
        count: lessons that are there.
        written: lessons that were ever told.
    """

    observation: np.ndarray
    action: np.ndarray
    count: int = 0
    written: int = 0

    @staticmethod
    def room_for(size: int, inputs: int, outputs: int) -> Lessons:
        return Lessons(np.zeros((size, inputs), np.float16), np.zeros((size, outputs), np.float32))

    def add(self, observation: np.ndarray, action: np.ndarray) -> None:
        """Adds a batch; the oldest make room."""
        at = (self.written + np.arange(len(action))) % len(self.action)
        self.observation[at], self.action[at] = observation, action
        self.written += len(action)
        self.count = min(self.count + len(action), len(self.action))

    def newest(self, count: int) -> np.ndarray:
        """Where the newest lessons lie."""
        return (self.written - 1 - np.arange(min(count, self.count))) % len(self.action)

    def at(self, where: np.ndarray) -> Pair:
        """Observations and actions as the network takes them."""
        return self.observation[where].astype(np.float32), self.action[where].copy()


def learn(
    student: Student,
    optimizer: torch.optim.Optimizer,
    lessons: Lessons,
    newest: int,
    steps: int,
    batch: int,
    rng: np.random.Generator,
    change: Callable[[np.ndarray, np.ndarray], Pair] = lambda observation, action: (observation, action),
    after_step: Callable[[], None] = lambda: None,
) -> float:
    """Gradient steps on batches, a third of them the newest lessons; mean loss (Huber, raw action units) of the last.

    Args:
        student: that learns.
        optimizer: of its weights.
        lessons: to learn.
        newest: how many are new.
        steps: gradient steps.
        batch: lessons in each.
        rng: source of batches.
        change: what is done to a batch first, to say the same in another way.
        after_step: called after each gradient step.
    """
    loss_of, recent, losses = nn.SmoothL1Loss(beta=0.2), lessons.newest(newest), []
    for _ in range(steps):
        where = np.concatenate([rng.choice(recent, batch // 3), rng.integers(0, lessons.count, batch - batch // 3)])
        observation, action = change(*lessons.at(where))
        loss = loss_of(student(torch.from_numpy(observation)), torch.from_numpy(action))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        after_step()
        losses.append(loss.item())
    return float(np.mean(losses[-(len(losses) // 3 + 1) :]))
