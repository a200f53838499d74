"""When the robot may move: a state machine with a latched damping state, and the checks that trip it.

Pure: the clock comes in with every call, nothing here knows ROS. IDLE sends nothing; STANDING moves to the start pose;
RUNNING follows the policy; DAMPING lets every joint sink against velocity gains until somebody releases it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from vm_core import frames, g1


class State(IntEnum):
    """States, with the values of vm_msgs/PolicyStatus."""

    IDLE = 0
    STANDING = 1
    RUNNING = 2
    DAMPING = 3


@dataclass(frozen=True)
class SafetyLimits:
    """What trips. Times in seconds, angles in radians.

    Attributes:
        state_timeout_s: oldest robot state that a command may be computed from.
        grid_timeout_s: oldest height grid, where the policy reads one.
        odometry_timeout_s: oldest odometry, where the policy reads a position or a linear velocity.
        max_tilt_rad: largest angle between the pelvis' z axis and up.
        joint_margin_rad: how far a measured position may lie beyond its range (contact and encoder play).
        velocity_factor: measured speed allowed as a multiple of the motor's no-load speed.
    """

    state_timeout_s: float = 0.1
    grid_timeout_s: float = 0.2
    odometry_timeout_s: float = 0.2
    max_tilt_rad: float = 1.0
    joint_margin_rad: float = 0.1
    velocity_factor: float = 1.2

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"{name} must be a positive number, got {value}")


@dataclass(frozen=True)
class Measurement:
    """What the checks look at. Arrays in motor order.

    Attributes:
        joint_pos: (29,) [rad]; None before the first state.
        joint_vel: (29,) [rad/s].
        quat_wxyz: (4,) pelvis orientation in the world.
        state_age_s, grid_age_s, odometry_age_s: seconds since the newest message; None if there was none.
        crc_ok: whether the newest state carried the right checksum.
    """

    joint_pos: np.ndarray | None
    joint_vel: np.ndarray | None
    quat_wxyz: np.ndarray | None
    state_age_s: float | None
    grid_age_s: float | None = None
    odometry_age_s: float | None = None
    crc_ok: bool = True


@dataclass(frozen=True)
class Needs:
    """Which inputs the loaded policy reads beside the robot state."""

    grid: bool = False
    odometry: bool = False


def tilt_rad(quat_wxyz: np.ndarray) -> float:
    """Angle [rad] between the body's z axis and the world's."""
    up = frames.quat_rotate_inverse(quat_wxyz, np.array([0.0, 0.0, 1.0]))
    return float(np.arccos(np.clip(up[2], -1.0, 1.0)))


def find_trip(measured: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    """The first reason not to move, in words, or None.

    Age comes first: everything else is worth nothing when it is old.
    """
    checks = (
        _trip_by_age(measured, limits, needs),
        None if measured.crc_ok else "crc: the newest robot state has a wrong checksum",
    )
    early = next((cause for cause in checks if cause), None)
    return early or _trip_by_values(measured, limits)


def _trip_by_age(measured: Measurement, limits: SafetyLimits, needs: Needs) -> str | None:
    wanted = [("state", measured.state_age_s, limits.state_timeout_s)]
    if needs.grid:
        wanted.append(("grid", measured.grid_age_s, limits.grid_timeout_s))
    if needs.odometry:
        wanted.append(("odometry", measured.odometry_age_s, limits.odometry_timeout_s))
    for name, age_s, limit_s in wanted:
        if age_s is None:
            return f"stale {name}: none received"
        if not age_s <= limit_s:  # also true for NaN
            return f"stale {name}: {age_s:.3f} s old, limit {limit_s:.3f} s"
    return None


def _trip_by_values(measured: Measurement, limits: SafetyLimits) -> str | None:
    position, velocity, quat = measured.joint_pos, measured.joint_vel, measured.quat_wxyz
    if position is None or velocity is None or quat is None:
        return "stale state: none received"
    for name, values in (("joint position", position), ("joint velocity", velocity), ("orientation", quat)):
        if not np.all(np.isfinite(values)):
            return f"nan: {name} {_where(~np.isfinite(values), name)} is not a number"
    if abs(float(np.linalg.norm(quat)) - 1.0) > 0.05:
        return f"orientation: quaternion of length {np.linalg.norm(quat):.3f}, expected 1"
    tilt = tilt_rad(quat)
    if tilt > limits.max_tilt_rad:
        return f"tilt: {tilt:.2f} rad, limit {limits.max_tilt_rad:.2f} rad"
    beyond = np.maximum(g1.JOINT_LOWER - position, position - g1.JOINT_UPPER)
    worst = int(np.argmax(beyond))
    if beyond[worst] > limits.joint_margin_rad:
        return f"joint limit: {g1.MOTOR_NAMES[worst]} at {position[worst]:.2f} rad"
    excess = np.abs(velocity) / (limits.velocity_factor * g1.VELOCITY_LIMIT)
    worst = int(np.argmax(excess))
    if excess[worst] > 1.0:
        return f"joint velocity: {g1.MOTOR_NAMES[worst]} at {velocity[worst]:.1f} rad/s"
    return None


def _where(bad: np.ndarray, name: str) -> str:
    index = int(np.argmax(bad))
    return g1.MOTOR_NAMES[index] if name.startswith("joint") else str(index)


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

    def release(self, now_s: float) -> Answer:
        """DAMPING → IDLE: the operator has looked at the cause."""
        if self.state == State.IDLE:
            return Answer(True, "already idle")
        if self.state != State.DAMPING:
            return Answer(False, f"cannot release from {self.state.name}; damp first")
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
