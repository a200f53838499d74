"""The ROS skin of the mapper: raw LiDAR and odometry in, the height grid out at 50 Hz.

Three threads: the intake empties the topics' queues and keeps the map; the grid's samples a copy of the map on a
schedule of its own, so that no scan delays it; the executor's has timers and services only. The compiled loops of the
first let go of the interpreter for the others.
"""

from __future__ import annotations

import gc
import signal
import sys
import time
from pathlib import Path
from typing import Any

import rclpy
import rclpy.signals
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import Trigger

from vm_core import command_line, node_process
from vm_core.errors import VmError
from vm_core.ros_parameters import declare_parameter
from vm_heightmap import input_topics
from vm_heightmap.input_topics import InputTopics
from vm_heightmap.mapper import HeightMapper
from vm_heightmap.node_parameters import PARAMETERS, mapper_config
from vm_heightmap.output_topics import OutputTopics
from vm_heightmap.saved_map import save_map
from vm_heightmap.steady_timer import SteadyTimer
from vm_heightmap.warm_up import compile_now

AFTER_SCAN_S = 0.0005
"""A grid follows this after scans that took long to fuse, so that scans come out new."""


class HeightmapNode(LifecycleNode):
    """Makes and ends what maps and publishes. Compiles and allocates when it is configured.

    Attributes:
        problem: why it could not be configured.
    """

    def __init__(self) -> None:
        super().__init__("vm_heightmap")
        for name, (default, description) in PARAMETERS.items():
            declare_parameter(self, name, default, ParameterDescriptor(description=description, read_only=True))
        self.problem = ""
        self._mapper: HeightMapper | None = None
        self._inputs: InputTopics | None = None
        self._outputs: OutputTopics | None = None
        self._save: Any = None
        self._threads: list[SteadyTimer] = []
        self._timers_made: list[Any] = []
        self._grid_timer: SteadyTimer | None = None
        self._sim_time: bool = self._get("use_sim_time")

    # -- lifecycle -----------------------------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Compiles, allocates, and makes the topics."""
        try:
            config = mapper_config(self._get)
        except VmError as error:
            self.problem = str(error)
            self.get_logger().error(self.problem)
            return TransitionCallbackReturn.FAILURE
        started = time.monotonic()
        compile_now(config)
        self.get_logger().info(f"compiled in {time.monotonic() - started:.1f} s, waiting for messages")
        self._mapper, self._fused_s, self._told = HeightMapper(config), float("-inf"), {}
        self._outputs = OutputTopics(self, self._get, self._mapper)
        self._inputs = InputTopics(self, self._get, self._mapper, self._clock_s, self._on_pose)
        self._save = self.create_service(Trigger, "~/save_map", self._on_save)
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begins to take messages and to publish."""
        done = super().on_activate(state)
        period_s = 1.0 / self._get("rate_hz")
        self._timers_made = [self.create_timer(0.5, self._on_diagnostics), self.create_timer(0.2, self._on_pictures)]
        if self._sim_time:  # the simulation's clock decides when a grid is due
            self._timers_made.append(self.create_timer(period_s, self._publish_grid))
        else:
            self._grid_timer = SteadyTimer(period_s, self._publish_grid)
            self._threads.append(self._grid_timer)
        self.inputs.discard()
        self._threads.append(SteadyTimer(input_topics.PERIOD_S, self._take))
        for thread in self._threads:
            thread.start()
        return done

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stops publishing; the map stays."""
        self.stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lets go of map and topics."""
        self.stop()
        self.destroy_service(self._save)
        for subscription in self.inputs.entities:
            self.destroy_subscription(subscription)
        for publisher in self.outputs.entities:
            self.destroy_lifecycle_publisher(publisher)
        self._mapper = self._inputs = self._outputs = None
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Ends the threads."""
        self.stop()
        return super().on_shutdown(state)

    def stop(self) -> None:
        """Ends the threads and the timers."""
        for thread in self._threads:
            thread.stop()
        for timer in self._timers_made:
            self.destroy_timer(timer)
        self._threads, self._timers_made, self._grid_timer = [], [], None

    def check(self) -> None:
        """Raises what has ended a thread."""
        for thread in self._threads:
            if thread.failure is not None:
                raise thread.failure

    # -- parts ---------------------------------------------------------------------------------------------------------

    @property
    def mapper(self) -> HeightMapper:
        """The mapper of a configured node."""
        assert self._mapper is not None
        return self._mapper

    @property
    def inputs(self) -> InputTopics:
        """The topics in of a configured node."""
        assert self._inputs is not None
        return self._inputs

    @property
    def outputs(self) -> OutputTopics:
        """The topics out of a configured node."""
        assert self._outputs is not None
        return self._outputs

    def _get(self, name: str) -> Any:
        return self.get_parameter(name).value

    def _clock_s(self, monotonic_s: float) -> float:
        """The clock by which things are late at a moment: the simulation's, if there is one, which knows only now."""
        return self.get_clock().now().nanoseconds * 1e-9 if self._sim_time else monotonic_s

    def _now_s(self) -> float:
        return self._clock_s(time.monotonic())

    # -- what happens --------------------------------------------------------------------------------------------------

    def _take(self) -> None:
        """Takes what has come, and lets the grid's schedule follow the moments at which scans are fused."""
        self.inputs.drain()
        if self.mapper.fusion.end_s != self._fused_s:
            self._fused_s = self.mapper.fusion.end_s
            if self._grid_timer is not None:
                self._grid_timer.aim(time.monotonic() + AFTER_SCAN_S)
            self.inputs.learn()

    def _on_pose(self) -> None:
        self.outputs.publish_odometry(self.inputs.frame_id)

    def _publish_grid(self) -> None:
        self.outputs.publish_grid(self._now_s(), self.inputs.frame_id)

    def _on_pictures(self) -> None:
        self.outputs.publish_pictures(self._now_s(), self.inputs.frame_id)

    def _on_diagnostics(self) -> None:
        now_s, stamp = self._now_s(), self.get_clock().now().to_msg()
        with self.inputs.lock:  # what it counts must not change meanwhile
            missed = 0 if self._grid_timer is None else self._grid_timer.missed
            self.outputs.publish_diagnostics(now_s, stamp, missed)
            errors = self.mapper.errors(now_s)
        for part in errors.keys() - self._told.keys():
            self.get_logger().warning(f"{part}: {errors[part]}")
        for part in self._told.keys() - errors.keys():
            self.get_logger().info(f"{part}: back to normal")
        self._told = errors
        gc.collect()  # by hand, where it delays no message

    def _on_save(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        path = Path(f"height_map_{time.strftime('%Y%m%d_%H%M%S')}.npz").absolute()
        try:
            with self.inputs.lock:
                save_map(self.mapper.elevation, path)
        except OSError as error:
            answer.success, answer.message = False, f"{path}: {error.strerror or error}"
            return answer
        answer.success, answer.message = True, str(path)
        return answer


def _start(node: HeightmapNode) -> None:
    done = TransitionCallbackReturn.SUCCESS
    if node.trigger_configure() is not done or node.trigger_activate() is not done:
        raise VmError(node.problem or "the node could not be configured")


def _main() -> int:
    # rclpy's handler would close the context under a thread that publishes, Python's would raise into compiled loops
    caught: list[int] = []
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, lambda number, _: caught.append(number))
    rclpy.init(args=sys.argv, signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    node_process.take_turns()
    node = HeightmapNode()
    try:
        if node.get_parameter("autostart").value:
            _start(node)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        gc.collect()
        gc.freeze()
        gc.disable()
        while not caught:
            executor.spin_once(timeout_sec=0.2)
            node.check()
    finally:
        node.stop()
        with node_process.closing():
            node.destroy_node()
            rclpy.try_shutdown()
    return command_line.EXIT_INTERRUPTED if signal.SIGINT in caught else 0


def main() -> None:
    """Console entry point."""
    command_line.run(_main)


if __name__ == "__main__":
    main()
