"""When the robot may move: a state machine with a latched damping state, and the checks that trip it.

Pure: the clock comes in with every call, nothing here knows ROS.
"""

from vm_policy_node.safety.checks import emergency_cause
from vm_policy_node.safety.limits import SafetyLimits
from vm_policy_node.safety.measurement import Measurement, Needs, tilt_rad
from vm_policy_node.safety.monitor import CHECKS, SafetyMonitor
from vm_policy_node.safety.start import start_refusal
from vm_policy_node.safety.state_machine import Answer, State, StateMachine

__all__ = [
    "CHECKS",
    "Answer",
    "Measurement",
    "Needs",
    "SafetyLimits",
    "SafetyMonitor",
    "State",
    "StateMachine",
    "emergency_cause",
    "start_refusal",
    "tilt_rad",
]
