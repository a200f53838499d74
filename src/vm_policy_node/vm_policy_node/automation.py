"""Standing up and running without an operator, for simulation."""

from __future__ import annotations

from vm_policy_node.controller import Controller
from vm_policy_node.safety import State

SETTLED_S = 1.0
"""The start waits for this long without an obstacle: while all processes start, states come in fits."""


class Automation:
    """Requests `stand`, then `run`, once each.

    Attributes:
        waits_for: what has kept it from standing up since the last good moment, or "".
    """

    def __init__(self, *, stand: bool, run: bool) -> None:
        self._stand, self._run = stand, run
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
