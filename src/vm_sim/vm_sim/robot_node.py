"""The simulated G1 on the real robot's topics: `vm-sim --scene DIR`."""

from __future__ import annotations

import gc
import json
import signal
import sys
import threading
import time
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import rclpy
import rclpy.signals
import tyro
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_srvs.srv import Trigger
from unitree_hg.msg import LowCmd, LowState

from vm_core import command_line, node_process
from vm_core.errors import VmError
from vm_core.memory_lock import stay_in_memory
from vm_core.motion_switcher import MotionSwitcher
from vm_core.ros_parameters import declare_parameter
from vm_core.scene_asset import SceneAsset
from vm_core.unitree_cdr import parse_low_cmd
from vm_sim import robot_ros_conversions as ros_conversions
from vm_sim.faults import FaultPlayer, find_fault
from vm_sim.impostor_node import ImpostorNode
from vm_sim.motion_switcher_node import serve
from vm_sim.objects import ObjectScene, ObjectSpec, find_object_scene
from vm_sim.robot import STEP_S, SimulatedG1
from vm_sim.robot_log import LogRecorder
from vm_sim.robot_topics import SensorTopics
from vm_sim.sim_config import SimConfig
from vm_sim.sim_figures import SimFigures, check_record, write_record, write_report
from vm_sim.start_pose import start_qpos

_IMU_PERIOD_S, _ODOMETRY_PERIOD_S = 0.005, 0.01
_STOP_BUTTON, _SIGN_OFF_S = "B", 0.1
_MOST_BEHIND_S = 0.05  # later than this, the simulation gives up catching up and runs slower than real time


class RobotNode(Node):
    """Publishes what the simulated robot feels, takes its commands, keeps real time."""

    def __init__(self, defaults: SimConfig) -> None:
        super().__init__("vm_sim")
        values = {}
        for name, value in asdict(defaults).items():
            descriptor = ParameterDescriptor(read_only=name != "fault", description=f"see `vm-sim --help`, {name}")
            values[name] = declare_parameter(self, name, value, descriptor)
        self.config = config = SimConfig(**values)
        self.stopping = threading.Event()
        found = find_object_scene(config.object) if config.object else None
        self.scene = _load_scene(config.scene, found)
        thing = _object(found, config)
        self.robot = SimulatedG1(
            self.scene,
            start_qpos=start_qpos(config.start_clip),
            seed=config.seed,
            start_noise=config.start_noise,
            hang=config.hang,
            gantry_stays=config.gantry_stays,
            thing=thing,
        )
        self.recorder = LogRecorder(thing)
        self.player = FaultPlayer(config.seed)
        self._planned_fault = find_fault(config.fault).name if config.fault else ""
        self._figures = SimFigures()
        self._switcher = MotionSwitcher(config.motion_mode)
        self._make_topics()
        self._sensors = SensorTopics(self, config, self.robot, self.player, self._figures, self.scene, thing)
        self.add_on_set_parameters_callback(self._on_parameters)

    def _make_topics(self) -> None:
        config = self.config
        self._low_state = self.create_publisher(LowState, config.lowstate_topic, 1)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_service(Trigger, "/gantry/release", self._on_release)
        self.create_service(Trigger, "/fault/clear", self._on_clear)
        serve(self, self._switcher)
        self.create_timer(1.0, self._on_diagnostics)
        # a node that no executor spins: the physics takes each command itself, at 2 µs a look
        newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._motors = rclpy.create_node("vm_sim_motors", start_parameter_services=False)
        self._low_cmd = self._motors.create_subscription(LowCmd, config.lowcmd_topic, lambda _: None, newest, raw=True)
        self._last_command = b""

    # -- physics, in the main thread ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Steps in real time until the duration is over or `stopping` is set."""
        start, robot = time.perf_counter(), self.robot
        epoch_ns, slip_s = self.get_clock().now().nanoseconds, 0.0
        while not self.stopping.is_set() and not self._is_over():
            behind = time.perf_counter() - start - slip_s - robot.time_s
            if behind < 0.0:
                time.sleep(-behind)
            elif behind > _MOST_BEHIND_S:
                slip_s += behind
            self._figures.on_step(behind)
            self._step()
            stamp_ns = epoch_ns + round((robot.time_s + slip_s) * 1e9)
            self._sensors.publish_due(stamp_ns)
            self._figures.wall_s = time.perf_counter() - start
        self._sensors.stop()
        if self._is_over() and robot.state_of_command == "commanded":
            self._sign_off()

    def _sign_off(self) -> None:
        """The person with the remote stops the robot before the simulation ends, so that no state goes stale."""
        self.robot.remote = replace(self.robot.remote, pressed=frozenset({_STOP_BUTTON}))
        for _ in range(round(_SIGN_OFF_S / STEP_S)):
            self.robot.step()  # the robot's clock goes on
            self._low_state.publish(self.robot.low_state().tobytes())
            time.sleep(STEP_S)

    def _step(self) -> None:
        robot, player = self.robot, self.player
        if self._planned_fault and robot.time_s >= self.config.fault_at_s:
            player.play(self._planned_fault, robot.time_s)
            self._planned_fault = ""
        with self._low_cmd.handle:
            taken: Any = self._low_cmd.handle.take_message(self._low_cmd.msg_type, True)
        if taken is not None:
            self._take_command(taken[0])
        if self.config.record:  # else it would grow for as long as the robot is simulated
            self.recorder.record(robot.time_s, robot.data.qpos)
        robot.push(player.push(robot.time_s))
        robot.cut_power(player.dead_motors)
        robot.step()
        for data in player.low_state(robot.low_state().tobytes(), robot.time_s):
            self._low_state.publish(data)
            self._figures.counts["lowstate"] += 1

    def _take_command(self, data: bytes) -> None:
        if self._switcher.mode:  # a controller of the robot's own moves it
            self._figures.counts["lowcmd_refused"] += 1
            return
        if data == self._last_command and self.robot.repeat_command():
            self._figures.counts["lowcmd"] += 1
            return
        try:
            taken = self.robot.command(parse_low_cmd(data))
        except VmError as error:
            self.get_logger().warning(f"command refused: {error}", throttle_duration_sec=1.0)
            taken = False
        self._last_command = data if taken else b""
        self._figures.counts["lowcmd" if taken else "lowcmd_refused"] += 1

    def _is_over(self) -> bool:
        return 0.0 < self.config.duration_s <= self.robot.time_s + 1e-9

    # -- requests, in the executor's thread --------------------------------------------------------------------------

    def _on_parameters(self, parameters: list) -> SetParametersResult:
        """Only the fault may change."""
        for parameter in parameters:
            try:
                self.player.play(parameter.value, self.robot.time_s)
            except VmError as error:
                return SetParametersResult(successful=False, reason=str(error))
            self.get_logger().warning(f"fault: {parameter.value or 'none'}")
        return SetParametersResult(successful=True)

    def _on_clear(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        answer.success, answer.message = True, f"{self.player.name or 'no fault'} ended"
        self.player.play("", self.robot.time_s)
        return answer

    def _on_release(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        answer.success = self.robot.release_gantry()
        answer.message = "letting go" if answer.success else "the gantry does not hold the robot"
        return answer

    def _on_diagnostics(self) -> None:
        stamp_ns = self.get_clock().now().nanoseconds
        self._diagnostics.publish(ros_conversions.diagnostics_msg(self.summary(), self.player.name, stamp_ns))

    def summary(self) -> dict:
        """What happened so far."""
        return self._figures.summary(self.robot, self._sensors.dropped_scans)

    def write_results(self) -> None:
        """Writes report, log and video, as far as they are asked for."""
        write_report(self.config.report, self.summary())
        if self.robot.time_s > 0.0:
            write_record(self.config.record, self.recorder, self.scene)

    def close(self) -> None:
        """Destroys both nodes."""
        with node_process.closing():
            self._motors.destroy_node()
            self.destroy_node()


def _load_scene(folder: str, found: ObjectScene | None) -> SceneAsset:
    """The scene with the furniture that belongs to the object; flat ground if there is only an object."""
    if not folder and found is None:
        raise VmError("no scene: give --scene DIR, a folder with scene.json and terrain.npz")
    scene = SceneAsset.load(folder) if folder else SceneAsset(source="flat ground")
    return scene if found is None else replace(scene, boxes=(*scene.boxes, *found.furniture))


def _object(found: ObjectScene | None, config: SimConfig) -> ObjectSpec | None:
    if found is None or not config.vary_object:
        return None if found is None else found.thing
    return found.ranges.draw(found.thing, np.random.default_rng(config.seed + 3))


def _spin(node: RobotNode) -> None:
    executor = SingleThreadedExecutor()
    impostor = ImpostorNode(node.config, node.player)
    executor.add_node(node)
    executor.add_node(impostor)
    try:
        while not node.stopping.is_set():
            executor.spin_once(timeout_sec=0.1)
    except ExternalShutdownException:
        node.stopping.set()
    executor.remove_node(node)
    executor.remove_node(impostor)
    impostor.destroy_node()


def _main() -> None:
    split = sys.argv.index("--ros-args") if "--ros-args" in sys.argv else len(sys.argv)
    defaults = tyro.cli(SimConfig, args=sys.argv[1:split], description=SimConfig.__doc__)
    rclpy.init(args=sys.argv, signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    try:
        node = RobotNode(defaults)
        check_record(node.config.record)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: node.stopping.set())
        listener = threading.Thread(target=_spin, args=(node,), name="ros", daemon=True)
        listener.start()
        node_process.take_turns()  # the LiDAR's thread must not hold up the physics
        gc.freeze()
        stay_in_memory()
        node.run()
        node.stopping.set()
        listener.join(timeout=2.0)
        node.write_results()
        print(json.dumps(node.summary()))
        node.close()
    finally:
        with node_process.closing():
            rclpy.try_shutdown()


def main() -> None:
    """Entry point of `vm-sim`; SIGINT and SIGTERM end it cleanly, with its results written and exit code 0."""
    command_line.run(_main)


if __name__ == "__main__":
    main()
