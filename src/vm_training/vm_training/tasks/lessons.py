"""DAgger: the student acts, the teacher says what it should have done, the student learns all that it was ever told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import nn

from vm_training.mdp.clip_tracking import ClipTracking
from vm_training.student import Student

Pair = tuple[np.ndarray, np.ndarray]


class Pupils(Protocol):
    """Robots with a teacher."""

    @property
    def env(self) -> ClipTracking:
        """The robots."""
        ...

    def observe(self) -> np.ndarray:
        """(N, inputs) what the student sees."""
        ...

    def wanted(self) -> np.ndarray:
        """(N, J) [rad] what the teacher would do."""
        ...

    def act(self, target: np.ndarray) -> None:
        """One control period of that or of something else."""
        ...

    def reset(self, envs: np.ndarray, frames: np.ndarray) -> None:
        """Puts robots (E,) near clip frames (E,)."""
        ...

    def fallen(self) -> np.ndarray:
        """(N,) bool: beyond what the teacher can judge."""
        ...


class Schooling(Protocol):
    """What disturbs robots while they are taught, and when they start anew."""

    @property
    def exploration_rad(self) -> float: ...
    @property
    def push_m_s(self) -> float: ...
    @property
    def longest_rollout(self) -> int: ...


@dataclass(frozen=True)
class Rollout:
    """How robots are let go.

    Attributes:
        steps: control periods.
        last_frame: of the clip, beyond which a robot starts anew.
        starts: clip frames (E,) for E robots that do.
        drive: what is done, from what is seen and what the teacher wants.
        tell: takes what was seen and wanted.
        judged: by a teacher; without one nothing, (N, 0), is wanted.
    """

    steps: int
    last_frame: float
    starts: Callable[[int], np.ndarray]
    drive: Callable[[np.ndarray, np.ndarray], np.ndarray]
    tell: Callable[[np.ndarray, np.ndarray], None]
    judged: bool = True


def rollout(pupils: Pupils, age: np.ndarray, schooling: Schooling, how: Rollout) -> np.ndarray:
    """Robots act, disturbed, and every state is judged by the teacher; how often each fell (N,).

    Args:
        pupils: robots, which go on from where they are.
        age: (N,) steps since each robot's start; counted on.
        schooling: noise on targets, pushes (one every two seconds), the longest age.
        how: the rest.
    """
    env, falls = pupils.env, np.zeros(len(age), dtype=int)
    for _ in range(how.steps):
        seen = pupils.observe()
        wanted = pupils.wanted() if how.judged else np.empty((len(age), 0))
        how.tell(seen, wanted)
        target = how.drive(seen, wanted)
        pupils.act(target + env.rng.normal(0.0, schooling.exploration_rad, target.shape))
        pushed = np.flatnonzero(env.rng.random(len(age)) < 0.5 / env.clip.fps)
        env.push(pushed, schooling.push_m_s * env.rng.normal(0.0, (1.0, 1.0, 0.3), (len(pushed), 3)))
        age += 1
        fallen = pupils.fallen()
        over = np.flatnonzero(fallen | (age > schooling.longest_rollout) | (env.frame > how.last_frame))
        pupils.reset(over, how.starts(len(over)))
        age[over] = 0
        falls += fallen
    return falls


@dataclass
class Lessons:
    """Rings of observations (n, inputs) and wanted raw actions (n, outputs).

    Attributes:
        count: lessons that are there.
        written: lessons that were ever told.
    """

    observation: np.ndarray
    action: np.ndarray
    count: int = 0
    written: int = 0

    @staticmethod
    def room_for(size: int, inputs: int, outputs: int, precision: type = np.float16) -> Lessons:
        """Empty rings; `precision` is that of observations."""
        return Lessons(np.zeros((size, inputs), precision), np.zeros((size, outputs), np.float32))

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
    recent = lessons.newest(newest)

    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for _ in range(steps):
            old = rng.integers(0, lessons.count, batch - batch // 3)
            observation, action = change(*lessons.at(np.concatenate([rng.choice(recent, batch // 3), old])))
            yield torch.from_numpy(observation), torch.from_numpy(action)

    losses = descend(student, optimizer, batches(), 0.2, after_step)
    return float(np.mean(losses[-(len(losses) // 3 + 1) :]))


def descend(
    student: Student,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[tuple[torch.Tensor, torch.Tensor]],
    beta: float,
    after_step: Callable[[], None] = lambda: None,
) -> list[float]:
    """A gradient step for each batch of observations and raw actions; their losses (Huber, linear beyond `beta`)."""
    loss_of, losses = nn.SmoothL1Loss(beta=beta), []
    for observation, action in batches:
        loss = loss_of(student(observation), action)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        after_step()
        losses.append(loss.item())
    return losses
