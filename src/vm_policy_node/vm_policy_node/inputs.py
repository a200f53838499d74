"""What a controller is told: the robot's state, odometry and the height grid, each the newest with its age."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from vm_core import g1, unitree_cdr
from vm_core.height_grid import HeightGridSpec

T = TypeVar("T")
_TICK = unitree_cdr.LOW_STATE.fields["tick"][1]  # type: ignore[index]
_HEADER = unitree_cdr.CDR_LITTLE_ENDIAN[:2]
RESTART_MS = 1000
"""A clock that goes back by more than this belongs to a robot that was switched off and on; less is an old message."""


@dataclass(frozen=True)
class Grid:
    """A height grid: torso height [m], terrain height (cells,) [m] with NaN where unknown, geometry, and how old its
    newest scan was when it was sent [s], if that is known; infinite before the first.
    """

    torso_height: float
    terrain_height: np.ndarray
    spec: HeightGridSpec
    scan_age_s: float | None = None


@dataclass(frozen=True)
class Odometry:
    """Pelvis position (3,) [m] and linear velocity (3,) [m/s] in the world."""

    pos: np.ndarray
    lin_vel_world: np.ndarray


@dataclass(frozen=True)
class RobotState:
    """One LowState in motor order, SI units.

    Attributes:
        joint_pos, joint_vel, torque: (29,) [rad, rad/s, Nm].
        temperature_c: (29,) the hotter of casing and winding [°C].
        voltage_v: (29,) supply, 0 where it is not reported.
        faults, modes: (29,) bits of each motor's state, and whether it is enabled.
        quat_wxyz, ang_vel_body: pelvis IMU; ang_vel_body (3,) [rad/s].
        tick: the robot's clock [ms].
        mode_machine, mode_pr: robot type, and how ankles and waist are addressed (0: pitch and roll).
        crc_ok: whether the checksum is right.
        remote: the remote's 40 bytes.
    """

    joint_pos: np.ndarray
    joint_vel: np.ndarray
    quat_wxyz: np.ndarray
    ang_vel_body: np.ndarray
    tick: int
    mode_machine: int
    crc_ok: bool
    remote: bytes
    torque: np.ndarray = field(default_factory=lambda: np.zeros(g1.NUM_MOTORS))
    temperature_c: np.ndarray = field(default_factory=lambda: np.zeros(g1.NUM_MOTORS))
    voltage_v: np.ndarray = field(default_factory=lambda: np.zeros(g1.NUM_MOTORS))
    faults: np.ndarray = field(default_factory=lambda: np.zeros(g1.NUM_MOTORS, dtype=np.uint32))
    modes: np.ndarray = field(default_factory=lambda: np.zeros(g1.NUM_MOTORS, dtype=np.uint8))
    mode_pr: int = 0


def read_low_state(data: bytes) -> RobotState:
    """Takes from a LowState message what control and safety need.

    Raises:
        VmError: not a LowState.
    """
    record = unitree_cdr.parse_low_state(data)

    def motors(name: str) -> np.ndarray:
        return unitree_cdr.get_motors(record, name)[: g1.NUM_MOTORS]

    with np.errstate(invalid="ignore"):  # signalling NaNs from a broken wire; the checks find them
        joint_pos, joint_vel, torque, voltage_v = (motors(name).astype(float) for name in ("q", "dq", "tau_est", "vol"))
        quat_wxyz, ang_vel_body = (record["imu"][name].astype(float) for name in ("quaternion", "gyroscope"))
    casing, winding = motors("temperature").T
    return RobotState(
        joint_pos=joint_pos,
        joint_vel=joint_vel,
        quat_wxyz=quat_wxyz,
        ang_vel_body=ang_vel_body,
        tick=int(record["tick"]),
        mode_machine=int(record["mode_machine"]),
        crc_ok=int(record["crc"]) == unitree_cdr.low_state_crc(record),
        remote=record["wireless_remote"].tobytes(),
        torque=torque,
        temperature_c=np.maximum(casing, winding).astype(float),
        voltage_v=voltage_v,
        faults=motors("motorstate"),
        modes=motors("mode"),
        mode_pr=int(record["mode_pr"]),
    )


@dataclass
class Latest(Generic[T]):
    """A newest message and when it came."""

    value: T | None = None
    time_s: float | None = None

    def age_s(self, now_s: float) -> float | None:
        return None if self.time_s is None else max(now_s - self.time_s, 0.0)


@dataclass
class StateInbox:
    """LowState messages since the last control cycle. Decoding waits for the cycle, ten times rarer than messages.

    The latest message by the robot's clock with a right checksum becomes the state. One that is not later than the
    state is dropped, so a frozen sender goes stale by itself and an overtaken message is not taken back.

    Attributes:
        state: newest good state, or None.
        restarted: at the last `take`, the robot's clock had begun anew.
        bad, good: messages with a wrong and a right checksum or form that the last `take` has seen.
    """

    state: RobotState | None = None
    restarted: bool = False
    bad: int = 0
    good: int = 0
    _time_s: float | None = None
    _malformed: int = 0
    _waiting: deque[tuple[int, bytes, float]] = field(default_factory=lambda: deque(maxlen=64))

    def put(self, data: bytes, now_s: float) -> None:
        """Keeps a message; one of another length or byte order only counts as bad."""
        if len(data) != unitree_cdr.LOW_STATE.itemsize or data[:2] != _HEADER:
            self._malformed += 1
        else:
            self._waiting.append((int.from_bytes(data[_TICK : _TICK + 4], "little"), data, now_s))

    def take(self) -> RobotState | None:
        """Decodes what waits until a good new state is found; None if there is none."""
        self.bad, self._malformed, self.good = self._malformed, 0, 0
        self.restarted = False
        waiting = sorted(self._waiting, key=lambda entry: entry[0])
        self._waiting.clear()
        while waiting:
            tick, data, time_s = waiting.pop()
            if self.state is not None and self.state.tick - RESTART_MS < tick <= self.state.tick:
                continue
            state = read_low_state(data)
            if state.crc_ok:
                self.good = 1  # earlier ones are not looked at, so they do not count
                self.restarted = self.state is not None and tick < self.state.tick
                self.state, self._time_s = state, time_s
                return state
            self.bad += 1
        return None

    def rehearse(self) -> None:
        """Decodes a message that waits, without consequences."""
        if self._waiting:
            read_low_state(self._waiting[-1][1])

    def newest_quat(self) -> np.ndarray | None:
        """Orientation (4,) wxyz in the newest message that is sound, decoded or not."""
        if self._waiting:
            record = unitree_cdr.parse_low_state(self._waiting[-1][1])
            quat = record["imu"]["quaternion"].astype(float)
            if abs(float(quat @ quat) - 1.0) < 0.1 and int(record["crc"]) == unitree_cdr.low_state_crc(record):
                return quat
        return None if self.state is None else self.state.quat_wxyz

    def age_s(self, now_s: float) -> float | None:
        """Seconds since the newest good state came."""
        return None if self._time_s is None else max(now_s - self._time_s, 0.0)
