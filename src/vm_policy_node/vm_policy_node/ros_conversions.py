"""Between ROS messages and the plain records of the controller. xyzw quaternions exist only here."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import FloatingPointRange, Log, ParameterDescriptor
from sensor_msgs.msg import CameraInfo, Image

from vm_core import frames
from vm_core.errors import VmError
from vm_core.height_grid import MOST_SAMPLES, HeightGridSpec
from vm_msgs.msg import HeightGrid, PolicyStatus, RootCommand
from vm_policy_node.controller import Controller
from vm_policy_node.inputs import Grid
from vm_policy_node.parameters import Parameter
from vm_policy_node.root_command import RootCommandMixer, read_path
from vm_policy_node.safety import State
from vm_policy_node.visual.depth_input import RawPicture


def grid_from_msg(msg: HeightGrid) -> Grid:
    """The grid of a message; contradicting sizes are caught by the controller."""
    resolution = float(msg.resolution) if 0.0 < msg.resolution < 10.0 else 1e-3
    ahead = float(msg.center_x) if abs(msg.center_x) < 10.0 else 0.0
    leans, samples = bool(msg.full_attitude), min(max(int(msg.samples_per_side), 1), MOST_SAMPLES)
    sizes = (max(int(msg.size_x), 1), max(int(msg.size_y), 1))
    spec = HeightGridSpec(*sizes, resolution, leans, ahead, 1 if leans else samples)
    sent, scanned = (t.sec + 1e-9 * t.nanosec for t in (msg.header.stamp, msg.scan_stamp))
    scan_age_s = max(sent - scanned, 0.0) if scanned > 0.0 else math.inf
    return Grid(float(msg.grid_pose.position.z), np.asarray(msg.height, dtype=float), spec, scan_age_s)


def pelvis_from_msg(msg: Odometry) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Position (3,) [m], orientation (4,) wxyz and velocity (3,) [m/s] in the odometry's frame.

    A twist is given in the child frame (REP-105), here the pelvis.
    """
    p, q, v = msg.pose.pose.position, msg.pose.pose.orientation, msg.twist.twist.linear
    quat = np.array([q.w, q.x, q.y, q.z])
    return np.array([p.x, p.y, p.z]), quat, frames.quat_rotate(quat, np.array([v.x, v.y, v.z]))


def take_path(command: RootCommandMixer, data: bytes, odometry_frame: str) -> str:
    """Hands over a nav_msgs/Path; one that cannot be followed ends following. Returns why it is not followed."""
    try:
        path = read_path(data)
    except VmError as error:
        command.path.clear()
        return str(error)
    if path.frame and path.frame != odometry_frame:
        command.path.clear()
        return f"path in the frame {path.frame!r}; the odometry's is {odometry_frame!r}"
    return command.on_path(path.points, path.final_yaw)


def root_command_msg(controller: Controller, stamp: Time) -> RootCommand:
    """What the policy is asked for, and by whom."""
    vx, vy, yaw_rate = (float(value) for value in controller.command.value)
    msg = RootCommand(vx=vx, vy=vy, yaw_rate=yaw_rate, source=controller.command.source)
    msg.header.stamp, msg.header.frame_id = stamp, "pelvis"
    return msg


def guarded(
    callback: Callable[[bytes, float], None], complain: Callable[[str], None]
) -> Callable[[bytes, float], None]:
    """A callback that drops messages which it cannot read, saying so: whoever sends them must not end the node.

    What it read before goes stale by itself, and that trips.
    """

    def call(data: bytes, came_s: float) -> None:
        try:
            callback(data, came_s)
        except Exception as error:  # rmw raises its own kinds for broken bytes
            complain(f"message of {len(data)} bytes dropped ({(str(error).splitlines() or ['?'])[0][:100]})")

    return call


def type_name(kind: Any) -> str:
    """A message class's name as recordings have it, such as nav_msgs/msg/Odometry."""
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"


def descriptor(parameter: Parameter) -> ParameterDescriptor:
    """What ROS tells of a parameter and checks when it is set."""
    described = ParameterDescriptor(description=parameter.text, read_only=not parameter.changeable)
    if parameter.low is not None and parameter.high is not None:
        described.floating_point_range = [FloatingPointRange(from_value=parameter.low, to_value=parameter.high)]
    return described


def log_msg(text: str, stamp: Time, *, error: bool) -> Log:
    """An event for the flight recorder."""
    level = Log.ERROR if error else Log.INFO
    return Log(stamp=stamp, level=level, name="vm_policy_node", msg=text)


def picture_from_msg(msg: Image) -> RawPicture:
    """The plain parts of a depth picture."""
    stamp_ms = 1000 * msg.header.stamp.sec + msg.header.stamp.nanosec // 1_000_000
    data = memoryview(msg.data)
    return RawPicture(msg.width, msg.height, msg.encoding, msg.step, bool(msg.is_bigendian), data, stamp_ms)


def camera_from_msg(msg: CameraInfo) -> tuple[int, int, float, float, float, float]:
    """Size, focal lengths and principal point [px]."""
    return msg.width, msg.height, float(msg.k[0]), float(msg.k[4]), float(msg.k[2]), float(msg.k[5])


def status_msg(
    controller: Controller, stamp: Time, now_s: float, period_ms: float, inference_ms: float
) -> PolicyStatus:
    """The controller's state for people and benchmarks."""
    msg, idle = PolicyStatus(), controller.machine.state == State.IDLE
    msg.header.stamp = stamp
    msg.header.frame_id = "pelvis"
    msg.state = int(controller.machine.state)
    msg.policy = controller.policy.name
    msg.cause = controller.machine.cause or controller.trip or (controller.obstacle if idle else "") or ""
    msg.state_tick = 0 if controller.state is None else controller.state.tick
    msg.period_ms, msg.inference_ms = period_ms, inference_ms
    msg.state_age_ms = controller.age_ms("state", now_s)
    grid_age_ms = controller.age_ms("grid", now_s)
    msg.grid_age_ms = -1.0 if math.isnan(grid_age_ms) else grid_age_ms
    msg.clip_phase = controller.clip_phase
    msg.command = controller.command.value.astype(np.float32)
    return msg


def diagnostics_msg(controller: Controller, stamp: Time, now_s: float, figures: dict[str, float]) -> DiagnosticArray:
    """One status: ERROR while damping, WARN while something keeps the robot from standing, else OK."""
    status = DiagnosticStatus(name="vm_policy_node: control", hardware_id="g1")
    level, message = DiagnosticStatus.OK, controller.machine.state.name
    if controller.machine.state == State.DAMPING:
        level, message = DiagnosticStatus.ERROR, f"DAMPING: {controller.machine.cause}"
    elif controller.machine.state == State.IDLE and controller.obstacle:
        level, message = DiagnosticStatus.WARN, f"IDLE: {controller.obstacle}"
    elif controller.monitor.complaint:
        level, message = DiagnosticStatus.WARN, f"{controller.machine.state.name}: {controller.monitor.complaint}"
    status.level, status.message = level, message
    ages = {f"{what}_age_ms": controller.age_ms(what, now_s) for what in ("state", "grid", "odometry", "depth")}
    values = {"policy": controller.policy.name, "command_source": controller.command.source}
    if controller.needs.depth is not None:
        values["task"] = "on" if controller.task.on else f"off {controller.task.reason}".strip()
        floor = controller.floor_view
        if floor is not None:
            values |= {"picture_standing": f"{floor.standing:.4f}", "picture_below_floor": f"{floor.below:.4f}"}
    numbers = {key: f"{value:.2f}" for key, value in (figures | ages).items() if not math.isnan(value)}
    status.values = [KeyValue(key=key, value=value) for key, value in (values | numbers).items()]
    msg = DiagnosticArray(status=[status])
    msg.header.stamp = stamp
    return msg
