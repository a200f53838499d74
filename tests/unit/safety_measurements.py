"""What the tests of the safety package measure: a robot that stands, with changes."""

from dataclasses import replace

import numpy as np

from vm_core import frames, g1
from vm_core.height_grid import HeightGridSpec
from vm_policy_node.inputs import Grid, Odometry, RobotState
from vm_policy_node.safety import Measurement, Needs, SafetyLimits, SafetyMonitor

LIMITS = SafetyLimits()
BLIND = Needs()
SPEC = HeightGridSpec()
SEEING = Needs(grid=SPEC)
POSITIONED = Needs(odometry=True)
STAND = g1.DEFAULT_STAND_POSE
KNEE = g1.motor_index("left_knee_joint")
LEVEL = np.array([1.0, 0.0, 0.0, 0.0])
FLAT = np.zeros(SPEC.num_cells)


def state(tick: int = 20, **changes) -> RobotState:
    values = {
        "joint_pos": STAND.copy(),
        "joint_vel": np.zeros(29),
        "quat_wxyz": LEVEL,
        "ang_vel_body": np.zeros(3),
        "tick": tick,
        "mode_machine": 5,
        "crc_ok": True,
        "remote": bytes(40),
        "voltage_v": np.full(29, 50.0),
        "modes": np.ones(29, dtype=np.uint8),
    }
    return RobotState(**(values | changes))


def measured(tick: int = 20, *, about: dict | None = None, **changes) -> Measurement:
    """A measurement with changes to the robot's state, and `about` with changes to the rest."""
    return replace(Measurement(state(tick, **changes), 0.002), **(about or {}))


def tilted(angle: float) -> np.ndarray:
    return frames.quat_from_rotvec(np.array([0.0, angle, 0.0]))


def one(value: float, rest: np.ndarray | float = 0.0, dtype: type = float) -> np.ndarray:
    """Numbers of all motors; the left knee's is `value`."""
    values = np.array(np.broadcast_to(rest, 29), dtype=dtype)
    values[KNEE] = value
    return values


def trips(m: Measurement, needs: Needs = BLIND, limits: SafetyLimits = LIMITS) -> str | None:
    return SafetyMonitor(limits).update(m, needs, 0.0)


def grid(height=FLAT, torso: float = 0.8, spec=SPEC, age: float = 0.01, scan_age: float | None = 0.1) -> dict:
    return {"grid": Grid(torso, height, spec, scan_age), "grid_age_s": age}


def odometry(x: float = 0.0, age: float = 0.01) -> dict:
    return {"odometry": Odometry(np.array([x, 0.0, 0.8]), np.zeros(3)), "odometry_age_s": age}
