"""Standing up and running without an operator, for simulation."""

from __future__ import annotations

from vm_policy_node.controller import Controller
from vm_policy_node.safety import State

TASK_AFTER_S = 2.0
"""A visual policy stands still for this long before its task begins."""
SETTLED_S = 1.0
"""The start waits for this long without an obstacle: while all processes start, states come in fits."""


class Automation:
    """Requests `stand`, then `run`, then a visual policy's `task`, once each.

    Attributes:
        waits_for: what has kept it from standing up since the last good moment, or "".
    """

    def __init__(self, *, stand: bool, run: bool, task: bool = False) -> None:
        self._stand, self._run, self._task = stand, run, task
        self._clear_since_s: float | None = None
        self.waits_for = ""

    def update(self, controller: Controller, now_s: float) -> None:
        """Call after each control cycle."""
        if self._stand and controller.machine.state == State.IDLE:
            obstacle = controller.obstacle
            if obstacle is not None:
                self._clear_since_s, self.waits_for = None, obstacle
            elif self._clear_since_s is None:
                self._clear_since_s = now_s
            elif now_s - self._clear_since_s >= SETTLED_S:
                self._stand = not controller.request("stand", now_s).accepted
                self.waits_for = ""
        elif self._run and controller.at_start_pose(now_s):
            self._run = not controller.request("run", now_s).accepted
        elif self._task and controller.machine.state == State.RUNNING:
            waited = controller.machine.time_in_state_s(now_s) >= TASK_AFTER_S
            self._task = not (waited and controller.request("task", now_s).accepted)
