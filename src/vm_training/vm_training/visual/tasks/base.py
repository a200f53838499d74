"""What all object tasks share: what the world looks like to a script, reward terms and their weights, success."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Literal

import numpy as np

from vm_core.errors import VmError
from vm_sim.objects import ObjectScene

DECIMETRE = 0.1
LANE_M = 2.0
"""Ahead of the object, on the line that it began on: where it is to go next."""
HARD_TURN_RAD = 0.45
"""Of a step, asked of a table that ends at 0.13, by which robots turned by 0.05 rad/s; so they do by 0.3 rad/s."""


@dataclass(frozen=True)
class ObjectView:
    """N worlds at a moment, in the task frame: x is where the object is to go.

    Attributes:
        root: (N, 3) pelvis [m].  heading: (N,) of the pelvis [rad].
        thing: (N, 3) the object's centre [m].  thing_yaw: (N,) [rad].  thing_vel: (N, 3) [m/s].
        start: (N, 3) where the object was when the episode began [m].
        half_size: (N, 3) of the object [m].  weight_n: (N,) friction times weight.
        hands: (N, 2, 3) palms [m].  feet: (N, 2, 3) middles of the soles [m], left first.
    """

    root: np.ndarray
    heading: np.ndarray
    thing: np.ndarray
    thing_yaw: np.ndarray
    thing_vel: np.ndarray
    start: np.ndarray
    half_size: np.ndarray
    weight_n: np.ndarray
    hands: np.ndarray
    feet: np.ndarray

    def ahead(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) of points (N, 2 or 3) from the pelvis, ahead and to the left [m]."""
        offset = points[:, :2] - self.root[:, :2]
        c, s = np.cos(self.heading), np.sin(self.heading)
        return np.stack([c * offset[:, 0] + s * offset[:, 1], -s * offset[:, 0] + c * offset[:, 1]], axis=1)

    def as_thought(self, thought: np.ndarray) -> ObjectView:
        """The same of who takes the object's centre to be ahead and to the left of the pelvis, and this to the left of
        the x axis, by (N, 3) [m]; for scripts that ask for nothing else of places."""
        c, s = np.cos(self.heading), np.sin(self.heading)
        ahead, left, lane = thought.T
        root = np.column_stack([self.root[:, 0], lane, self.root[:, 2]])
        offset = np.column_stack([c * ahead - s * left, s * ahead + c * left, self.thing[:, 2] - root[:, 2]])
        return replace(self, root=root, thing=root + offset)

    @property
    def gap(self) -> np.ndarray:
        """(N,) from the pelvis to the object's nearer face, along the way to its centre [m]."""
        offset = self.thing[:, :2] - self.root[:, :2]
        way = np.arctan2(offset[:, 1], offset[:, 0]) - self.thing_yaw
        reach = self.half_size[:, :2] / np.maximum(np.abs(np.stack([np.cos(way), np.sin(way)], axis=1)), 1e-3)
        return np.linalg.norm(offset, axis=1) - reach.min(axis=1)

    @property
    def bearing(self) -> np.ndarray:
        """(N,) of the object, from where the robot faces to the left [rad]."""
        ahead = self.ahead(self.thing)
        return np.arctan2(ahead[:, 1], ahead[:, 0])

    @property
    def middle(self) -> np.ndarray:
        """(N, 3) of the object [m]."""
        return self.thing

    @property
    def near_face(self) -> np.ndarray:
        """(N, 3) where the way to the object's centre meets it, at 0.8 of its height [m]."""
        way = self.heading + self.bearing
        there = self.root[:, :2] + self.gap[:, None] * np.stack([np.cos(way), np.sin(way)], axis=1)
        return np.column_stack([there, self.thing[:, 2] + 0.6 * self.half_size[:, 2]])

    @property
    def foot_gap(self) -> np.ndarray:
        """(N,) from the object's top to the nearer sole [m]."""
        top = self.thing + self.half_size * np.array([0.0, 0.0, 1.0])
        return np.linalg.norm(self.feet - top[:, None], axis=2).min(axis=1)


@dataclass(frozen=True)
class Stick:
    """What a script asks of the legs and arms; see `gait_table.GaitTable.look_up`.

    Attributes:
        stride: (N,) of a step [m].  turn: (N,) of a step, to the left [rad]; robots come round by a third of what is
            asked, see `HARD_TURN_RAD`.  style: (N,) of the arms.
        reach: (N,) the palms are led no farther ahead of the pelvis [m]; None: as the style has them.
    """

    stride: np.ndarray
    turn: np.ndarray
    style: np.ndarray
    reach: np.ndarray | None = None


@dataclass(frozen=True)
class RewardWeights:
    """Weights of the terms, a second; forms as in VisualMimic's paper, weights ours.

    Attributes:
        approach: exp(-0.1 d), d from contact points to the object [dm]; of two points the harmonic mean.
        foot: exp(-0.5 d), d from the nearer sole to the object's top [dm].
        height: exp(-0.5 d), d from the object's height to the task's [dm].
        goal: exp(-0.5 d), d from the object to the task's goal, horizontally [dm].
        forward: tanh(10 positive part of (object's x - its best so far)) [m]: new ground only.
        speed: tanh(positive part of the object's speed along x) [m/s].
        drift: -tanh(10 new record of the object's |y|) [m].
        look_at: -(angle between heading and the way to the object) / 2.
        still: exp(-(joint speeds, rms / 0.5)²) while the run bit is 0.
        alive: 1.
        smooth: -(change of the command, rms [dm])².
        fall: once.
    """

    approach: float = 0.5
    foot: float = 0.0
    height: float = 0.0
    goal: float = 0.0
    forward: float = 50.0
    speed: float = 0.0
    drift: float = 25.0
    look_at: float = 0.3
    still: float = 1.0
    alive: float = 0.5
    smooth: float = 0.2
    fall: float = -5.0

    def __post_init__(self) -> None:
        weights = [getattr(self, item.name) for item in fields(self) if item.name != "fall"]
        if self.fall > 0.0 or min(weights) < 0.0:
            raise VmError(f"{self}: expected weights from 0, and a fall that costs")


@dataclass(frozen=True)
class ObjectTask:
    """A task.

    Attributes:
        name: of the task.  text: what is to be done.
        scene: the object and how it varies.
        script: what a walker that knows everything would do; None: no walk does it, only learning can.
        success_text, success: in words, and from figures of a rollout, each (N,); see `measures.Measures`.
        mark: of the object, what eyes are to find: its middle, or the face that is near.
        glances_m: least and largest places ahead and to the left at which new eyes are shown the object's centre [m].
        goal_m: (2,) where the object is to come to, from where it was, along x and to the left [m].
        height_m: at which its centre is to be [m].
        two_handed: contact points are the palms; else the pelvis.
        lifts: whether, once it is within reach, `vm_core.lifting` takes it up.
        weights: of the rewards.
    """

    name: str
    text: str
    scene: ObjectScene
    script: Callable[[ObjectView], Stick] | None
    success_text: str
    success: Callable[[dict[str, np.ndarray]], np.ndarray]
    mark: Literal["middle", "near_face"] = "middle"
    glances_m: tuple[tuple[float, float], tuple[float, float]] = ((-0.6, 1.7), (-1.2, 1.2))
    goal_m: tuple[float, float] = (0.0, 0.0)
    height_m: float = 0.0
    two_handed: bool = False
    lifts: bool = False
    weights: RewardWeights = field(default_factory=RewardWeights)


def marked(task: ObjectTask, view: ObjectView) -> np.ndarray:
    """(N, 3) what eyes are to find of the objects [m]."""
    return view.middle if task.mark == "middle" else view.near_face


def goal_distance(task: ObjectTask, view: ObjectView) -> np.ndarray:
    """(N,) from the object to the task's goal, horizontally [m]."""
    return np.linalg.norm((view.thing - view.start)[:, :2] - np.array(task.goal_m), axis=1)


def towards(angle: np.ndarray, gain: float, most: float = 0.13) -> np.ndarray:
    """(N,) turn of a step [rad] that takes away a share of an angle."""
    return np.clip(gain * np.angle(np.exp(1j * angle)), -most, most)
