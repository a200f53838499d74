"""How a robot that stands before a box lifts it between its palms: a law, no network.

A generator walks up to the box; when it is within reach the robot comes to rest (`vm_core.halting`), and this law leads
root, head and palms along a planned squat, seen from where the soles stand, 0.2 s ahead. Palms close until the box
stops them, whatever its width, and press from then on. Neither odometry nor a picture is needed. A pause holds the
robot where it is, with what it has in its hands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from vm_core.errors import VmError
from vm_core.frames import yawed
from vm_core.halting import PERIOD_S, sensed
from vm_core.keypoint_command import COMMAND_SIZE

LEAD_S = 0.2
SURE, SETTLES_S = 5, 1.4
"""Control periods for which a box must be within reach; time that a robot takes to come to rest before it lifts."""
PRESSES_M = 0.07
"""How far inside of where they are palms are led that do not get on: what they press with, in metres of command."""
SLOWS_S = 0.3
"""Time in which a pause brings a lift to a stand, and its end sets it going."""
POINTS = ("root", "head", "left palm")
_MOST_NUMBERS = 20_000


@dataclass(frozen=True)
class LiftPath:
    """A planned lift, seen from the middle between the soles, in the axes of their heading, left as right.

    Attributes:
        grasps_m: (G,) rising: how far ahead the palms close.
        places_m: (G * T * 9,) of POINTS, x, y, z, for each grasp, every `period_s`; flat.
        period_s: between them.
        closes_s: when palms begin to close.
        box_ahead_m: where the box's middle is ahead of the palms.
        reach_m: how far ahead of the pelvis, and aside, a box's middle may be that is to be lifted.
    """

    grasps_m: tuple[float, ...]
    places_m: tuple[float, ...]
    period_s: float
    closes_s: float
    box_ahead_m: float
    reach_m: tuple[float, float]

    def __post_init__(self) -> None:
        grasps, count = self.grasps_m, len(self.places_m)
        if len(grasps) < 2 or any(b <= a for a, b in zip(grasps, grasps[1:], strict=False)):
            raise VmError(f"lift for grasps {grasps}; expected at least two, rising")
        if not 2 * 9 * len(grasps) <= count <= _MOST_NUMBERS or count % (9 * len(grasps)):
            raise VmError(f"lift of {count} numbers for {len(grasps)} grasps; expected 9 a moment for each")
        if not 0.02 <= self.period_s <= 0.5 or len(self.reach_m) != 2:
            raise VmError(
                f"lift every {self.period_s} s, reach {self.reach_m}; expected 0.02 to 0.5 s, ahead and aside"
            )
        numbers = (*self.places_m, *grasps, self.closes_s, self.box_ahead_m, *self.reach_m)
        if not all(math.isfinite(value) and abs(value) <= 10.0 for value in numbers):
            raise VmError("lift with numbers that are none or beyond 10; expected metres and seconds")

    @property
    def places(self) -> np.ndarray:
        """(G, T, 3, 3) [m]."""
        return np.reshape(self.places_m, (len(self.grasps_m), -1, len(POINTS), 3))

    @staticmethod
    def from_raw(raw: dict[str, Any]) -> LiftPath:
        """Of a JSON object's entries."""
        lists: dict[str, Any] = {name: tuple(raw[name]) for name in ("grasps_m", "places_m", "reach_m")}
        numbers: dict[str, Any] = {name: float(raw[name]) for name in ("period_s", "closes_s", "box_ahead_m")}
        return LiftPath(**lists, **numbers)


class Lifting:
    """N robots that lift once the box is within reach; one control period is 20 ms.

    Attributes:
        settles: (N,) bool: the box is within reach and the robot comes to rest.
        begun: (N,) bool: `command` leads it, for good.
    """

    def __init__(self, path: LiftPath, count: int = 1) -> None:
        self._path, self._places = path, path.places
        self._sure, self._rested = np.zeros(count, dtype=int), np.zeros(count, dtype=int)
        self._progress_s, self._rate = np.zeros(count), np.zeros(count)
        self._grasp = np.zeros(count)
        self.begun, self._fresh = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)

    @property
    def settles(self) -> np.ndarray:
        return (self._sure >= SURE) & ~self.begun

    def reset(self, robots: np.ndarray) -> None:
        """Robots (E,) start anew."""
        for part in (self._sure, self._rested, self._progress_s, self._rate, self._grasp):
            part[robots] = 0
        self.begun[robots] = False

    def update(self, run: np.ndarray, ahead: np.ndarray, aside: np.ndarray) -> None:
        """Takes in the run bit (N,) and where the box's middle is thought to be (N,), from the pelvis, ahead and to the
        left [m]; call it once a period, before `command`."""
        near, wide = self._path.reach_m
        within = run & (ahead <= near) & (np.abs(aside) <= wide) & (ahead > 0.0)
        self._sure = np.where(self._sure >= SURE, self._sure, np.where(within, self._sure + 1, 0))
        self._rested = np.where(self.settles & run, self._rested + 1, self._rested)
        begins = self.settles & (self._rested >= SETTLES_S / PERIOD_S)
        self._grasp[begins] = ahead[begins] - self._path.box_ahead_m  # from the pelvis, until `command` knows the soles
        self._fresh = begins
        self.begun |= begins

    def command(
        self, run: np.ndarray, quat_wxyz: np.ndarray, gyro: np.ndarray, joint_pos: np.ndarray, joint_vel: np.ndarray
    ) -> np.ndarray:
        """(N, 18) [m] in the axes of the pelvis' heading, for those that have begun.

        Args:
            run: (N,) bool; without it a lift comes to a stand.
            quat_wxyz, gyro, joint_pos, joint_vel: as of `vm_core.halting.Halting.command`.
        """
        points, _, yaw = sensed(quat_wxyz, gyro, joint_pos, joint_vel)
        feet, turn = points[:, 3:], np.angle(np.exp(1j * yaw).sum(axis=1))
        middle, ground = feet[..., :2].mean(axis=1), feet[..., 2].min(axis=1)
        self._grasp[self._fresh] -= yawed(middle, -turn)[self._fresh, 0]
        self._advance(run)
        wanted = self._asked(self._progress_s + LEAD_S * self._rate)  # (N, root head palms, 3) from the soles
        self._press(wanted, np.abs(yawed(points[:, 1:3, :2] - middle[:, None], -turn)[..., 1]))
        placed = yawed(wanted, turn) + np.column_stack([middle, ground])[:, None]
        root = placed[:, 0]
        feet = np.concatenate([feet[..., :2], np.repeat(ground[:, None, None], 2, axis=1)], axis=-1)
        relative = np.concatenate([placed[:, 1:], feet], axis=1) - root[:, None] - points
        return np.concatenate([root[:, None], relative], axis=1).reshape(len(root), COMMAND_SIZE)

    def _advance(self, run: np.ndarray) -> None:
        """Time goes on for those that have begun, and slows down where the bit is 0."""
        change = PERIOD_S / SLOWS_S
        self._rate += np.clip(np.where(run, 1.0, 0.0) - self._rate, -change, change) * self.begun
        self._progress_s += PERIOD_S * self._rate * self.begun

    def _press(self, wanted: np.ndarray, aside: np.ndarray) -> None:
        """Leads palms of `wanted` that do not get on, for they are `aside` (N, 2) [m], no farther in than PRESSES_M."""
        palms = np.abs(wanted[:, 2:, 1])
        closes = self._progress_s >= self._path.closes_s - LEAD_S
        wanted[:, 2:, 1] = [1.0, -1.0] * np.where(closes[:, None], np.maximum(palms, aside - PRESSES_M), palms)

    def _asked(self, time_s: np.ndarray) -> np.ndarray:
        """(N, 4, 3) root, head and both palms at times (N,) of each robot's own grasp."""
        grasps, places = np.array(self._path.grasps_m), self._places
        low, share = _between(np.interp(self._grasp, grasps, np.arange(len(grasps))), len(grasps))
        at, part = _between(time_s / self._path.period_s, places.shape[1])
        share, part = share[:, None, None], part[:, None, None]
        near, far = ((1.0 - part) * places[k, at] + part * places[k, at + 1] for k in (low, low + 1))
        found = (1.0 - share) * near + share * far
        return np.concatenate([found, found[:, 2:] * [1.0, -1.0, 1.0]], axis=1)


def _between(value: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    low = np.clip(np.floor(value).astype(int), 0, count - 2)
    return low, np.clip(value - low, 0.0, 1.0)
