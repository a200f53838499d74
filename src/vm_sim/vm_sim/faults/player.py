"""Plays one fault at a time on the messages between robot and controller. Pure: the clock comes in with every call."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from vm_core.unitree_cdr import low_state_crc, parse_low_state
from vm_sim.faults.catalogue import Fault, find_fault
from vm_sim.faults.damage import DAMAGE

DELAY_S, GAP_S, JITTER_S, DIP_S = 0.2, 0.06, 0.01, 1.0
PUSH_N = np.array([0.0, 450.0, 0.0])
"""To the side: no step of a walking policy catches it."""
PUSH_S = 0.6


@dataclass(frozen=True)
class OdometrySample:
    """Pelvis in the world: position (3,) [m], orientation wxyz (4,), linear velocity (3,) [m/s] in the world."""

    pos: np.ndarray
    quat_wxyz: np.ndarray
    lin_vel_world: np.ndarray


@dataclass(frozen=True)
class GridSample:
    """A height grid: torso z [m], terrain z (cells,) [m], cells along and across, age of the newest scan [s]."""

    torso_height: float
    height: np.ndarray
    size_x: int
    size_y: int
    scan_age_s: float


@dataclass
class FaultPlayer:
    """Passes messages on, changed by the fault that plays.

    Attributes:
        fault: the one that plays, or None.
    """

    seed: int = 0
    fault: Fault | None = None
    _began_s: float = 0.0
    _held: object = None
    _first: np.ndarray | None = None
    _queue: deque = field(default_factory=deque)
    _count: int = 0

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    def play(self, name: str, now_s: float) -> None:
        """Begins a fault; an empty name ends the one that plays.

        Raises:
            VmError: there is no such fault.
        """
        self.fault = find_fault(name) if name else None
        self._began_s, self._held, self._first, self._count = now_s, None, None, 0
        self._queue.clear()

    @property
    def name(self) -> str:
        return "" if self.fault is None else self.fault.name

    def elapsed_s(self, now_s: float) -> float:
        """Time since the fault began."""
        return now_s - self._began_s

    def low_state(self, data: bytes, now_s: float) -> list[bytes]:
        """The LowStates to send in place of this one."""
        name = self.name
        if name in _STATE_TIMING:
            return _STATE_TIMING[name](self, data, now_s)
        if name in DAMAGE and not (name == "battery_dip" and self.elapsed_s(now_s) > DIP_S):
            record = parse_low_state(data).copy()
            self._first = record.copy() if self._first is None else self._first
            DAMAGE[name](record, self._first, self.elapsed_s(now_s))
            record["crc"] = low_state_crc(record)
            return [record.tobytes()]
        return [data]

    def odometry(self, sample: OdometrySample, now_s: float) -> list[OdometrySample]:
        """The odometry to send in place of this one."""
        if self.name == "odometry_silent":
            return []
        if self.name == "odometry_nan":
            return [replace(sample, pos=np.full(3, np.nan))]
        if self.name == "odometry_jump":
            return [replace(sample, pos=sample.pos + np.array([0.8, -0.6, 0.0]))]
        if self.name == "odometry_frozen":
            self._held = sample if self._held is None else self._held
            assert isinstance(self._held, OdometrySample)
            return [self._held]
        return [sample]

    def grid(self, sample: GridSample, now_s: float) -> list[GridSample]:
        """The height grids to send in place of this one."""
        if self.name == "grid_silent":
            return []
        if self.name in ("lidar_silent", "lidar_frozen"):
            return [replace(sample, scan_age_s=sample.scan_age_s + self.elapsed_s(now_s))]
        return [bad_grid(self.name, sample)]

    def scan(self, data: bytes) -> list[bytes]:
        """The LiDAR messages to send in place of this one."""
        if self.name == "lidar_silent":
            return []
        if self.name == "lidar_frozen":
            self._held = data if self._held is None else self._held
            assert isinstance(self._held, bytes)
            return [self._held]
        return [data]

    def picture(self, picture: np.ndarray) -> list[np.ndarray]:
        """The depth pictures [mm] to send in place of this one; floats [m] and three channels are other encodings."""
        name = self.name
        if name == "depth_silent":
            return []
        if name == "depth_frozen":
            self._held = picture if self._held is None else self._held
            assert isinstance(self._held, np.ndarray)
            return [self._held]
        return [bad_picture(name, picture)]

    def command(self, velocity: tuple[float, float, float]) -> tuple[float, float, float] | None:
        """What teleoperation sends in place of this velocity (vx, vy, yaw rate), or None."""
        if self.name == "command_stale":
            return None
        if self.name == "command_nan":
            return (float("nan"), velocity[1], velocity[2])
        if self.name == "command_huge":
            return (1e9, -1e9, 1e9)
        return velocity

    def push(self, now_s: float) -> np.ndarray:
        """Force (3,) on the torso [N]."""
        pushed = self.name == "pushed_over" and self.elapsed_s(now_s) < PUSH_S
        return PUSH_N if pushed else np.zeros(3)

    @property
    def dead_motors(self) -> str:
        """Which motors have no power: all, knee or none."""
        return {"power_cut": "all", "motor_dead": "knee"}.get(self.name, "none")

    # -- timing of states --------------------------------------------------------------------------------------------

    def _silent(self, data: bytes, now_s: float) -> list[bytes]:
        return []

    def _frozen(self, data: bytes, now_s: float) -> list[bytes]:
        self._held = data if self._held is None else self._held
        return [self._held]  # type: ignore[list-item]

    def _gap(self, data: bytes, now_s: float) -> list[bytes]:
        return [] if self.elapsed_s(now_s) < GAP_S else [data]

    def _delayed(self, data: bytes, now_s: float) -> list[bytes]:
        return self._after(DELAY_S, data, now_s)

    def _jitter(self, data: bytes, now_s: float) -> list[bytes]:
        return self._after(JITTER_S * float(self._rng.random()), data, now_s)

    def _after(self, delay_s: float, data: bytes, now_s: float) -> list[bytes]:
        self._queue.append((now_s + delay_s, data))
        due = [entry for entry in self._queue if entry[0] <= now_s]
        for entry in due:
            self._queue.remove(entry)
        return [entry[1] for entry in due]

    def _lagging(self, data: bytes, now_s: float) -> list[bytes]:
        self._queue.append(data)
        self._count += 1
        return [self._queue.popleft()] if self._count % 3 == 0 else []

    def _swapped(self, data: bytes, now_s: float) -> list[bytes]:
        self._queue.append(data)
        return [self._queue.pop(), self._queue.pop()] if len(self._queue) == 2 else []

    def _doubled(self, data: bytes, now_s: float) -> list[bytes]:
        return [data, data]

    def _bad_crc(self, share: float, data: bytes) -> list[bytes]:
        if self._rng.random() >= share:
            return [data]
        where = int(self._rng.integers(4, len(data)))
        return [data[:where] + bytes([data[where] ^ int(self._rng.integers(1, 256))]) + data[where + 1 :]]

    def _big_endian(self, data: bytes, now_s: float) -> list[bytes]:
        return [b"\x00\x00" + data[2:]]


def bad_grid(name: str, sample: GridSample) -> GridSample:
    """The grid as the fault of that name has it; other names leave it as it is."""
    if name == "grid_wrong_size":
        return replace(sample, height=sample.height[:25], size_x=5, size_y=5)
    if name == "grid_nan":
        return replace(sample, torso_height=float("nan"))
    if name == "grid_infinite":
        return replace(sample, height=np.where(np.arange(len(sample.height)) == 7, np.inf, sample.height))
    if name == "grid_far":
        return replace(sample, height=sample.height + 50.0)
    if name == "grid_unknown":
        return replace(sample, height=np.full(len(sample.height), np.nan))
    return sample


def bad_picture(name: str, picture: np.ndarray) -> np.ndarray:
    """The depth picture as the fault of that name has it; other names leave it as it is."""
    if name == "depth_zero":
        return np.zeros_like(picture)
    if name == "depth_wrong_size":
        return picture[::2, ::2]
    if name == "depth_wrong_encoding":
        return np.repeat((picture >> 4).astype(np.uint8)[..., None], 3, axis=2)
    if name == "depth_nan":
        return np.full(picture.shape, np.nan, dtype=np.float32)
    return picture[::-1, ::-1] if name == "depth_upside_down" else picture


_STATE_TIMING: dict[str, Callable[[FaultPlayer, bytes, float], list[bytes]]] = {
    "state_silent": FaultPlayer._silent,
    "power_cut": FaultPlayer._silent,
    "state_frozen": FaultPlayer._frozen,
    "state_delayed": FaultPlayer._delayed,
    "state_lagging": FaultPlayer._lagging,
    "state_gap": FaultPlayer._gap,
    "state_swapped": FaultPlayer._swapped,
    "state_doubled": FaultPlayer._doubled,
    "state_jitter": FaultPlayer._jitter,
    "crc_wrong": lambda player, data, now_s: [data[:-1] + bytes([data[-1] ^ 0x10])],
    "crc_often": lambda player, data, now_s: player._bad_crc(0.4, data),
    "crc_rarely": lambda player, data, now_s: player._bad_crc(0.02, data),
    "state_truncated": lambda player, data, now_s: [data[:-64]],
    "state_big_endian": FaultPlayer._big_endian,
}
