"""Who commands robots at a seat: backwards as long as one shall sit, nothing to stand up and stand, ahead to walk away.

So command and ground alone say what to do, wherever the body is between sitting and standing. The gait clock runs as
the node runs it, for it knows of no seats: it tells how long ago a command began or ended.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core.frames import yaw_from_quat
from vm_core.gait_clock import LEAST_COMMAND, RAMP_S, STEPS_TO_REST, gait_phase, steps_of_walk
from vm_training.mdp.clip_tracking import ClipTracking
from vm_training.mdp.operators import DECAY_S, FADE_STEPS, MOST_YAW_ERROR_RAD, YAW_GAIN
from vm_training.motions.footsteps import Gait
from vm_training.motions.seats import SitTimeline

BACK_M_S = (0.08, 0.2)
LEAST_BACK_S = 0.3
"""How long one to sit lasts at least where nobody can."""
_NEVER_S = 1e6
_DOWN, _UP = 0, 1


@dataclass
class SeatOperator:
    """Commands and clock of robots on a clip at a seat; times are the clip's.

    Attributes:
        env: robots.
        timeline: what the clip does when.
        gait: of its steps.
    """

    env: ClipTracking
    timeline: SitTimeline
    gait: Gait

    def __post_init__(self) -> None:
        count = self.env.num_envs
        self._speed, self._on, self._off = (np.zeros((count, 2)) for _ in range(3))
        self._decay = np.full(count, DECAY_S[0])
        self.reset(np.arange(count))

    def reset(self, envs: np.ndarray) -> None:
        """Draws speeds, times and smoothness anew for robots (E,)."""
        at = np.flatnonzero(envs) if envs.dtype == bool else envs
        rng, times, count = self.env.rng, self.timeline, len(at)
        earliest = times.down_s + LEAST_BACK_S if np.isinf(times.rise_s) else times.rise_s
        self._speed[at, _DOWN] = -rng.uniform(*BACK_M_S, count)
        self._on[at, _DOWN] = times.down_s
        self._off[at, _DOWN] = rng.uniform(earliest, min(times.rise_s, self.env.clip.duration_s), count)
        self._speed[at, _UP], self._off[at, _UP] = self._ahead(count)
        self._on[at, _UP] = min(times.walk_s, _NEVER_S) - RAMP_S
        self._decay[at] = rng.uniform(*DECAY_S, count)

    def _ahead(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Speeds [m/s] and ends of the command to walk away."""
        rng, times, gait = self.env.rng, self.timeline, self.gait
        walk_s = self.env.clip.duration_s - gait.stand_s - min(times.walk_s, _NEVER_S)
        early_s = gait.step_s * (STEPS_TO_REST + rng.uniform(0.0, 1.0, count))
        speed = np.clip(gait.stride_m / gait.step_s * rng.uniform(0.97, 1.03, count), 1.2 * LEAST_COMMAND, None)
        return speed, min(times.walk_s, _NEVER_S) + np.maximum(walk_s - early_s, 0.1)

    @property
    def _time_s(self) -> np.ndarray:
        """(N, 1) of each robot in its clip, counting on after it."""
        return (self.env.frame / self.env.clip.fps)[:, None]

    def share(self) -> np.ndarray:
        """(N,) 0..1: how much of a walk's command is given, by which a robot is headed."""
        return self._given()[:, _UP] * (self._time_s[:, 0] > self.timeline.walk_s)

    def _given(self) -> np.ndarray:
        """(N, 2) 0..1: how much of either command is given."""
        decay, size = self._decay[:, None], np.abs(self._speed)
        begun = self._on + decay * np.log1p(-LEAST_COMMAND / size)  # so that it passes LEAST_COMMAND at these times
        ended = self._off - decay * np.log(size / LEAST_COMMAND)
        return _rise(self._time_s - begun, decay) - _rise(self._time_s - ended, decay)

    def command(self) -> np.ndarray:
        """(N, 3) root command."""
        given = self._given()
        wanted = yaw_from_quat(self.env.reference_qpos[self.env.clip_frame, 3:7])
        error = wanted - yaw_from_quat(self.env.physics.qpos[:, 3:7])
        turn = YAW_GAIN * np.clip(np.angle(np.exp(1j * error)), -MOST_YAW_ERROR_RAD, MOST_YAW_ERROR_RAD)
        ahead = (self._speed * given).sum(axis=1)
        return np.column_stack([ahead, np.zeros(len(ahead)), given[:, _UP] * turn])

    def phase(self) -> np.ndarray:
        """(N, 2) of the gait clock."""
        return self._clock(self._on[:, _DOWN], self._off[:, _DOWN]) + self._clock(self._on[:, _UP], self._off[:, _UP])

    def _clock(self, on: np.ndarray, off: np.ndarray) -> np.ndarray:
        """(N, 2) phase of a clock that runs for commands from `on` (N,) to `off` (N,)."""
        step_s, time_s = self.gait.step_s, self._time_s[:, 0]
        walk_s = np.where(time_s < off, np.inf, steps_of_walk(off - on - RAMP_S, step_s) * step_s)
        return gait_phase(time_s - on - RAMP_S, walk_s, step_s, FADE_STEPS)


def _rise(since_s: np.ndarray, decay_s: np.ndarray) -> np.ndarray:
    """First-order rise from 0 to 1."""
    return 1.0 - np.exp(-np.maximum(since_s, 0.0) / decay_s)
