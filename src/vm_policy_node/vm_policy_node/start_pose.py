"""The way from wherever the robot is to the policy's start pose, and from there into the policy, without a jump."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core import frames, g1
from vm_core.action import MotorTargets
from vm_policy_node.inputs import RobotState

STAND_KP = {"hip_pitch": 200.0, "knee": 200.0, "ankle_pitch": 150.0, "ankle_roll": 100.0}
"""Least gains [Nm/rad] while standing. A 33 kg body with its centre at 0.7 m falls like a spring of -230 Nm/rad; two
ankles at a policy's 20-40 Nm/rad do not hold it, two at 150 do, with the ankle strategy below."""
STAND_KD = {"hip_pitch": 5.0, "knee": 5.0, "ankle_pitch": 5.0, "ankle_roll": 3.0}
MAX_SAG_RAD = 0.4
LEAN_GAIN = 1.5
LEAN_RATE_GAIN_S = 0.1
MAX_ANKLE_HELP_RAD = 0.3
"""Ankle strategy: leaning forward pushes the toes down. Without it the lean of the soft joints adds up to a fall."""
_ANKLES = [g1.motor_index(f"{side}_ankle_pitch_joint") for side in ("left", "right")]


@dataclass(frozen=True)
class StartPoseMove:
    """A smooth move with constant gains; positions and gains in motor order (29,)."""

    start: np.ndarray
    goal: MotorTargets
    pose: np.ndarray

    @staticmethod
    def plan(joint_pos: np.ndarray, pose: MotorTargets, policy: MotorTargets) -> StartPoseMove:
        """Plans the move.

        Args:
            joint_pos: measured positions [rad], the first target: the motors take over without a push.
            pose: where the joints shall be.
            policy: the policy's target and gains there; its target may carry feed-forward torque.
        """
        kp, kd = np.maximum(policy.kp, _least(STAND_KP)), np.maximum(policy.kd, _least(STAND_KD))
        feed_forward = policy.kp * (policy.position - pose.position)
        goal = MotorTargets(pose.position + feed_forward / np.maximum(kp, 1e-6), kp, kd)
        return StartPoseMove(joint_pos.copy(), goal, pose.position)

    def at(self, share: float, lean_rad: float = 0.0, lean_rate: float = 0.0) -> MotorTargets:
        """Targets at a share 0..1 of the way; cubic, at rest at both ends.

        Args:
            share: of the way.
            lean_rad: how far the pelvis leans forward of where it shall be [rad].
            lean_rate: its speed [rad/s].
        """
        s = min(max(share, 0.0), 1.0)
        s = s * s * (3.0 - 2.0 * s)
        position = self.start + s * (self.goal.position - self.start)
        help_rad = LEAN_GAIN * lean_rad + LEAN_RATE_GAIN_S * lean_rate
        position[_ANKLES] += np.clip(help_rad, -MAX_ANKLE_HELP_RAD, MAX_ANKLE_HELP_RAD)
        return MotorTargets(position, self.goal.kp, self.goal.kd)

    def is_near(self, joint_pos: np.ndarray) -> bool:
        """Whether every joint is at the start pose, but for its sag under load."""
        return bool(np.max(np.abs(joint_pos - self.pose)) < MAX_SAG_RAD)


class Standing:
    """Moves to the start pose, balances there, and hands over to the policy."""

    def __init__(self, duration_s: float, blend_s: float) -> None:
        """Args: time of the move, time of the hand-over [s]."""
        self._duration_s, self._blend_s = duration_s, blend_s
        self._move: StartPoseMove | None = None
        self._last: MotorTargets | None = None
        self._pitch_rad = 0.0

    def plan(
        self, state: RobotState, pose: MotorTargets, policy: MotorTargets, first_quat_wxyz: np.ndarray | None
    ) -> None:
        """Begins a move from the measured pose; the pelvis shall lean as in the clip's first frame, if there is one."""
        self._move = StartPoseMove.plan(state.joint_pos, pose, policy)
        self._pitch_rad = 0.0 if first_quat_wxyz is None else pitch_rad(first_quat_wxyz)

    def targets(self, elapsed_s: float, state: RobotState) -> MotorTargets:
        """Targets at a time since the beginning."""
        assert self._move is not None  # plan() comes with the state
        lean_rad = pitch_rad(state.quat_wxyz) - self._pitch_rad
        self._last = self._move.at(elapsed_s / self._duration_s, lean_rad, float(state.ang_vel_body[1]))
        return self._last

    def arrived(self, elapsed_s: float, state: RobotState) -> bool:
        """Whether the move has ended near its goal."""
        return elapsed_s >= self._duration_s and self._move is not None and self._move.is_near(state.joint_pos)

    def hand_over(self, policy: MotorTargets, elapsed_s: float) -> MotorTargets:
        """From the last standing targets to the policy's, at a time since the policy began."""
        if self._last is None or elapsed_s >= self._blend_s:
            self._last = None
            return policy
        return hand_over(self._last, policy, elapsed_s / self._blend_s)


def hand_over(last: MotorTargets, policy: MotorTargets, share: float) -> MotorTargets:
    """Between the last standing targets (share 0) and the policy's (1), in torque: kp·target and gains blend."""
    kp = last.kp + share * (policy.kp - last.kp)
    kd = last.kd + share * (policy.kd - last.kd)
    push = (1.0 - share) * last.kp * last.position + share * policy.kp * policy.position
    return MotorTargets(push / np.maximum(kp, 1e-6), kp, kd)


def pitch_rad(quat_wxyz: np.ndarray) -> float:
    """How far a body leans forward [rad]."""
    down = frames.quat_rotate_inverse(quat_wxyz, np.array([0.0, 0.0, -1.0]))
    return float(np.arctan2(down[0], -down[2]))


def _least(table: dict[str, float]) -> np.ndarray:
    keys = [name.removesuffix("_joint").removeprefix("left_").removeprefix("right_") for name in g1.MOTOR_NAMES]
    return np.array([table.get(key, 0.0) for key in keys])
