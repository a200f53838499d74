"""The one or two policies of a node: which runs, what they read, and the way from one to the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vm_core.action import MotorTargets
from vm_core.errors import VmError
from vm_policy_node.policy_runner import PolicyInputs, PolicyRunner
from vm_policy_node.policy_switch import PolicySwitch
from vm_policy_node.safety import Needs, SafetyLimits
from vm_policy_node.visual.visual_policy import AnyPolicy, VisualPolicy
from vm_policy_node.visual.visual_runner import VisualRunner


class LoadedPolicies:
    """Runs one of them, or both while one takes over from the other.

    Attributes:
        runners: of all policies.
        runner: that runs or would run.
        switch: from it to another one, while that lasts.
        period_s: control period of all.
    """

    def __init__(self, policies: list[AnyPolicy]) -> None:
        """The first one stands up and runs.

        Raises:
            VmError: control periods or height grids differ, or two of them see.
        """
        if len({policy.contract.control_period_s for policy in policies}) > 1:
            raise VmError("the two policies have different control periods; expected one")
        self.runners = [_runner(policy) for policy in policies]
        if sum(runner.needs.depth is not None for runner in self.runners) > 1:
            raise VmError("two visual policies; expected at most one, for there is one camera")
        if len({runner.needs.grid for runner in self.runners} - {None}) > 1:
            raise VmError("the two policies read height grids of different sizes; expected one, for there is one map")
        self.runner = self.runners[0]
        self.switch: PolicySwitch | None = None
        self.period_s = policies[0].contract.control_period_s

    @property
    def other(self) -> PolicyRunner | None:
        """The one that does not run."""
        return None if len(self.runners) < 2 else self.runners[1 - self.runners.index(self.runner)]

    @property
    def needs(self) -> Needs:
        """What any of them reads."""
        needs = [runner.needs for runner in self.runners]
        grid = next((n.grid for n in needs if n.grid is not None), None)
        depth = next((n.depth for n in needs if n.depth is not None), None)
        return Needs(grid, any(n.odometry for n in needs), depth)

    @property
    def at_work(self) -> list[PolicyRunner]:
        """The one that runs or would run; both while one takes over from the other."""
        return [self.runner] if self.switch is None else [self.switch.old, self.switch.new]

    @property
    def needs_now(self) -> Needs:
        """What those read that run at this moment."""
        if self.switch is None:
            return self.runner.needs_now
        old, new = self.switch.old.needs_now, self.switch.new.needs_now
        return Needs(old.grid or new.grid, old.odometry or new.odometry, old.depth or new.depth)

    @property
    def command_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Least and greatest root command (3,) that all at work know."""
        bounds = np.array([runner.contract.command_limits for runner in self.at_work], dtype=float)
        return bounds[..., 0].max(axis=0), bounds[..., 1].min(axis=0)  # each around 0: something is left

    def switch_to(self, runner: PolicyRunner, duration_s: float) -> None:
        """Lets another one, which has begun, take over within so long, or longer for a smooth way."""
        self.switch = PolicySwitch(self.runner, runner, duration_s)

    def step(self, inputs: PolicyInputs) -> MotorTargets:
        """Targets of all motors for this period; at the end of a switch the other one is what runs.

        Raises:
            NotFiniteError: an observation or a network's output is not a number.
        """
        if self.switch is None:
            return self.runner.step(inputs)
        old, new = self.switch.old.step(inputs), self.switch.new.step(inputs)
        targets = self.switch.blend(old, new, self.period_s)
        if self.switch.ended:
            self.runner, self.switch = self.switch.new, None
        return targets


def with_ages_of(limits: SafetyLimits, runners: Sequence[PolicyRunner]) -> SafetyLimits:
    """The limits with the greatest ages of grids and pictures that the contracts of all these policies allow."""
    reading = [runner for runner in runners if runner.needs.grid is not None] or runners[:1]
    ages_s = {"grid_timeout_s": min(runner.contract.height_grid_max_age_s for runner in reading)}
    seen_s = [runner.needs.depth.max_age_s for runner in runners if runner.needs.depth is not None]
    if seen_s:
        ages_s["depth_timeout_s"] = min(seen_s)
    ranges = SafetyLimits.describe()
    return replace(
        limits, **{name: min(max(age_s, ranges[name][0]), ranges[name][1]) for name, age_s in ages_s.items()}
    )


def _runner(policy: AnyPolicy) -> PolicyRunner:
    return VisualRunner(policy) if isinstance(policy, VisualPolicy) else PolicyRunner(policy)
