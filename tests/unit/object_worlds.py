"""Object worlds for tests of visual policies: a tracker that stands, a task, few robots."""

from __future__ import annotations

import torch

from vm_core.keypoint_command import COMMAND_SIZE, CommandStatistics
from vm_training.mdp.clip_tracking import NUM_JOINTS
from vm_training.mdp.randomization import DomainRanges
from vm_training.student import Student
from vm_training.visual.gait_table import gait_table
from vm_training.visual.generator import Generator
from vm_training.visual.object_world import ObjectWorld, Tracker, WorldConfig
from vm_training.visual.tasks import OBJECT_TASKS
from vm_training.visual.tracker import OBSERVATION_SIZE

TASK = OBJECT_TASKS["push_box"]
STATISTICS = CommandStatistics((0.0,) * COMMAND_SIZE, (0.05,) * COMMAND_SIZE)
STILL = WorldConfig(worlds=3, ranges=DomainRanges.none(), run_share=1.0, run_after_s=(0.0, 0.0))


def stand_still() -> Tracker:
    """A tracker that holds the default pose: good for a second."""
    return Tracker(Student(OBSERVATION_SIZE, NUM_JOINTS, (8,)), STATISTICS)


def stirred(generator: Generator) -> None:
    """Makes its last layer say something."""
    last = generator.mlp[-1]
    assert isinstance(last, torch.nn.Linear)
    torch.nn.init.normal_(last.weight, std=0.1)


def world(config: WorldConfig = STILL, seed: int = 0) -> ObjectWorld:
    """Robots before boxes."""
    return ObjectWorld(TASK, stand_still(), gait_table(), config, seed)
