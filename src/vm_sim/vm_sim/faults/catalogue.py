"""The one table of faults: what happens, where a walking robot's controller must end, within which time, and why."""

from __future__ import annotations

from dataclasses import dataclass

from vm_core.errors import VmError

DAMPING, RUNNING = "DAMPING", "RUNNING"
POLICY_INPUTS = ("", "grid", "odometry", "command", "depth")


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: what it is played by.
        text: what happens.
        end: the state that a controller which was walking must be in after `within_s`.
        within_s: time from the fault's beginning [s].
        cause: how the cause of damping must begin; empty: any.
        needs: an input that the policy must read for the fault to matter; one of POLICY_INPUTS.
    """

    name: str
    text: str
    end: str
    within_s: float
    cause: str = ""
    needs: str = ""


def _damps(name: str, text: str, within_s: float, cause: str, needs: str = "") -> Fault:
    return Fault(name, text, DAMPING, within_s, cause, needs)


def _passes(name: str, text: str, within_s: float = 1.5, needs: str = "") -> Fault:
    return Fault(name, text, RUNNING, within_s, "", needs)


FAULTS: tuple[Fault, ...] = (
    _damps("state_silent", "no LowState comes any more", 0.2, "stale state"),
    _damps("state_frozen", "the same LowState comes again and again", 0.2, "stale state"),
    _damps("state_delayed", "every LowState comes 0.2 s late", 0.2, "stale state"),
    _damps("state_lagging", "LowStates pile up: the robot's clock runs at a third of its speed", 1.2, "delayed state"),
    _passes("state_gap", "one gap of 60 ms in the LowStates"),
    _passes("state_swapped", "neighbouring LowStates change places"),
    _passes("state_doubled", "every LowState comes twice"),
    _passes("state_jitter", "LowStates come 0 to 10 ms late, in any order"),
    _damps("crc_wrong", "every LowState has a wrong checksum", 0.2, "crc"),
    _damps("crc_often", "two of five LowStates have a wrong checksum", 1.2, "crc"),
    _passes("crc_rarely", "one of fifty LowStates has a wrong checksum"),
    _damps("state_truncated", "LowStates are cut short", 0.2, "crc"),
    _damps("state_big_endian", "LowStates come in the other byte order", 0.2, "crc"),
    _damps("robot_restarted", "the robot's clock begins anew", 0.1, "restart"),
    _damps("position_nan", "a joint's position is not a number", 0.1, "nan: joint position"),
    _damps("velocity_nan", "a joint's velocity is not a number", 0.1, "nan: joint velocity"),
    _damps("torque_nan", "a joint's torque is not a number", 0.1, "nan: joint torque"),
    _damps("orientation_nan", "the orientation is not a number", 0.1, "nan: orientation"),
    _damps("gyroscope_nan", "the angular velocity is not a number", 0.1, "nan: angular velocity"),
    _damps("orientation_zero", "the orientation is all zeros", 0.1, "orientation"),
    _damps("imu_frozen", "the inertial unit repeats itself", 0.6, "frozen imu"),
    _damps("encoders_frozen", "the joints' positions and velocities repeat themselves", 0.6, "frozen encoders"),
    _damps("imu_tilted", "the inertial unit says that the robot lies", 0.1, "tilt"),
    _damps("gyroscope_runaway", "the angular velocity reads 20 rad/s", 0.1, "turn rate"),
    _damps("encoder_jump", "a joint's position is off by 0.9 rad from one moment to the next", 0.1, "joint jump"),
    _damps("encoder_beyond", "a joint's position lies beyond its range", 0.1, "joint limit"),
    _damps("joint_too_fast", "a joint moves at twice its motor's speed", 0.1, "joint velocity"),
    _damps("motor_overtorque", "a motor gives twice its torque", 0.3, "joint torque"),
    _damps("motor_hot", "a motor is at 110 °C", 0.1, "temperature"),
    _damps("motor_fault", "a motor reports overcurrent", 0.1, "motor fault"),
    _damps("motor_dead", "a knee's motor switches itself off", 0.1, "motor off"),
    _damps("battery_low", "the supply sags to 38 V", 2.2, "battery"),
    _passes("battery_dip", "the supply sags to 38 V for a second"),
    _damps("power_cut", "motors without power, and no LowState", 0.2, "stale state"),
    _damps("mode_machine_wrong", "the robot says that it is another type", 0.1, "mode_machine"),
    _damps("mode_pr_wrong", "the robot drives ankles and waist by their rods", 0.1, "mode_pr"),
    _damps("pushed_over", "somebody pushes the robot over", 4.0, ""),
    _damps("remote_stop", "L2 and B on the remote", 0.1, "operator"),
    _passes("remote_nan", "the remote's sticks are not numbers"),
    _damps("estop", "true on the e-stop topic", 0.2, "e-stop"),
    _damps("second_publisher", "somebody else publishes motor commands", 1.0, "another publisher"),
    _damps("odometry_silent", "no odometry comes any more", 0.3, "stale odometry", "odometry"),
    _damps("odometry_nan", "the odometry is not a number", 0.3, "stale odometry", "odometry"),
    _damps("odometry_frozen", "the odometry repeats itself", 0.8, "frozen odometry", "odometry"),
    _damps(
        "odometry_jump", "the odometry is off by a metre from one moment to the next", 0.1, "odometry jump", "odometry"
    ),
    _damps("grid_silent", "no height grid comes any more", 0.7, "stale grid", "grid"),
    _damps("grid_wrong_size", "the height grid has other cells than the policy was trained on", 0.1, "grid", "grid"),
    _damps("grid_nan", "the height grid's torso is not a number", 0.1, "grid", "grid"),
    _damps("grid_infinite", "the height grid has endless heights", 0.1, "grid", "grid"),
    _damps("grid_far", "the height grid lies 50 m off", 0.1, "grid", "grid"),
    _damps("grid_unknown", "the height grid knows no cell", 0.7, "grid", "grid"),
    _damps("lidar_silent", "no scan comes any more, the height grid lives on memory", 1.5, "stale scan", "grid"),
    _damps("lidar_frozen", "the same scan comes again and again", 1.5, "stale scan", "grid"),
    _damps("depth_silent", "no depth picture comes any more", 0.4, "stale depth", "depth"),
    _damps("depth_frozen", "the same depth picture comes again and again", 1.5, "frozen depth", "depth"),
    _damps("depth_zero", "the depth picture is all zeros", 0.7, "depth", "depth"),
    _damps("depth_wrong_size", "depth pictures have another size than their camera says", 0.4, "depth", "depth"),
    _damps("depth_wrong_encoding", "depth pictures come as colours", 0.4, "depth", "depth"),
    _damps("depth_nan", "depth pictures of floats are not numbers", 0.7, "depth", "depth"),
    _damps("depth_upside_down", "the depth camera stands on its head, with floor before it", 2.0, "depth", "depth"),
    _passes("depth_empty", "the object is out of the camera's sight: after 5 s it stands still", 7.0, "depth"),
    _passes("command_stale", "nobody gives velocity commands any more: it slows down and stands", 2.5, "command"),
    _passes("command_nan", "the velocity command is not a number", 2.5, "command"),
    _passes("command_huge", "the velocity command is a billion metres a second", 1.0, "command"),
)
WALKER_FAULTS: tuple[Fault, ...] = tuple(fault for fault in FAULTS if fault.needs != "depth")
"""Those that a policy without a camera feels."""
_BY_NAME = {fault.name: fault for fault in FAULTS}


def find_fault(name: str) -> Fault:
    """A fault by its name.

    Raises:
        VmError: there is none of that name.
    """
    if name not in _BY_NAME:
        raise VmError(f"no fault {name!r}; there are {', '.join(_BY_NAME)}")
    return _BY_NAME[name]


def table() -> str:
    """All faults, one a line."""
    rows = [("fault", "end", "within", "cause", "needs", "what happens")]
    rows += [(f.name, f.end, f"{f.within_s:.1f} s", f.cause or "-", f.needs or "-", f.text) for f in FAULTS]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join([*(f"{cell:{w}}" for cell, w in zip(row, widths, strict=False)), row[5]]) for row in rows
    )
