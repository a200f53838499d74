"""Where a person sets the feet: a walker that moves over a scene and writes its footsteps and sittings down."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vm_reconstruction.datasets.synthetic.scenes import TrueScene

LEVEL_DZ_M = 0.05  # smaller differences of height are not a step
FOOT_CENTER_M = 0.06  # from below the ankle forward to the middle of the sole


@dataclass(frozen=True)
class Placement:
    """One swing.

    Attributes:
        side: 0 left, 1 right.
        lift_s, land_s: when the foot leaves the ground and stands again [s].
        start, end: (3,) points of the ground under the ankle [m, world].
        start_yaw, end_yaw: heading of the foot [rad], continuous.
        start_slope, end_slope: rise of the ground along the heading, as an angle [rad].
    """

    side: int
    lift_s: float
    land_s: float
    start: np.ndarray
    end: np.ndarray
    start_yaw: float
    end_yaw: float
    start_slope: float
    end_slope: float


@dataclass(frozen=True)
class Sitting:
    """Down from `down_s`, up from `up_s` [s], each taking `transition_s`; hip height above the seat is the body's."""

    down_s: float
    up_s: float
    transition_s: float
    seat_world: np.ndarray


@dataclass
class Walker:
    """Moves along; `xy` and `yaw` are of the body's middle.

    Attributes:
        scene: what is walked on.
        xy, yaw: start [m], [rad].
        half_width: half of the distance between the feet [m].
        step_m, swing_s, double_s: the gait on level ground.
        first_side: the foot that starts.
    """

    scene: TrueScene
    xy: np.ndarray
    yaw: float
    half_width: float = 0.095
    step_m: float = 0.58
    swing_s: float = 0.44
    double_s: float = 0.12
    first_side: int = 0
    time_s: float = 0.7
    placements: list[Placement] = field(default_factory=list)
    sittings: list[Sitting] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._feet = [self._foothold(side, self.xy, self.yaw) for side in (0, 1)]
        self._yaws = [self.yaw, self.yaw]
        self.start_feet = [foot.copy() for foot in self._feet]
        self.start_yaw = self.yaw
        self._side = self.first_side

    def walk(self, length: float, turn: float = 0.0) -> Walker:
        """Goes on for `length` [m] while turning by `turn` [rad], then closes the feet."""
        count = max(1, round(length / self.step_m))
        for k in range(1, count + 2):
            share = min(k, count) / count
            back = 1 - share
            yaw = self.yaw + turn * share
            middle = self.xy + length * share * _chord(self.yaw, turn * share)
            self._place(middle, yaw, 1.0 if back or k <= count else 0.9)
        self.xy, self.yaw = middle, yaw
        return self

    def turn(self, angle: float, steps: int) -> Walker:
        """Turns on the spot in `steps` steps and closes the feet."""
        for k in range(1, steps + 2):
            self._place(self.xy, self.yaw + angle * min(k, steps) / steps, 0.9)
        self.yaw += angle
        return self

    def cross(self, treads_x: list[float]) -> Walker:
        """One foot on each tread (x of the soles' middles [m], in walking order), then closes on the last."""
        ahead = float(np.sign(np.cos(self.yaw)))
        for x in [*treads_x, treads_x[-1]]:
            self._place(np.array([x - ahead * FOOT_CENTER_M, self.xy[1]]), self.yaw, 1.45)
        self.xy = np.array([treads_x[-1] - ahead * FOOT_CENTER_M, self.xy[1]])
        return self

    def wait(self, seconds: float) -> Walker:
        """Stands [s]."""
        self.time_s += seconds
        return self

    def sit(self, seconds: float, back_m: float, top: float, transition_s: float = 1.3) -> Walker:
        """Sits down on a surface of height `top`, `back_m` behind the ankles, for `seconds`, and stands up [s, m]."""
        seat = np.append(self.xy - back_m * _heading(self.yaw), top)
        down, up = self.time_s, self.time_s + transition_s + seconds
        self.sittings.append(Sitting(down, up, transition_s, seat))
        self.time_s = up + transition_s + 0.3
        return self

    def _place(self, middle: np.ndarray, yaw: float, slowness: float) -> None:
        side = self._side
        start, start_yaw = self._feet[side], self._yaws[side]
        end = self._foothold(side, middle, yaw)
        swing = self.swing_s * slowness
        self.placements.append(
            Placement(
                side, self.time_s, self.time_s + swing, start, end, start_yaw, yaw,
                self._slope(start, start_yaw), self._slope(end, yaw),
            )
        )  # fmt: skip
        self._feet[side], self._yaws[side], self._side = end, yaw, 1 - side
        self.time_s += swing + self.double_s * slowness

    def _foothold(self, side: int, middle: np.ndarray, yaw: float) -> np.ndarray:
        left = np.array([-np.sin(yaw), np.cos(yaw)])
        xy = self._off_edges(middle + (self.half_width if side == 0 else -self.half_width) * left, yaw)
        return np.append(xy, self.scene.height_at(xy[None])[0])

    def _off_edges(self, xy: np.ndarray, yaw: float) -> np.ndarray:
        """Moves a foothold along the heading so that no ramp's edge lies under the sole."""
        ahead = float(np.cos(yaw))
        for ramp in self.scene.ramps:
            for edge in (ramp.start_x, ramp.end_x):
                toe, heel = xy[0] + 0.22 * ahead, xy[0] - 0.09 * ahead
                if min(toe, heel) < edge < max(toe, heel):
                    low, high = edge - max(toe, heel), edge - min(toe, heel)
                    xy = xy + np.array([low if -low < high else high, 0.0])
        return xy

    def _slope(self, foot: np.ndarray, yaw: float) -> float:
        return float(np.arctan(self.scene.slope_at(foot[:2]) * np.cos(yaw)))


def _heading(yaw: float) -> np.ndarray:
    return np.array([np.cos(yaw), np.sin(yaw)])


def _chord(yaw: float, turn: float) -> np.ndarray:
    """Mean heading along an arc that turns by `turn`."""
    if abs(turn) < 1e-6:
        return _heading(yaw)
    return np.array([np.sin(yaw + turn) - np.sin(yaw), np.cos(yaw) - np.cos(yaw + turn)]) / turn
