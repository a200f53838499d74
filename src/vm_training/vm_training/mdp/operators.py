"""Who holds the stick: root command and gait clock of robots that follow a clip, or that go where a script says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from vm_core.frames import yaw_from_quat
from vm_core.gait_clock import LEAST_COMMAND, RAMP_S, STEPS_TO_REST, GaitClock, gait_phase
from vm_core.motion_clip import MotionClip
from vm_training.mdp.clip_tracking import ClipTracking
from vm_training.motions.footsteps import Gait

YAW_GAIN = 1.0  # 1/s: an operator's correction of the heading
MOST_YAW_ERROR_RAD = 0.15
FADE_STEPS = float(STEPS_TO_REST)
"""Of a walker's gait clock: it has no memory, and both steps to rest begin as a step like any other."""
DECAY_S = (0.02, 0.3)  # time constants with which commands rise and fall; the node's default is 0.2


class Operator(Protocol):
    """Gives root commands and the gait clock that runs while they last."""

    def reset(self, envs: np.ndarray) -> None:
        """Robots (E,) start anew."""
        ...

    def command(self) -> np.ndarray:
        """(N, 3) root command [m/s, m/s, rad/s] of this control period."""
        ...

    def phase(self) -> np.ndarray:
        """(N, 2) of `vm_core.gait_clock` in this control period."""
        ...


@dataclass(frozen=True)
class Timing:
    """When a clip walks and how fast, as an operator would say it.

    Attributes:
        start_s: when the first foot lifts.
        walk_s: from there to the last touch-down.
        step_s: of a step.
        speed: along the heading [m/s]: of full strides if a walker without foresight could have planned it, else mean.
        yaw_rate: mean [rad/s].
    """

    start_s: float
    walk_s: float
    step_s: float
    speed: float
    yaw_rate: float

    @staticmethod
    def of(clip: MotionClip, gait: Gait) -> Timing:
        """Reads a planned clip, which stands for `gait.stand_s` at both ends."""
        walk_s = round((clip.duration_s - 2.0 * gait.stand_s) / gait.step_s) * gait.step_s
        yaw = np.unwrap(yaw_from_quat(clip.root_quat_wxyz))
        # the closing step makes no way, the first and the last before it half
        going_s = max(walk_s - 2.0 * gait.step_s, gait.step_s)
        forward = clip.root_pos_world[-1, :2] - clip.root_pos_world[0, :2]
        way = float(np.linalg.norm(forward)) / max(float(np.sinc(0.5 * (yaw[-1] - yaw[0]) / np.pi)), 0.1)
        speed = gait.stride_m / gait.step_s if gait.as_seen else way / going_s
        return Timing(gait.stand_s, walk_s, gait.step_s, speed, float(yaw[-1] - yaw[0]) / going_s)


@dataclass
class ClipOperator:
    """Says what each robot's clip does, a little wrong in speed, and turns it back to the clip's heading.

    Attributes:
        env: robots on a clip.
        gait: of the clip.
    """

    env: ClipTracking
    gait: Gait

    def __post_init__(self) -> None:
        count = self.env.num_envs
        self.timing = timing = Timing.of(self.env.clip, self.gait)
        self._time_s = np.arange(self.env.clip.num_frames) / self.env.clip.fps
        self._phase = gait_phase(self._time_s - timing.start_s, timing.walk_s, timing.step_s, FADE_STEPS)
        self._speed, self._off_s = np.full(count, timing.speed), np.full(count, timing.start_s)
        self._decay_s = np.full(count, DECAY_S[0])

    def reset(self, envs: np.ndarray) -> None:
        """Draws speed, the command's end and its smoothness anew for robots (E,)."""
        timing, rng = self.timing, self.env.rng
        # on edges the treads say how far to step, whatever the operator thinks
        unsure = 0.2 if self.env.scene.boxes else 0.03
        self._speed[envs] = timing.speed * rng.uniform(1.0 - unsure, 1.0 + unsure, len(envs))
        early_s = timing.step_s * (STEPS_TO_REST + rng.uniform(0.0, 1.0, len(envs)))
        self._off_s[envs] = timing.start_s + np.maximum(timing.walk_s - early_s, 0.1)
        self._decay_s[envs] = rng.uniform(*DECAY_S, len(envs))

    def yaw_error(self) -> np.ndarray:
        """(N,) [rad]: how far the clip's heading is to the left of the robot's, bounded."""
        wanted = yaw_from_quat(self.env.reference_qpos[self.env.clip_frame, 3:7])
        error = wanted - yaw_from_quat(self.env.physics.qpos[:, 3:7])
        return np.clip(np.angle(np.exp(1j * error)), -MOST_YAW_ERROR_RAD, MOST_YAW_ERROR_RAD)

    def share(self) -> np.ndarray:
        """(N,) 0..1: how much of the full command is given, as it rises and falls.

        It passes LEAST_COMMAND, where the clock's end is decided, when the clip's own steps begin and come to rest.
        """
        level = np.clip(LEAST_COMMAND / max(self.timing.speed, abs(self.timing.yaw_rate), 1e-6), 0.0, 0.9)
        since_on = self._time_s[self.env.clip_frame] - (self.timing.start_s - RAMP_S)
        since_off = self._time_s[self.env.clip_frame] - self._off_s
        rising = 1.0 - (1.0 - level) * np.exp(-np.maximum(since_on, -1.0) / self._decay_s)
        falling = level * np.exp(-np.minimum(since_off, 5.0) / self._decay_s)
        return np.clip(np.minimum(rising, falling), 0.0, 1.0)

    def command(self) -> np.ndarray:
        """(N, 3) root command; below LEAST_COMMAND exactly as long as the clock is not asked to run."""
        share, time_s = self.share(), self._time_s[self.env.clip_frame]
        yaw_rate = self.timing.yaw_rate + YAW_GAIN * self.yaw_error()
        command = share[:, None] * np.column_stack([self._speed, np.zeros(len(share)), yaw_rate])
        asked = (time_s > self.timing.start_s - RAMP_S - 1e-6) & (time_s < self._off_s)
        size = np.maximum(np.abs(command).max(axis=1), 1e-9)
        factor = np.where(
            asked, np.maximum(1.02 * LEAST_COMMAND / size, 1.0), np.minimum(0.98 * LEAST_COMMAND / size, 1.0)
        )
        return command * factor[:, None]

    def phase(self) -> np.ndarray:
        """(N, 2) of the clip's own clock."""
        return self._phase[self.env.clip_frame]


@dataclass
class ScriptOperator:
    """The same wishes for all robots, smoothed and clocked as the node does it.

    Attributes:
        num_envs: N.
        wish: from time [s] to (vx, vy, yaw rate).
        step_s: of a step.
        period_s: control period.
        decay_s: time constant of the command.
    """

    num_envs: int
    wish: Callable[[float], tuple[float, float, float]]
    step_s: float
    period_s: float = 0.02
    decay_s: float = 0.2
    time_s: float = 0.0
    _value: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def __post_init__(self) -> None:
        self._clock = GaitClock(self.step_s, FADE_STEPS)

    def reset(self, envs: np.ndarray) -> None:
        """Time begins again, for all."""
        assert len(envs) == self.num_envs
        self.time_s, self._value = 0.0, np.zeros(3)
        self._clock.reset()

    def command(self) -> np.ndarray:
        """(N, 3) root command; time goes on with each call."""
        share = 1.0 - np.exp(-self.period_s / self.decay_s)
        self._value = self._value + share * (np.array(self.wish(self.time_s)) - self._value)
        self.time_s += self.period_s
        return np.tile(self._value, (self.num_envs, 1))

    def phase(self) -> np.ndarray:
        """(N, 2) for the command just given."""
        return np.tile(self._clock.update(self._value, self.period_s), (self.num_envs, 1))
