"""What somebody in a video does on a seat, done by the robot: the plan of a tracker."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset
from vm_training.motions.sit_clip import sit_clip
from vm_training.motions.sitting import SitStyle
from vm_training.tasks.climb_checks import Check
from vm_training.tasks.tracker import Course, TrackerConfig, train_tracker
from vm_training.tasks.work_folder import WorkFolder
from vm_training.teachers.sampled_lqr import LqrConfig

LOST_M = 0.2
"""From the clip: a robot that stays on its seat, or never comes to it, is lost."""


@dataclass(frozen=True)
class SitConfig(TrackerConfig):
    """Everything that decides the result; beside what a tracker has:

    Attributes:
        style: how the robot sits down and gets up.
        teacher: sampled LQR; it holds after two rounds.
    """

    teacher: LqrConfig = field(default_factory=lambda: LqrConfig(rounds=3))
    style: SitStyle = field(default_factory=SitStyle)


def train_sit(
    scene: SceneAsset, seen: MotionClip, config: SitConfig, folder: WorkFolder, out: Path, name: str
) -> list[Check]:
    """A policy that sits down on the seat of a clip's person, gets up and stands; returns its checks.

    Raises:
        VmError: nobody sits there, or a seat that the planner or the teacher cannot manage.
    """
    course = Course(lambda: sit_clip(scene, seen, config.style), scene, "seat", LOST_M)
    return train_tracker(course, config, folder, out, name)
