"""Faults that show only over time: a clock that lags, sensors that repeat themselves, jumps, bad checksums."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from vm_core import g1
from vm_policy_node.inputs import RobotState
from vm_policy_node.safety.limits import SafetyLimits
from vm_policy_node.safety.measurement import Measurement, Needs

WINDOW_S = 1.0
FEWEST = 10
"""Shares over a window count from this many messages or cycles on."""
LARGEST_SPEED = 5.0
"""No odometry of a G1 moves faster [m/s]."""
MOVED_RAD, TURNED_RAD_S = 0.02, 0.05
"""Changes that no sensor at rest shows: of a joint, and of the angular velocity."""


class ClockLag:
    """The robot's clock against ours: states that come later and later are old although they keep coming."""

    def __init__(self) -> None:
        self._least: deque[tuple[float, float]] = deque()  # offsets that no later one undercuts: the first is the least

    def find(self, m: Measurement, limits: SafetyLimits, needs: Needs, now_s: float) -> str | None:
        if m.state is None or m.state_age_s is None:
            return None
        offset = now_s - m.state_age_s - 0.001 * m.state.tick
        while self._least and self._least[-1][1] >= offset:
            self._least.pop()
        self._least.append((now_s, offset))
        while self._least[0][0] < now_s - WINDOW_S:
            self._least.popleft()
        least = self._least[0][1]
        if offset - least <= limits.state_lag_s:
            return None
        return f"delayed state: the robot's clock fell {offset - least:.2f} s behind within a second"


class Restart:
    """The robot's clock has begun anew, or its type has changed, since the last cycle."""

    def __init__(self) -> None:
        self._last: RobotState | None = None

    def find(self, m: Measurement, limits: SafetyLimits, needs: Needs, now_s: float) -> str | None:
        last, self._last = self._last, m.state
        if last is None or m.state is None or m.state.tick >= last.tick:
            return None
        return f"restart: the robot's clock went from {last.tick} to {m.state.tick} ms"


class Share:
    """How many of those of the last second were bad, counted as they come and go.

    Attributes:
        bad, total: within the window.
    """

    def __init__(self) -> None:
        self.bad = self.total = 0
        self._seen: deque[tuple[float, int, int]] = deque()

    def add(self, bad: int, total: int, now_s: float) -> None:
        """So many more."""
        self._seen.append((now_s, bad, total))
        self.bad, self.total = self.bad + bad, self.total + total
        while self._seen[0][0] < now_s - WINDOW_S:
            _, bad, total = self._seen.popleft()
            self.bad, self.total = self.bad - bad, self.total - total


class BadChecksums:
    """Share of messages with a wrong checksum or form within the last second."""

    def __init__(self) -> None:
        self._share = Share()

    def find(self, m: Measurement, limits: SafetyLimits, needs: Needs, now_s: float) -> str | None:
        self._share.add(m.bad_states, m.bad_states + m.good_states, now_s)
        bad, total = self._share.bad, self._share.total
        if total < FEWEST or bad <= limits.crc_share * total:
            return None
        return f"crc: {bad} of the last {total} robot states have a wrong checksum or form"


class LateCycles:
    """Share of control cycles within the last second that took more than one and a half periods."""

    def __init__(self) -> None:
        self._share = Share()

    def find(self, m: Measurement, limits: SafetyLimits, needs: Needs, now_s: float) -> str | None:
        self._share.add(int(m.period_s > 1.5 * m.nominal_period_s), 1, now_s)
        late, total = self._share.bad, self._share.total
        if total < FEWEST or late <= limits.late_share * total:
            return None
        return f"late cycles: {late} of the last {total} took over 1.5 periods"


class Frozen:
    """A sensor whose numbers stay the same to the last bit while another one sees motion."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[float, bytes, RobotState]] = {}

    def find(self, m: Measurement, limits: SafetyLimits, needs: Needs, now_s: float) -> str | None:
        state = m.state
        if state is None:
            return None
        numbers = {
            "imu": state.quat_wxyz.tobytes() + state.ang_vel_body.tobytes(),
            "encoders": state.joint_pos.tobytes() + state.joint_vel.tobytes(),
        }
        if needs.odometry and m.odometry is not None:
            numbers["odometry"] = m.odometry.pos.tobytes()
        for name, value in numbers.items():
            since = self._since.get(name)
            if since is None or since[1] != value:
                self._since[name] = (now_s, value, state)
            elif now_s - since[0] >= limits.frozen_s and _moved(name, since[2], state):
                return f"frozen {name}: the same numbers for {now_s - since[0]:.2f} s while the robot moves"
        return None


def _moved(frozen: str, then: RobotState, now: RobotState) -> bool:
    """Whether the sensors other than the frozen one have seen motion."""
    joints = float(np.abs(now.joint_pos - then.joint_pos).max()) > MOVED_RAD
    turns = float(np.abs(now.ang_vel_body - then.ang_vel_body).max()) > TURNED_RAD_S
    return {"imu": joints, "encoders": turns, "odometry": joints and turns}[frozen]


class Jumps:
    """A joint or the odometry is, from one cycle to the next, where it cannot have moved to."""

    def __init__(self) -> None:
        self._joints: tuple[float, np.ndarray] | None = None
        self._odometry: tuple[float, np.ndarray] | None = None

    def find(self, m: Measurement, limits: SafetyLimits, needs: Needs, now_s: float) -> str | None:
        return self._joint(m, limits, now_s) or self._position(m, limits, needs, now_s)

    def _joint(self, m: Measurement, limits: SafetyLimits, now_s: float) -> str | None:
        if m.state is None or not np.isfinite(m.state.joint_pos).all():
            return None
        last, self._joints = self._joints, (0.001 * m.state.tick, m.state.joint_pos)
        if last is None:
            return None
        passed_s = min(max(self._joints[0] - last[0], 0.0), WINDOW_S)
        excess = np.abs(m.state.joint_pos - last[1]) - g1.VELOCITY_LIMIT * passed_s
        worst = int(np.argmax(excess))
        if excess[worst] <= limits.joint_jump_rad:
            return None
        step = float(m.state.joint_pos[worst] - last[1][worst])
        return f"joint jump: {g1.MOTOR_NAMES[worst]} by {step:.2f} rad in {passed_s:.3f} s"

    def _position(self, m: Measurement, limits: SafetyLimits, needs: Needs, now_s: float) -> str | None:
        if not needs.odometry or m.odometry is None:
            self._odometry = None
            return None
        last, self._odometry = self._odometry, (now_s, m.odometry.pos)
        if last is None:
            return None
        step = float(np.linalg.norm(m.odometry.pos - last[1]))
        if step <= limits.odometry_jump_m + LARGEST_SPEED * (now_s - last[0]):
            return None
        return f"odometry jump: {step:.2f} m in {now_s - last[0]:.3f} s"


class MotorOff:
    """A motor that was enabled is not any more."""

    def __init__(self) -> None:
        self._on = np.zeros(g1.NUM_MOTORS, dtype=bool)

    def find(self, m: Measurement, limits: SafetyLimits, needs: Needs, now_s: float) -> str | None:
        if m.state is None:
            return None
        enabled = m.state.modes == 1
        lost = self._on & ~enabled
        self._on |= enabled
        if not lost.any():
            return None
        return f"motor off: {g1.MOTOR_NAMES[int(np.argmax(lost))]} has switched itself off"


class Still:
    """For how long the robot has been still and upright."""

    def __init__(self) -> None:
        self._moved_s = -math.inf

    def update(self, state: RobotState | None, limits: SafetyLimits, now_s: float) -> float:
        """Seconds since the last motion; 0 in motion or without a state."""
        if state is None or not _is_still(state, limits):
            self._moved_s = now_s
            return -1.0
        if self._moved_s == -math.inf:
            self._moved_s = now_s
        return now_s - self._moved_s


def _is_still(state: RobotState, limits: SafetyLimits) -> bool:
    joints = float(np.abs(state.joint_vel).max()) <= limits.start_joint_speed
    return joints and float(np.linalg.norm(state.ang_vel_body)) <= limits.start_turn_rate
