"""What is done to things: one small file a task, over `base.ObjectTask`."""

from __future__ import annotations

from vm_core.errors import VmError
from vm_training.visual.tasks.base import ObjectTask
from vm_training.visual.tasks.kick_ball import KICK_BALL
from vm_training.visual.tasks.kick_box import KICK_BOX
from vm_training.visual.tasks.push_box import PUSH_BOX
from vm_training.visual.tasks.reach_box import REACH_BOX

OBJECT_TASKS: dict[str, ObjectTask] = {task.name: task for task in (PUSH_BOX, KICK_BALL, KICK_BOX, REACH_BOX)}
"""By name."""


def find_object_task(name: str) -> ObjectTask:
    """A task by its name.

    Raises:
        VmError: there is none of this name.
    """
    if name not in OBJECT_TASKS:
        raise VmError(f"object task {name!r}; there are {', '.join(OBJECT_TASKS)}")
    return OBJECT_TASKS[name]
