"""The ROS skin of the controller: raw LowState in, commands out, 50 times a second.

The control step runs on the first robot state that arrives once a period is over, so that it acts on a state of that
very moment; a timer steps instead when no state comes, because the watchdog must work without input. Commands leave
through a process of their own (`command_stream.py`).
"""

from __future__ import annotations

import gc
import signal
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import rclpy
import rclpy.signals
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from nav_msgs.msg import Path as PathMsg
from rcl_interfaces.msg import SetParametersResult
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from unitree_hg.msg import BmsState, LowState

from vm_core import command_line
from vm_msgs.msg import HeightGrid, PolicyStatus, RootCommand
from vm_policy_node import ros_conversions
from vm_policy_node.automation import Automation
from vm_policy_node.command_stream import StreamClient
from vm_policy_node.controller_config import OPERATOR, REQUESTS
from vm_policy_node.emergency_stop import EmergencyStop
from vm_policy_node.flight_recorder import FlightRecorder, default_folder
from vm_policy_node.motion_mode_node import MotionModeAsker
from vm_policy_node.node_figures import NodeFigures, write_report
from vm_policy_node.node_setup import changed_limits, make_controller
from vm_policy_node.parameters import PARAMETERS
from vm_policy_node.safety import State

EARLY_S = 0.001
"""A state that comes this little before a period is over counts: the next one may be later than a period's end."""
LATE_S = 0.004
_AFTERMATH_S = 1.0
"""The flight recorder waits for this long after a trip, so that what followed is in the file."""
_SWITCH_INTERVAL_S = 0.0005
"""For how long another thread of Python may keep the control thread waiting."""


class PolicyNode(Node):
    """Feeds the controller, steps it, sends and publishes what it says."""

    def __init__(self) -> None:
        super().__init__("vm_policy_node")
        for name, parameter in PARAMETERS.items():
            self.declare_parameter(name, parameter.default, ros_conversions.descriptor(parameter))  # type: ignore[arg-type]
        self._values: dict[str, Any] = {name: self.get_parameter(name).value for name in PARAMETERS}
        self._stream = self._start_stream()
        self.controller = make_controller(self._values)
        self._period_s = self.controller.contract.control_period_s
        self._due_s = time.monotonic()
        self._figures = NodeFigures()
        self._automation = Automation(stand=self._values["auto_stand"], run=self._values["auto_run"])
        self._estop = EmergencyStop(self._values["estop_heartbeat_s"], time.monotonic())
        folder = self._values["flight_folder"]
        self.recorder = FlightRecorder(Path(folder) if folder else default_folder())
        self._to_save: deque[tuple[float, str]] = deque()
        self._odometry_frame = ""
        self._told: tuple[State, str] = (State.IDLE, "")
        self._stream.wait_ready()
        self._make_topics()
        self.add_on_set_parameters_callback(self._on_parameters)
        self.get_logger().info(
            f"policy {self.controller.policy.name}: {1.0 / self._period_s:.0f} Hz, golden pair matches"
        )

    def _start_stream(self) -> StreamClient:
        topic = self._values["lowcmd_topic"] + ("_dry_run" if self._values["dry_run"] else "")
        self._command_topic = self.resolve_topic_name(topic)
        values = self._values
        return StreamClient(
            self._command_topic, values["command_rate_hz"], values["late_cycle_s"], values["damping_kd"]
        )

    def _make_topics(self) -> None:
        topics, newest = self._values, QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._subscribe(LowState, topics["lowstate_topic"], self._on_low_state, newest)
        self._subscribe(Odometry, topics["odometry_topic"], self._on_odometry, newest)
        if self.controller.needs.grid is not None:
            self._subscribe(HeightGrid, topics["grid_topic"], self._on_grid, newest)
        self._subscribe(Twist, topics["cmd_vel_topic"], self._on_cmd_vel, 1)
        self._subscribe(PathMsg, topics["path_topic"], self._on_path, 1)
        self._subscribe(Bool, topics["estop_topic"], self._on_estop, 10)
        self._subscribe(BmsState, topics["bms_topic"], self._on_battery, newest)
        self._root_command = self.create_publisher(RootCommand, topics["root_command_topic"], 1)
        self._motion_mode = MotionModeAsker(self)
        self._status = self.create_publisher(PolicyStatus, "/policy_status", 10)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        for name in REQUESTS:
            self.create_service(Trigger, f"/policy/{name}", lambda _, answer, name=name: self._on_request(name, answer))
        self.create_service(Trigger, "/policy/record", self._on_record)
        self.create_timer(0.25 * self._period_s, self._on_watchdog)
        self.create_timer(0.1, self._on_housekeeping)
        self.create_timer(1.0, self._on_diagnostics)

    def _subscribe(self, kind: Any, topic: str, callback: Any, qos: Any) -> None:
        """Hands the bytes of each message to the flight recorder, then to the callback."""
        name = self.resolve_topic_name(topic)
        type_name = ros_conversions.type_name(kind)
        take = ros_conversions.guarded(callback, lambda text: self._complain(f"{name}: {text}"))

        def on_message(data: bytes) -> None:
            self._record(name, type_name, data)
            take(data)

        subscribe: Any = self.create_subscription  # its types do not know that raw=True hands over bytes
        subscribe(kind, topic, on_message, qos, raw=True)

    def _complain(self, text: str) -> None:
        self.get_logger().warning(text, throttle_duration_sec=1.0)

    def _record(self, topic: str, kind: str, data: bytes) -> None:
        if self._values["flight_recorder"]:
            self.recorder.add(topic, kind, time.time_ns(), data)

    # -- inputs ------------------------------------------------------------------------------------------------------

    def _on_low_state(self, data: bytes) -> None:
        now = time.monotonic()
        self.controller.on_low_state(data, now)
        if now >= self._due_s - EARLY_S:
            self._step(now)

    def _on_watchdog(self) -> None:
        now = time.monotonic()
        if now >= self._due_s + LATE_S:
            self._step(now)

    def _on_odometry(self, data: bytes) -> None:
        message = deserialize_message(data, Odometry)
        self._odometry_frame = message.header.frame_id
        self.controller.on_odometry(*ros_conversions.pelvis_from_msg(message), time.monotonic())

    def _on_grid(self, data: bytes) -> None:
        self.controller.on_grid(ros_conversions.grid_from_msg(deserialize_message(data, HeightGrid)), time.monotonic())

    def _on_cmd_vel(self, data: bytes) -> None:
        twist = deserialize_message(data, Twist)
        self.controller.command.on_cmd_vel(twist.linear.x, twist.linear.y, twist.angular.z, time.monotonic())

    def _on_path(self, data: bytes) -> None:
        message = deserialize_message(data, PathMsg)
        refusal = ros_conversions.take_path(self.controller.command, message, self._odometry_frame)
        if refusal:
            self.get_logger().warning(f"not followed: {refusal}", throttle_duration_sec=1.0)

    def _on_estop(self, data: bytes) -> None:
        self._estop.on_message(deserialize_message(data, Bool).data, time.monotonic())
        self.controller.estop = self._estop.reason(time.monotonic())

    def _on_battery(self, data: bytes) -> None:
        self.controller.charge_percent = float(deserialize_message(data, BmsState).soc)

    def _on_request(self, name: str, answer: Trigger.Response) -> Trigger.Response:
        result = self.controller.request(name, time.monotonic())
        answer.success, answer.message = result.accepted, result.message
        return answer

    def _on_record(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        path = self.recorder.save("request")
        answer.success = path is not None
        answer.message = "another recording is being written" if path is None else f"writing {path}"
        return answer

    def _on_parameters(self, parameters: list) -> SetParametersResult:
        """Limits may change while the robot is idle; everything else is read-only."""
        if self.controller.machine.state != State.IDLE:
            return SetParametersResult(successful=False, reason="limits change in IDLE only")
        try:
            limits = changed_limits(self.controller.monitor.limits, {p.name: p.value for p in parameters})
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self.controller.limits = self.controller.monitor.limits = limits
        return SetParametersResult(successful=True)

    # -- once a period -----------------------------------------------------------------------------------------------

    def _step(self, now: float) -> None:
        self.controller.transport = self._stream.fault
        before = time.perf_counter()
        record = self.controller.step(now)
        self._stream.send(record)
        self._figures.on_step(now, 1000.0 * (time.perf_counter() - before))
        # the next period begins where this one should have: lateness does not add up
        self._due_s = self._due_s + self._period_s if now - self._due_s < self._period_s else now + self._period_s
        if record is not None:
            self._record(self._command_topic, "unitree_hg/msg/LowCmd", record.tobytes())
        self._automation.update(self.controller, now)
        self._tell(now)

    def _tell(self, now: float) -> None:
        stamp = self.get_clock().now().to_msg()
        status = ros_conversions.status_msg(
            self.controller, stamp, now, self._figures.period_ms, self._figures.inference_ms
        )
        data = serialize_message(status)
        self._root_command.publish(ros_conversions.root_command_msg(self.controller, stamp))
        self._status.publish(data)
        self._record("/policy_status", "vm_msgs/msg/PolicyStatus", data)
        machine = self.controller.machine
        if (machine.state, machine.cause) != self._told:
            self._told = (machine.state, machine.cause)
            self._log_state(machine.state, machine.cause, now)

    def _log_state(self, state: State, cause: str, now: float) -> None:
        text = f"{state.name}{': ' if cause else ''}{cause}"
        tripped = state == State.DAMPING and cause != OPERATOR
        if tripped:  # one severity a call site, rclpy wants
            self.get_logger().error(text)
        else:
            self.get_logger().info(text)
        if tripped and self._values["flight_recorder"]:
            self._to_save.append((now + _AFTERMATH_S, cause))
        event = ros_conversions.log_msg(text, self.get_clock().now().to_msg(), error=tripped)
        self._record("/policy/events", "rcl_interfaces/msg/Log", serialize_message(event))

    def _on_housekeeping(self) -> None:
        now = time.monotonic()
        self.controller.motion_mode = self._motion_mode.update(now, self.controller.machine.state == State.IDLE)
        self.controller.estop = self._estop.reason(now)
        self.controller.command_publishers = self.count_publishers(self._command_topic)
        if self._to_save and now >= self._to_save[0][0]:
            self._save_flight()
        gc.collect(0 if self.controller.machine.state in (State.STANDING, State.RUNNING) else 2)

    def _save_flight(self) -> None:
        """Begins to write the oldest trip's file; while another one is being written it waits for its turn."""
        path = self.recorder.save(self._to_save[0][1])
        if path is not None:
            self._to_save.popleft()
            self.get_logger().info(f"flight recorder: {path}")

    def _on_diagnostics(self) -> None:
        if self._automation.waits_for:
            self.get_logger().info(f"waiting to stand: {self._automation.waits_for}")
        figures = self._figures.summary()
        if figures:
            stamp = self.get_clock().now().to_msg()
            message = ros_conversions.diagnostics_msg(self.controller, stamp, time.monotonic(), figures)
            self._diagnostics.publish(message)

    def end(self) -> None:
        """Leaves the motors sinking, not holding the last target, and writes the report and the recording."""
        if self.controller.machine.state != State.IDLE:
            self.controller.machine.damp(time.monotonic(), "the node ends")
            self._stream.send(self.controller.step(time.monotonic()))
            time.sleep(0.05)
            self._stream.send(None)
        self._stream.close()
        if self._values["report"]:
            write_report(Path(self._values["report"]), self.controller, self._figures)
        self.recorder.wait(10.0)
        while self._to_save:
            self._save_flight()
            self.recorder.wait(10.0)


def _as_interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _main() -> int:
    # our own signal handling: rclpy's would close the context before the last damping command is out
    rclpy.init(args=sys.argv, signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    signal.signal(signal.SIGTERM, _as_interrupt)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    node = None
    try:
        node = PolicyNode()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        gc.collect()
        gc.freeze()
        gc.disable()  # collections happen in `_on_housekeeping`, full ones only while the robot is still
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
