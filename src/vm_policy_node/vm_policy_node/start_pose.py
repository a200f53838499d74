"""The way from wherever the robot is to the policy's start pose, and from there into the policy, without a jump."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core import g1
from vm_core.action import MotorTargets

STAND_KP = {"hip_pitch": 200.0, "knee": 200.0, "ankle_pitch": 200.0, "ankle_roll": 100.0}
"""Least gains [Nm/rad] while standing. A 33 kg body with its centre at 0.7 m falls like a spring of -230 Nm/rad; two
ankles at a policy's 20-40 Nm/rad do not hold it, two at 200 do."""
STAND_KD = {"hip_pitch": 5.0, "knee": 5.0, "ankle_pitch": 5.0, "ankle_roll": 3.0}
MAX_SAG_RAD = 0.4


@dataclass(frozen=True)
class StartPoseMove:
    """A smooth move with constant gains; positions and gains in motor order (29,)."""

    start: np.ndarray
    goal: MotorTargets
    pose: np.ndarray

    @staticmethod
    def plan(joint_pos: np.ndarray, torque: np.ndarray, pose: MotorTargets, policy: MotorTargets) -> StartPoseMove:
        """Plans the move.

        Args:
            joint_pos: measured positions [rad].
            torque: measured torques [Nm]; the first target reproduces them, so the take-over is not felt.
            pose: where the joints shall be.
            policy: the policy's target and gains there; its target may carry feed-forward torque.
        """
        kp, kd = np.maximum(policy.kp, _least(STAND_KP)), np.maximum(policy.kd, _least(STAND_KD))
        feed_forward = policy.kp * (policy.position - pose.position)
        goal = MotorTargets(pose.position + feed_forward / np.maximum(kp, 1e-6), kp, kd)
        held = np.clip(torque, -g1.TORQUE_LIMIT, g1.TORQUE_LIMIT) / np.maximum(kp, 1e-6)
        return StartPoseMove(joint_pos + held, goal, pose.position)

    def at(self, share: float) -> MotorTargets:
        """Targets at a share 0..1 of the way; cubic, at rest at both ends."""
        s = min(max(share, 0.0), 1.0)
        s = s * s * (3.0 - 2.0 * s)
        return MotorTargets(self.start + s * (self.goal.position - self.start), self.goal.kp, self.goal.kd)

    def hand_over(self, policy: MotorTargets, share: float) -> MotorTargets:
        """Between the standing goal (share 0) and the policy (share 1), in torque: kp·target and gains are blended."""
        kp = self.goal.kp + share * (policy.kp - self.goal.kp)
        kd = self.goal.kd + share * (policy.kd - self.goal.kd)
        push = (1.0 - share) * self.goal.kp * self.goal.position + share * policy.kp * policy.position
        return MotorTargets(push / np.maximum(kp, 1e-6), kp, kd)

    def is_near(self, joint_pos: np.ndarray) -> bool:
        """Whether every joint is at the start pose, but for its sag under load."""
        return bool(np.max(np.abs(joint_pos - self.pose)) < MAX_SAG_RAD)


def _least(table: dict[str, float]) -> np.ndarray:
    keys = [name.removesuffix("_joint").removeprefix("left_").removeprefix("right_") for name in g1.MOTOR_NAMES]
    return np.array([table.get(key, 0.0) for key in keys])
