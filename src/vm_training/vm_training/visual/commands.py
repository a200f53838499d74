"""What `vm-train` offers for seeing and moving things, by name."""

from __future__ import annotations

from vm_training.visual.generator_commands import (
    ExportVisual,
    GeneratorTeacher,
    ImitateGenerator,
    PlanGaitTable,
    PlanLiftPath,
)
from vm_training.visual.tracker_commands import KeypointTeacher, KeypointTracker

TASKS = {
    "keypoint_tracker": KeypointTracker,
    "gait_table": PlanGaitTable,
    "lift_path": PlanLiftPath,
    "keypoint_teacher": KeypointTeacher,
    "imitate_generator": ImitateGenerator,
    "generator_teacher": GeneratorTeacher,
    "export_visual": ExportVisual,
}
"""By the names of `vm-train`."""
