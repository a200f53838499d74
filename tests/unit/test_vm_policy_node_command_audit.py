"""The audit that benchmarks hold every motor command against: it sees each kind of fault in a command."""

import command_audit as audit
import controller_cases as cases
import numpy as np
import pytest

from vm_core import g1, unitree_cdr
from vm_core.action import MotorTargets
from vm_policy_node.inputs import read_low_state
from vm_policy_node.motor_command import MotorCommand
from vm_policy_node.safety import State

ROBOT = read_low_state(cases.low_state())
KNEE = g1.motor_index("left_knee_joint")


def commands() -> MotorCommand:
    return MotorCommand(damping_kd=5.0, torque_margin=2.0, echo_tick=False)


def stand() -> np.ndarray:
    full = np.full(g1.NUM_MOTORS, 40.0)
    return commands().towards(MotorTargets(cases.POSE.copy(), full, 0.05 * full), ROBOT).copy()


def changed(name: str, value: float, *, seal: bool = True) -> np.ndarray:
    record = stand()
    if name in (record.dtype.names or ()):
        record[name] = value
    else:
        unitree_cdr.set_motor(record, name, KNEE, value)
    if seal:
        record["crc"] = unitree_cdr.low_cmd_crc(record)
    return record


def test_sound_commands_pass():
    assert audit.find_wrong(stand(), State.RUNNING, ROBOT) == ""
    assert audit.find_wrong(commands().damping(ROBOT), State.DAMPING, ROBOT) == ""


@pytest.mark.parametrize(
    ("record", "state", "words"),
    [
        (stand(), State.IDLE, "idle"),
        (stand(), State.DAMPING, "no position gain while damping"),
        (changed("q", 0.0, seal=False), State.RUNNING, "checksum"),
        (changed("q", np.nan), State.RUNNING, "finite"),
        (changed("mode", 0), State.RUNNING, "modes"),
        (changed("mode_pr", 1), State.RUNNING, "mode_pr"),
        (changed("mode_machine", 4), State.RUNNING, "mode_machine"),
        (changed("dq", 1.0), State.RUNNING, "no velocity or torque"),
        (changed("tau", 1.0), State.RUNNING, "no velocity or torque"),
        (changed("kp", 500.0), State.RUNNING, "gains"),
        (changed("kd", -1.0), State.RUNNING, "gains"),
        (changed("q", 20.0), State.RUNNING, "torque asked for"),
    ],
)
def test_each_fault_is_seen(record, state, words):
    assert words in audit.find_wrong(record, state, ROBOT)


def test_the_audit_counts_and_misses_no_silence():
    one = audit.CommandAudit()
    one.look(0.0, State.IDLE, ROBOT, None)
    one.look(0.1, State.RUNNING, ROBOT, stand())
    assert (one.seen, one.outside) == (1, [])
    one.look(0.2, State.RUNNING, ROBOT, None)
    one.look(0.3, State.DAMPING, ROBOT, stand())
    assert [line.split(":")[0] for line in one.outside] == ["0.20 s", "0.30 s"]
