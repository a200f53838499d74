"""How the controller stands up, hands over and sinks, and what an operator can ask of it."""

from __future__ import annotations

from dataclasses import dataclass

OPERATOR = "operator"
"""The cause of a stop that a person asked for."""


@dataclass(frozen=True)
class ControllerConfig:
    """Times and gains.

    Attributes:
        stand_duration_s: time from the measured pose to the start pose.
        blend_s: time over which targets and gains go from standing to the policy's.
        switch_s: least time over which targets and gains go from one policy to the other.
        damping_kd: velocity gain of every joint while damping [Nm s/rad].
        torque_margin: a target may ask at most this multiple of a motor's torque limit.
        align_reference: move the reference clip to where the robot stands when the policy starts.
        object_lost_s: a visual policy stands still after so long with nothing in view.
        echo_tick: write the state's tick into LowCmd.reserve[0], for latency measurements.
    """

    stand_duration_s: float = 2.0
    blend_s: float = 0.1
    switch_s: float = 0.5
    damping_kd: float = 5.0
    torque_margin: float = 2.0
    object_lost_s: float = 5.0
    align_reference: bool = False
    echo_tick: bool = False

    def __post_init__(self) -> None:
        for name in ("stand_duration_s", "blend_s", "switch_s", "damping_kd", "torque_margin", "object_lost_s"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
