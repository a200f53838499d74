"""From one running policy into another without a bump: both run, and the targets go over in small steps."""

from __future__ import annotations

import numpy as np

from vm_core.action import MotorTargets
from vm_policy_node.policy_runner import PolicyRunner
from vm_policy_node.start_pose import hand_over

MAX_STEP_RAD = 0.05
"""What the switch itself may add to a joint's target in one period; the policies' own motion comes on top."""


class PolicySwitch:
    """Carries the share of the new policy from 0 to 1.

    Attributes:
        old, new: both run until the end.
        share: of the new policy, so far.
        largest_step_rad: what the switch has added to a joint's target in one period, at most.
    """

    def __init__(self, old: PolicyRunner, new: PolicyRunner, duration_s: float) -> None:
        self.old, self.new = old, new
        self.share = 0.0
        self.largest_step_rad = 0.0
        self._duration_s = duration_s

    @property
    def ended(self) -> bool:
        return self.share >= 1.0

    def blend(self, old: MotorTargets, new: MotorTargets, period_s: float) -> MotorTargets:
        """The targets for this period; the share rises by the period's part of the duration, or by less."""
        here = hand_over(old, new, self.share).position
        rise = period_s / self._duration_s
        while True:
            share = min(self.share + rise, 1.0)
            targets = hand_over(old, new, share)
            step = float(np.abs(targets.position - here).max())
            if step <= MAX_STEP_RAD:
                break
            rise = 0.8 * (share - self.share) * MAX_STEP_RAD / step
        self.share = share
        self.largest_step_rad = max(self.largest_step_rad, step)
        return targets
