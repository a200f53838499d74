"""The ROS skin of the controller: raw LowState in, raw LowCmd out, 50 times a second.

The control step runs on the first robot state that arrives once a period is over, so that it acts on a state of that
very moment; a timer steps instead when no state comes, because the watchdog must work without input.
"""

from __future__ import annotations

import gc
import json
import signal
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import rclpy.signals
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_srvs.srv import Trigger
from unitree_hg.msg import LowCmd, LowState

from vm_core import command_line
from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_msgs.msg import HeightGrid, PolicyStatus
from vm_policy_node import ros_conversions
from vm_policy_node.controller import OPERATOR, Controller, ControllerConfig
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.root_command import CommandConfig
from vm_policy_node.safety import SafetyLimits, State

EARLY_S = 0.001
"""A state that comes this little before a period is over counts: the next one may be later than a period's end."""
LATE_S = 0.004
SETTLED_S = 1.0
"""Automatic start waits for this long without any trip: while all processes start, states come in fits."""

PARAMETERS: dict[str, tuple[str | float | bool, str]] = {
    "policy": ("", "path of the policy's ONNX file"),
    "lowstate_topic": ("/lowstate", "unitree_hg/LowState in"),
    "lowcmd_topic": ("/lowcmd", "unitree_hg/LowCmd out"),
    "grid_topic": ("/height_grid", "vm_msgs/HeightGrid in"),
    "odometry_topic": ("/ground_truth/odometry", "nav_msgs/Odometry of the pelvis in"),
    "cmd_vel_topic": ("/cmd_vel", "geometry_msgs/Twist in"),
    "report": ("", "JSON file to write when the node ends"),
    "auto_stand": (False, "stand as soon as nothing trips; for simulation"),
    "auto_run": (False, "run as soon as the start pose is reached; for simulation"),
    "dry_run": (False, "compute everything, send no LowCmd"),
    "echo_tick": (False, "write the state's tick into LowCmd.reserve[0]"),
    "align_reference": (False, "start the reference clip where the robot stands"),
    "stand_duration_s": (2.0, "time to the start pose [s]"),
    "damping_kd": (5.0, "velocity gain while damping [Nm s/rad]"),
    "max_tilt_rad": (1.0, "tilt that trips [rad]"),
    "state_timeout_s": (0.1, "oldest robot state [s]"),
    "cmd_vel_timeout_s": (0.5, "oldest velocity command [s]"),
    "stick_deadzone": (0.05, "stick deflection that counts as centred"),
}


class PolicyNode(Node):
    """Feeds the controller, steps it, publishes what it says."""

    def __init__(self) -> None:
        super().__init__("vm_policy_node")
        for name, (default, description) in PARAMETERS.items():
            description_of = ParameterDescriptor(description=description, read_only=True)
            self.declare_parameter(name, default, description_of)  # pyright: ignore[reportCallIssue, reportArgumentType]
        self._controller = self._make_controller()
        self._period_s = self._controller.contract.control_period_s
        self._due_s = time.monotonic()
        self._stepped_s = self._due_s
        self._periods_ms: deque[float] = deque(maxlen=500)
        self._inference_ms: deque[float] = deque(maxlen=500)
        self._dry_run: bool = self._get("dry_run")
        self._auto_stand, self._auto_run = self._get("auto_stand"), self._get("auto_run")
        self._clear_since_s = time.monotonic()
        self._told: tuple[State, str] = (State.IDLE, "")
        self._make_topics()
        self.get_logger().info(
            f"policy {self._controller.policy.name}: {1.0 / self._period_s:.0f} Hz, golden pair matches"
        )

    def _get(self, name: str):
        return self.get_parameter(name).value

    def _make_controller(self) -> Controller:
        if not self._get("policy"):
            raise VmError("no policy: give `--ros-args -p policy:=FILE.onnx`")
        try:
            config = ControllerConfig(
                stand_duration_s=self._get("stand_duration_s"),
                damping_kd=self._get("damping_kd"),
                align_reference=self._get("align_reference"),
                echo_tick=self._get("echo_tick"),
            )
            limits = SafetyLimits(state_timeout_s=self._get("state_timeout_s"), max_tilt_rad=self._get("max_tilt_rad"))
            command = CommandConfig(deadzone=self._get("stick_deadzone"), timeout_s=self._get("cmd_vel_timeout_s"))
        except ValueError as error:
            raise VmError(f"parameter {error}") from None
        return Controller(OnnxPolicy.load(self._get("policy")), config, limits, command)

    def _make_topics(self) -> None:
        newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        subscribe: Any = self.create_subscription  # its types do not know that raw=True hands over bytes
        subscribe(LowState, self._get("lowstate_topic"), self._on_low_state, newest, raw=True)
        subscribe(Odometry, self._get("odometry_topic"), self._on_odometry, newest)
        if self._controller.needs.grid:
            subscribe(HeightGrid, self._get("grid_topic"), self._on_grid, newest)
        subscribe(Twist, self._get("cmd_vel_topic"), self._on_cmd_vel, 1)
        self._low_cmd = self.create_publisher(LowCmd, self._get("lowcmd_topic"), 1)
        self._status = self.create_publisher(PolicyStatus, "/policy_status", 10)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        for name in ("stand", "run", "damp", "release"):
            self.create_service(Trigger, f"/policy/{name}", lambda _, answer, name=name: self._on_request(name, answer))
        self.create_timer(0.25 * self._period_s, self._on_watchdog)
        self.create_timer(1.0, self._on_diagnostics)

    def _on_low_state(self, data: bytes) -> None:
        now = time.monotonic()
        self._controller.on_low_state(data, now)
        if now >= self._due_s - EARLY_S:
            self._step(now)

    def _on_watchdog(self) -> None:
        now = time.monotonic()
        if now >= self._due_s + LATE_S:
            self._step(now)

    def _on_odometry(self, msg: Odometry) -> None:
        self._controller.on_odometry(*ros_conversions.pelvis_from_msg(msg), time.monotonic())

    def _on_grid(self, msg: HeightGrid) -> None:
        self._controller.on_grid(ros_conversions.grid_from_msg(msg), time.monotonic())

    def _on_cmd_vel(self, msg: Twist) -> None:
        self._controller.command.on_cmd_vel(msg.linear.x, msg.linear.y, msg.angular.z, time.monotonic())

    def _on_request(self, name: str, answer: Trigger.Response) -> Trigger.Response:
        result = self._controller.request(name, time.monotonic())
        answer.success, answer.message = result.accepted, result.message
        return answer

    def _step(self, now: float) -> None:
        record = self._controller.step(now)
        if record is not None and not self._dry_run:
            self._low_cmd.publish(record.tobytes())
        self._periods_ms.append(1000.0 * (now - self._stepped_s))
        self._inference_ms.append(1000.0 * (time.monotonic() - now))
        self._stepped_s = now
        # the schedule keeps its phase; after a long pause it starts afresh instead of running to catch up
        self._due_s = self._due_s + self._period_s if now - self._due_s < self._period_s else now + self._period_s
        self._automate(now)
        self._tell(now)

    def _automate(self, now: float) -> None:
        if self._controller.trip is not None:
            self._clear_since_s = now
        settled = now - self._clear_since_s >= SETTLED_S
        if self._auto_stand and self._controller.machine.state == State.IDLE and settled:
            self._auto_stand = not self._controller.request("stand", now).accepted
        elif self._auto_run and self._controller.at_start_pose(now):
            self._auto_run = not self._controller.request("run", now).accepted

    def _tell(self, now: float) -> None:
        stamp = self.get_clock().now().to_msg()
        figures = (self._periods_ms[-1], self._inference_ms[-1])
        self._status.publish(ros_conversions.status_msg(self._controller, stamp, now, *figures))
        machine = self._controller.machine
        if (machine.state, machine.cause) != self._told:
            self._told = (machine.state, machine.cause)
            text = f"{machine.state.name}{': ' if machine.cause else ''}{machine.cause}"
            if machine.state == State.DAMPING and machine.cause != OPERATOR:  # one severity a call site, rclpy wants
                self.get_logger().error(text)
            else:
                self.get_logger().info(text)

    def _on_diagnostics(self) -> None:
        if not self._periods_ms:
            return
        figures = {
            "period_p99_ms": float(np.percentile(self._periods_ms, 99)),
            "inference_p99_ms": float(np.percentile(self._inference_ms, 99)),
        }
        stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(ros_conversions.diagnostics_msg(self._controller, stamp, time.monotonic(), figures))

    def end(self) -> None:
        """Leaves the motors sinking, not holding the last target, and writes the report."""
        if self._get("report"):
            self._write_report(Path(self._get("report")))
        if self._controller.machine.state == State.IDLE or self._dry_run:
            return
        self._controller.machine.damp(time.monotonic(), "the node ends")
        for _ in range(3):
            record = self._controller.step(time.monotonic())
            if record is not None:
                self._low_cmd.publish(record.tobytes())
            time.sleep(0.01)

    def _write_report(self, path: Path) -> None:
        machine, pelvis = self._controller.machine, self._controller.pelvis_pos
        report = {
            "policy": self._controller.policy.name,
            "state": machine.state.name,
            "cause": machine.cause,
            "clip_phase": self._controller.clip_phase,
            "pelvis_pos_world": None if pelvis is None else pelvis.tolist(),
            "period_p99_ms": float(np.percentile(self._periods_ms, 99)) if self._periods_ms else None,
            "inference_p99_ms": float(np.percentile(self._inference_ms, 99)) if self._inference_ms else None,
        }
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(report, indent=2) + "\n")


def _as_interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _main() -> int:
    # our own signal handling: rclpy's would close the context before the last damping command is out
    rclpy.init(args=sys.argv, signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    signal.signal(signal.SIGTERM, _as_interrupt)
    node = None
    try:
        node = PolicyNode()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        gc.collect()
        gc.freeze()  # what lives from here on is young: no long collection inside a control period
        executor.spin()
    except ExternalShutdownException:
        return 0
    finally:
        if node is not None:
            node.end()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def main() -> None:
    """Console entry point."""
    command_line.run(_main)


if __name__ == "__main__":
    main()
