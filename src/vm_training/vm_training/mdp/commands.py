"""Root commands of a training: drawn, held, steered, clipped, and zero for a while, as an operator gives them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vm_core.errors import VmError
from vm_core.gait_clock import LEAST_COMMAND, RAMP_S, STEPS_TO_REST

_SIDE_GAIN, _MOST_CORRECTION_RAD = 0.6, 0.35
_LEAST_AHEAD = 0.35
"""Who is steered over something walks at least at this share of the highest speed."""


@dataclass(frozen=True)
class CommandRanges:
    """How commands are drawn.

    Attributes:
        limits: lower and upper bounds of vx, vy [m/s] and yaw rate [rad/s]; wishes beyond are clipped to them.
        reach: wishes go so far beyond the limits (1: not at all).
        hold_s: shortest and longest time that a command is held.
        stand_s: shortest and longest time without a command at the start.
        zero: share of commands that are zero.
        straight: share of the others that keep a heading: their yaw rate is a correction towards it.
        heading_gain: of that correction [1/s].
        fade_s: time constant with which a command goes over to the next, as the node's does.
    """

    limits: tuple[tuple[float, float], ...] = ((0.0, 0.42), (0.0, 0.0), (-0.4, 0.4))
    reach: float = 1.15
    hold_s: tuple[float, float] = (2.0, 6.0)
    stand_s: tuple[float, float] = (0.4, 1.2)
    zero: float = 0.2
    straight: float = 0.6
    heading_gain: float = 1.0
    fade_s: float = 0.2

    def __post_init__(self) -> None:
        shares = (self.zero, self.straight)
        if len(self.limits) != 3 or not 0.0 < self.hold_s[0] <= self.hold_s[1] or not all(0 <= s <= 1 for s in shares):
            raise VmError(f"{self}: expected three limits, 0 < hold_s low <= high, shares within [0, 1]")


class Commands:
    """Commands of N robots.

    Attributes:
        value: (N, 3) vx, vy [m/s], yaw rate [rad/s], as the policy sees them.
        steered: (N,) bool: robots that are kept on the x axis of their scene and ahead, as an operator does who has
            them walk over something.
    """

    def __init__(self, num: int, ranges: CommandRanges, generator: torch.Generator, period_s: float) -> None:
        self._ranges, self._generator, self._period_s = ranges, generator, period_s
        device = generator.device
        limits = torch.tensor(ranges.limits, dtype=torch.float32, device=device)
        self._low, self._high = limits[:, 0], limits[:, 1]
        self.value = torch.zeros((num, 3), device=device)
        self._wish = torch.zeros((num, 3), device=device)
        self._left_s, self._heading = torch.zeros(num, device=device), torch.zeros(num, device=device)
        self._keeps_heading = torch.zeros(num, dtype=torch.bool, device=device)
        self._stands = torch.ones(num, dtype=torch.bool, device=device)
        self.steered = torch.zeros(num, dtype=torch.bool, device=device)

    def reset(self, envs: torch.Tensor, yaw: torch.Tensor) -> None:
        """Robots (E,) with headings (E,) stand until their first command."""
        self.value[envs] = 0.0
        self._stands[envs] = True
        waits = torch.rand(len(envs), generator=self._generator, device=self.value.device)
        low, high = self._ranges.stand_s
        self._left_s[envs] = low + (high - low) * waits

    def update(self, yaw: torch.Tensor, aside: torch.Tensor) -> torch.Tensor:
        """The commands (N, 3) of this control period, for headings (N,) [rad] and y in the scene (N,) [m]."""
        self._left_s -= self._period_s
        due = (self._left_s <= 0.0).nonzero()[:, 0]
        if len(due):
            self._draw(due, yaw[due])
        wish = self._wish.clone()
        back = (-_SIDE_GAIN * aside).clamp(-_MOST_CORRECTION_RAD, _MOST_CORRECTION_RAD)
        error = torch.where(self.steered, back, self._heading) - yaw
        error = torch.atan2(error.sin(), error.cos())
        wish[:, 2] = torch.where(self._keeps_heading, self._ranges.heading_gain * error, wish[:, 2])
        wish = torch.minimum(torch.maximum(wish, self._low), self._high)
        wish[self._stands] = 0.0
        self.value += (wish - self.value) * min(self._period_s / self._ranges.fade_s, 1.0)
        return self.value

    def _draw(self, envs: torch.Tensor, yaw: torch.Tensor) -> None:
        ranges, count = self._ranges, len(envs)
        device = self.value.device
        share = torch.rand((count, 6), generator=self._generator, device=device)
        middle, half = 0.5 * (self._low + self._high), 0.5 * ranges.reach * (self._high - self._low)
        wish = middle + half * (2.0 * share[:, :3] - 1.0)
        zero = share[:, 3] < ranges.zero
        keeps = (share[:, 4] < ranges.straight) & ~zero
        steered = self.steered[envs]
        keeps |= steered & ~zero
        wish[:, 0] = torch.where(steered, wish[:, 0].clamp(min=_LEAST_AHEAD * float(self._high[0])), wish[:, 0])
        self._stands[envs] = zero
        self._wish[envs], self._keeps_heading[envs], self._heading[envs] = wish, keeps, yaw
        self._left_s[envs] = ranges.hold_s[0] + (ranges.hold_s[1] - ranges.hold_s[0]) * share[:, 5]


class BatchGaitClock:
    """`vm_core.gait_clock.GaitClock` for N robots at once; a test holds both against each other."""

    def __init__(self, num: int, step_s: float, fade_steps: float = 0.0, device: torch.device | str = "cpu") -> None:
        self._step_s, self._rest_s = step_s, RAMP_S + fade_steps * step_s
        self._since_s = torch.full((num,), float("nan"), device=device)  # NaN: at rest
        self._walk_s = torch.full((num,), float("inf"), device=device)

    def reset(self, envs: torch.Tensor) -> None:
        """Robots (E,) at rest."""
        self._since_s[envs] = float("nan")
        self._walk_s[envs] = float("inf")

    def update(self, command: torch.Tensor, period_s: float) -> torch.Tensor:
        """The phase (N, 2) for this control period under commands (N, 3); then time goes on."""
        wanted = command.abs().amax(1) > LEAST_COMMAND
        rest, endless = self._since_s.isnan(), torch.full_like(self._walk_s, float("inf"))
        begins = rest & wanted
        self._since_s = torch.where(begins, torch.full_like(self._since_s, -RAMP_S), self._since_s)
        self._walk_s = torch.where(begins | (wanted & (self._since_s < self._walk_s)), endless, self._walk_s)
        stops = ~wanted & self._walk_s.isinf() & ~self._since_s.isnan()
        steps = (self._since_s / self._step_s).floor().clamp(min=-1.0) + 1.0 + STEPS_TO_REST
        self._walk_s = torch.where(stops, steps * self._step_s, self._walk_s)
        fade = (1.0 + self._since_s / RAMP_S).clamp(0.0, 1.0)
        fade = fade * ((self._walk_s + RAMP_S - self._since_s) / self._rest_s).clamp(0.0, 1.0)
        angle = torch.pi * self._since_s / self._step_s
        phase = (fade[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)).nan_to_num(0.0)
        self._since_s = self._since_s + period_s
        over = (self._since_s >= self._walk_s + RAMP_S).nonzero()[:, 0]
        self.reset(over)
        return phase
