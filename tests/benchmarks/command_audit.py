"""Holds every motor command against what a robot of 35 kg may be told."""

from __future__ import annotations

import numpy as np

from vm_core import g1, unitree_cdr
from vm_policy_node.inputs import RobotState
from vm_policy_node.safety import State

MAX_KP, MAX_KD = 300.0, 10.0
TORQUE_FACTOR = 2.0
"""Of a motor's limit: what a position target may ask for before the motor itself cuts it."""
_WRISTS = [g1.motor_index(name) for name in g1.WRIST_JOINT_NAMES]


class CommandAudit:
    """Looks at every command.

    Attributes:
        seen: how many.
        outside: what was wrong with those outside the limits, with their times.
    """

    def __init__(self) -> None:
        self.seen = 0
        self.outside: list[str] = []

    def look(self, now_s: float, state: State, robot: RobotState | None, record: np.ndarray | None) -> None:
        """One control period's command, and the robot state that it was computed from."""
        if record is None:
            if state != State.IDLE:
                self.outside.append(f"{now_s:.2f} s: no command in {state.name}")
            return
        self.seen += 1
        wrong = find_wrong(record, state, robot)
        if wrong:
            self.outside.append(f"{now_s:.2f} s: {wrong}")


def find_wrong(record: np.ndarray, state: State, robot: RobotState | None) -> str:
    """What is wrong with a command, or ""."""
    q, dq, tau, kp, kd = (
        unitree_cdr.get_motors(record, name)[: g1.NUM_MOTORS].astype(float) for name in ("q", "dq", "tau", "kp", "kd")
    )
    modes = unitree_cdr.get_motors(record, "mode")
    measured = None if robot is None else robot.joint_pos
    conditions = {
        "idle robots get no command": state != State.IDLE,
        "checksum": int(record["crc"]) == unitree_cdr.low_cmd_crc(record),
        "finite": bool(np.isfinite([q, dq, tau, kp, kd]).all()),
        "modes": bool(np.all(modes[: g1.NUM_MOTORS] == 1) and not modes[g1.NUM_MOTORS :].any()),
        "mode_pr": int(record["mode_pr"]) == 0,
        "no velocity or torque of its own": not dq.any() and not tau.any(),
        "gains": bool(np.all((kp >= 0) & (kp <= MAX_KP) & (kd > 0) & (kd <= MAX_KD))),
    }
    if state == State.DAMPING:
        conditions["no position gain while damping"] = not kp.any()
    elif measured is not None:
        conditions["mode_machine"] = robot is not None and int(record["mode_machine"]) == robot.mode_machine
        asked = np.abs(kp * (q - measured)) / g1.TORQUE_LIMIT
        conditions["torque asked for"] = bool(np.all(asked <= TORQUE_FACTOR * 1.001 + 1e-3))
        conditions["wrists held"] = bool(np.all(np.abs(q[_WRISTS]) < 0.8) and np.all(kp[_WRISTS] > 0.0))
    return ", ".join(name for name, holds in conditions.items() if not holds)
