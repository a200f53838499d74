"""The four states and what leads from one to another.

IDLE sends nothing; STANDING moves to the start pose; RUNNING follows the policy; DAMPING lets every joint sink against
velocity gains until somebody releases it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum


class State(IntEnum):
    """States, with the values of vm_msgs/PolicyStatus."""

    IDLE = 0
    STANDING = 1
    RUNNING = 2
    DAMPING = 3


@dataclass(frozen=True)
class Answer:
    """What became of a request: whether it was taken, and a sentence for the operator."""

    accepted: bool
    message: str


class StateMachine:
    """IDLE → STANDING → RUNNING → DAMPING → IDLE. Damping is reachable from anywhere and left only by `release`."""

    def __init__(self) -> None:
        self.state = State.IDLE
        self.cause = ""
        self.entered_at_s = -math.inf

    def stand(self, now_s: float, trip: str | None) -> Answer:
        """IDLE → STANDING, unless something trips. Not from RUNNING: a pose in mid-step is a fall."""
        if self.state == State.DAMPING:
            return Answer(False, f"damping is latched ({self.cause}); release first")
        if self.state == State.RUNNING:
            return Answer(False, "cannot stand from RUNNING; damp first")
        if trip:
            return Answer(False, f"refused to stand, {trip}")
        if self.state != State.STANDING:
            self._enter(State.STANDING, "", now_s)
        return Answer(True, "standing up")

    def run(self, now_s: float, trip: str | None, at_start_pose: bool) -> Answer:
        """STANDING → RUNNING, once the start pose is reached and nothing trips."""
        if self.state == State.RUNNING:
            return Answer(True, "already running")
        if self.state != State.STANDING:
            return Answer(False, f"cannot run from {self.state.name}; stand first")
        if not at_start_pose:
            return Answer(False, "cannot run yet, still moving to the start pose")
        if trip:
            return Answer(False, f"refused to run, {trip}")
        self._enter(State.RUNNING, "", now_s)
        return Answer(True, "running")

    def damp(self, now_s: float, cause: str) -> Answer:
        """Any state → DAMPING. The first cause stays."""
        if self.state != State.DAMPING:
            self._enter(State.DAMPING, cause, now_s)
        return Answer(True, f"damping ({self.cause})")

    def release(self, now_s: float, estop: str = "") -> Answer:
        """DAMPING → IDLE: the operator has looked at the cause. Not while an emergency stop is engaged."""
        if self.state == State.IDLE:
            return Answer(True, "already idle")
        if self.state != State.DAMPING:
            return Answer(False, f"cannot release from {self.state.name}; damp first")
        if estop:
            return Answer(False, f"cannot release, the e-stop is engaged ({estop})")
        self._enter(State.IDLE, "", now_s)
        return Answer(True, "idle")

    def watch(self, now_s: float, trip: str | None) -> None:
        """Call every period: a trip while the robot moves is damping."""
        if trip and self.state in (State.STANDING, State.RUNNING):
            self._enter(State.DAMPING, trip, now_s)

    def time_in_state_s(self, now_s: float) -> float:
        """Seconds since the state was entered."""
        return now_s - self.entered_at_s

    def _enter(self, state: State, cause: str, now_s: float) -> None:
        self.state, self.cause, self.entered_at_s = state, cause, now_s
