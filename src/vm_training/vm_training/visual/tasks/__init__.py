"""What is done to things: one small file a task, over `base.ObjectTask`."""

from __future__ import annotations

from vm_core.errors import VmError
from vm_training.visual.tasks.balance_ball import BALANCE_BALL
from vm_training.visual.tasks.base import ObjectTask
from vm_training.visual.tasks.kick_ball import KICK_BALL
from vm_training.visual.tasks.kick_box import KICK_BOX
from vm_training.visual.tasks.large_kick import LARGE_KICK
from vm_training.visual.tasks.lift_box import LIFT_BOX
from vm_training.visual.tasks.push_box import PUSH_BOX
from vm_training.visual.tasks.push_cube import PUSH_CUBE
from vm_training.visual.tasks.reach_box import REACH_BOX

_ALL = (PUSH_BOX, KICK_BALL, KICK_BOX, REACH_BOX, LIFT_BOX, LARGE_KICK, BALANCE_BALL, PUSH_CUBE)
OBJECT_TASKS: dict[str, ObjectTask] = {task.name: task for task in _ALL}
"""By name."""


def find_object_task(name: str) -> ObjectTask:
    """A task by its name.

    Raises:
        VmError: there is none of this name.
    """
    if name not in OBJECT_TASKS:
        raise VmError(f"object task {name!r}; there are {', '.join(OBJECT_TASKS)}")
    return OBJECT_TASKS[name]
