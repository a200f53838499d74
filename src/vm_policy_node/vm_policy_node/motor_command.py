"""Motor targets to LowCmd bytes, in one buffer that is filled anew every period."""

from __future__ import annotations

import numpy as np

from vm_core import g1, unitree_cdr
from vm_core.action import MotorTargets
from vm_policy_node.inputs import RobotState

MOTOR_ENABLED = 1


class MotorCommand:
    """The LowCmd of the robot's 29 motors.

    Attributes:
        record: the message, shape (); valid until the next call.
        picture_ms: stamp of the depth picture that the targets come from; echoed, too.
    """

    def __init__(self, *, damping_kd: float, torque_margin: float, echo_tick: bool) -> None:
        """Prepares the buffer.

        Args:
            damping_kd: velocity gain of every joint while damping [Nm s/rad].
            torque_margin: a target may ask at most this multiple of a motor's torque limit.
            echo_tick: write the state's tick into LowCmd.reserve[0] and the depth picture's stamp [ms] into
                reserve[1], for latency measurements.
        """
        self._damping_kd = np.full(g1.NUM_MOTORS, damping_kd)
        self._reach = torque_margin * g1.TORQUE_LIMIT
        self._echo_tick = echo_tick
        self.picture_ms = 0
        self.record = unitree_cdr.new_low_cmd()
        unitree_cdr.set_motors(self.record, "mode", np.full(g1.NUM_MOTORS, MOTOR_ENABLED, dtype=np.uint8))

    def towards(self, targets: MotorTargets, state: RobotState) -> np.ndarray:
        """Targets, each limited to what its motor can turn into torque."""
        reach = self._reach / np.maximum(targets.kp, 1e-6)
        position = targets.position.clip(state.joint_pos - reach, state.joint_pos + reach)
        return self._fill(position, targets.kp, targets.kd, state)

    def damping(self, state: RobotState | None) -> np.ndarray:
        """No position gain; every joint sinks against its velocity gain."""
        zeros = np.zeros(g1.NUM_MOTORS)
        return self._fill(zeros, zeros, self._damping_kd, state)

    def _fill(self, position: np.ndarray, kp: np.ndarray, kd: np.ndarray, state: RobotState | None) -> np.ndarray:
        record = self.record
        record["mode_machine"] = 0 if state is None else state.mode_machine
        for name, values in (("q", position), ("kp", kp), ("kd", kd)):
            unitree_cdr.set_motors(record, name, values)
        if self._echo_tick and state is not None:
            record["reserve"][0] = state.tick
            record["reserve"][1] = self.picture_ms & 0xFFFFFFFF
        record["crc"] = unitree_cdr.low_cmd_crc(record)
        return record
