"""The ROS skin of the controller: raw LowState in, commands out, 50 times a second.

The control loop is the main thread's. Once a period it empties the queues of all topics (`input_topics.py`), rehearses,
waits a moment for a state of that very moment (`period_clock.py`), and steps with or without news, because the watchdog
must work without input.
Requests and timers are served by an executor right after a step. Commands leave through a process of their own
(`command_stream.py`).
"""

from __future__ import annotations

import gc
import os
import time
from collections import deque
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import serialize_message
from std_srvs.srv import Trigger

from vm_core import node_process
from vm_core.memory_lock import stay_in_memory
from vm_core.ros_parameters import declare_parameter
from vm_msgs.msg import PolicyStatus, RootCommand
from vm_policy_node import ros_conversions
from vm_policy_node.automation import Automation
from vm_policy_node.command_stream import StreamClient
from vm_policy_node.controller_config import OPERATOR
from vm_policy_node.emergency_stop import EmergencyStop
from vm_policy_node.flight_recorder import FlightRecorder, default_folder
from vm_policy_node.input_topics import InputTopics
from vm_policy_node.motion_mode_node import MotionModeAsker
from vm_policy_node.node_figures import NodeFigures, write_report
from vm_policy_node.node_setup import changed_limits, make_controller
from vm_policy_node.operator_requests import REQUESTS
from vm_policy_node.parameters import PARAMETERS
from vm_policy_node.period_clock import PeriodClock
from vm_policy_node.safety import State

_AFTERMATH_S = 1.0
"""The flight recorder waits for this long after a trip, so that what followed is in the file."""


class PolicyNode(Node):
    """Feeds the controller, steps it, sends and publishes what it says."""

    def __init__(self) -> None:
        super().__init__("vm_policy_node")
        for name, parameter in PARAMETERS.items():
            declare_parameter(self, name, parameter.default, ros_conversions.descriptor(parameter))
        self._values: dict[str, Any] = {name: self.get_parameter(name).value for name in PARAMETERS}
        self._stream = self._start_stream()
        self.controller = make_controller(self._values)
        self._periods = PeriodClock(self.controller.contract.control_period_s)
        self._figures = NodeFigures()
        stand, run, task = (self._values[f"auto_{name}"] for name in ("stand", "run", "task"))
        self._automation = Automation(stand=stand, run=run, task=task)
        self._estop = EmergencyStop(self._values["estop_heartbeat_s"], time.monotonic())
        folder = self._values["flight_folder"]
        self.recorder = FlightRecorder(Path(folder) if folder else default_folder())
        self._to_save: deque[tuple[float, str]] = deque()
        self._told: tuple[State, str] = (State.IDLE, "")
        self._task_told = (False, "")
        self._stream.wait_ready()
        self._make_topics()
        self.add_on_set_parameters_callback(self._on_parameters)
        self.get_logger().info(
            f"policy {self.controller.policy.name}: {1.0 / self.controller.period_s:.0f} Hz, golden pair matches"
        )

    def _start_stream(self) -> StreamClient:
        topic = self._values["lowcmd_topic"] + ("_dry_run" if self._values["dry_run"] else "")
        self._command_topic = self.resolve_topic_name(topic)
        values = self._values
        return StreamClient(
            self._command_topic, values["command_rate_hz"], values["late_cycle_s"], values["damping_kd"]
        )

    def _make_topics(self) -> None:
        topics = self._values
        self._inputs = InputTopics(self, topics, self.controller, self._estop, self._record)
        self._root_command = self.create_publisher(RootCommand, topics["root_command_topic"], 1)
        self._motion_mode = MotionModeAsker(self)
        self._status = self.create_publisher(PolicyStatus, "/policy_status", 10)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        for name in REQUESTS:
            self.create_service(Trigger, f"/policy/{name}", lambda _, answer, name=name: self._on_request(name, answer))
        self.create_service(Trigger, "/policy/record", self._on_record)
        self.create_timer(0.1, self._on_housekeeping)
        self.create_timer(1.0, self._on_diagnostics)

    def _record(self, topic: str, kind: str, stamp_ns: int, data: bytes) -> None:
        if self._values["flight_recorder"]:
            self.recorder.add(topic, kind, stamp_ns, data)

    # -- requests ----------------------------------------------------------------------------------------------------

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

    def run(self, executor: SingleThreadedExecutor) -> None:
        """Steps once a period until the context ends."""
        self._periods.start()
        while rclpy.ok():
            if node_process.INTERRUPTED.is_set():
                raise KeyboardInterrupt
            # one request or timer a period, however late: a stop by service must work on an overloaded computer, too
            executor.spin_once(timeout_sec=0.0)
            self._periods.sleep_until_preparation()
            self._inputs.drain()
            self._periods.rehearse(self.controller.rehearse)
            self._periods.await_state(self._newest_state_s)
            self._step(time.monotonic())

    def _newest_state_s(self) -> float:
        self._inputs.drain_states()
        return self._inputs.newest_state_s

    def _step(self, now: float) -> None:
        self.controller.transport = self._stream.fault
        before = time.perf_counter()
        record = self.controller.step(now)
        self._stream.send(record)
        os.sched_yield()  # the stream may share this core: what follows here can wait, the command cannot
        self._figures.on_step(now, 1000.0 * (time.perf_counter() - before))
        self._periods.advance(now)
        if record is not None:
            self._record(self._command_topic, "unitree_hg/msg/LowCmd", time.time_ns(), record.tobytes())
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
        self._record("/policy_status", "vm_msgs/msg/PolicyStatus", time.time_ns(), data)
        self._log_task()
        machine = self.controller.machine
        if (machine.state, machine.cause) != self._told:
            self._told = (machine.state, machine.cause)
            self._log_state(machine.state, machine.cause, now)

    def _log_task(self) -> None:
        task = self.controller.task
        if (task.on, task.reason) != self._task_told:
            self._task_told = (task.on, task.reason)
            self.get_logger().info(f"task {'on' if task.on else 'off'}{': ' if task.reason else ''}{task.reason}")

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
        self._record("/policy/events", "rcl_interfaces/msg/Log", time.time_ns(), serialize_message(event))

    def _on_housekeeping(self) -> None:
        now = time.monotonic()
        self.controller.motion_mode = self._motion_mode.update(now, self.controller.machine.state == State.IDLE)
        self.controller.on_estop(self._estop.reason(now), now)
        self.controller.command_publishers = self.count_publishers(self._command_topic)
        if self._to_save and now >= self._to_save[0][0]:
            self._save_flight()
        if self.recorder.problem:
            self.get_logger().error(f"flight recorder: {self.recorder.problem}")
            self.recorder.problem = ""
        gc.collect()  # 0.05 ms, for what was there at the start is frozen

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


def _work(node: PolicyNode) -> None:
    node_process.take_turns()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    gc.collect()
    gc.freeze()
    stay_in_memory()
    gc.disable()  # collections happen in `_on_housekeeping`, right after a step
    node.run(executor)


def main() -> None:
    """Console entry point."""
    node_process.run(rclpy, PolicyNode, _work, PolicyNode.end)


if __name__ == "__main__":
    main()
