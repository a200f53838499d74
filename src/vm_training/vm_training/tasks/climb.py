"""A scene's steps climbed: the plan of a tracker."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset
from vm_training.motions.clip import reference_clip
from vm_training.motions.feasibility import Feasibility
from vm_training.motions.footsteps import Gait
from vm_training.motions.reference import plan_reference
from vm_training.motions.route import climb_route
from vm_training.tasks.climb_checks import Check
from vm_training.tasks.tracker import Course, TrackerConfig, train_tracker
from vm_training.tasks.work_folder import WorkFolder


@dataclass(frozen=True)
class ClimbConfig(TrackerConfig):
    """Everything that decides the result; beside what a tracker has:

    Attributes:
        gait: of the reference.
        approach_m: how far before the lowest step the robot starts.
    """

    gait: Gait = field(default_factory=Gait)
    approach_m: float = 0.5


def train_climb(scene: SceneAsset, config: ClimbConfig, folder: WorkFolder, out: Path, name: str) -> list[Check]:
    """A policy that climbs the steps and stands on top; returns its checks.

    Raises:
        VmError: steps that the planner or the teacher cannot manage.
    """
    return train_tracker(Course(lambda: climb_clip(scene, config), scene), config, folder, out, name)


def climb_clip(scene: SceneAsset, config: ClimbConfig) -> MotionClip:
    """The planned climb.

    Raises:
        VmError: it cannot be.
    """
    reference = plan_reference(scene, climb_route(scene, config.approach_m), config.gait)
    found = Feasibility.of(reference)
    print(
        f"reference: {len(reference.motion.qpos)} frames, feet {1e3 * found.foot_error_m:.1f} mm, "
        f"zero moment point {1e3 * found.zmp_error_m:.1f} mm"
    )
    if found.problems:
        raise VmError(f"no feasible climb of these steps with this gait: {found.problems}")
    return reference_clip(reference, "planned climb")
