"""The ROS skin of the mapper: raw LiDAR and odometry in, the height grid out at 50 Hz.

Two threads: the executor's takes messages and keeps the map; the grid's samples a copy of the map on a schedule of its
own, so that no scan delays it. The compiled loops of the first let go of the interpreter for the second.
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
from diagnostic_msgs.msg import DiagnosticArray
from livox_ros_driver2.msg import CustomMsg
from nav_msgs.msg import OccupancyGrid, Odometry
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Imu, PointCloud2
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from unitree_hg.msg import LowState
from visualization_msgs.msg import MarkerArray

from vm_core import command_line
from vm_core.errors import VmError
from vm_heightmap import ros_conversions
from vm_heightmap.mapper import HeightMapper
from vm_heightmap.node_parameters import PARAMETERS, mapper_config
from vm_heightmap.rates import Rates
from vm_heightmap.saved_map import save_map
from vm_heightmap.steady_timer import SteadyTimer
from vm_heightmap.warm_up import compile_now
from vm_msgs.msg import HeightGrid

AFTER_SCAN_S = 0.004
"""A grid follows a fused scan by about this, so that scans come out new; fusing takes longer now and then."""
SWITCH_INTERVAL_S = 0.0005  # how long one thread may keep the interpreter from the other


class HeightmapNode(LifecycleNode):
    """Feeds the mapper and publishes what it samples. Compiles and allocates when it is configured.

    Attributes:
        problem: why it could not be configured.
    """

    def __init__(self) -> None:
        super().__init__("vm_heightmap")
        for name, (default, description) in PARAMETERS.items():
            self.declare_parameter(name, default, ParameterDescriptor(description=description, read_only=True))
        self.problem = ""
        self._mapper: HeightMapper | None = None
        self._active, self._entities, self._timers_made = False, [], []
        self._timer: SteadyTimer | None = None
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
        self._mapper, self._rates = HeightMapper(config), Rates()
        self._frame_id, self._imu_count = self._get("map_frame"), 0
        self._fused_s = float("-inf")
        self._told: dict[str, str] = {}
        self._make_publishers()
        self._make_subscriptions()
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begins to take messages and to publish."""
        done = super().on_activate(state)
        self._active, period_s = True, 1.0 / self._get("rate_hz")
        self._timers_made = [self.create_timer(0.5, self._on_diagnostics), self.create_timer(0.2, self._on_pictures)]
        if self._sim_time:  # the simulation's clock decides when a grid is due
            self._timers_made.append(self.create_timer(period_s, self._publish_grid))
        else:
            self._timer = SteadyTimer(period_s, self._publish_grid)
            self._timer.start()
        return done

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stops publishing; the map stays."""
        self.stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lets go of map and topics."""
        self.stop()
        for kind, entity in self._entities:
            getattr(self, f"destroy_{kind}")(entity)
        self._entities, self._mapper = [], None
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Ends the grid's thread."""
        self.stop()
        return super().on_shutdown(state)

    def stop(self) -> None:
        """Ends the grid's thread and the timers."""
        self._active = False
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        for timer in self._timers_made:
            self.destroy_timer(timer)
        self._timers_made = []

    # -- topics --------------------------------------------------------------------------------------------------------

    def _get(self, name: str) -> Any:
        return self.get_parameter(name).value

    def _now_s(self) -> float:
        """The clock by which things are late: the simulation's, if there is one."""
        return self.get_clock().now().nanoseconds * 1e-9 if self._sim_time else time.monotonic()

    def _publisher(self, kind: type, topic: str, depth: int) -> Any:
        publisher = self.create_lifecycle_publisher(kind, topic, depth)
        self._entities.append(("lifecycle_publisher", publisher))
        return publisher

    def _make_publishers(self) -> None:
        topic = self._get("grid_topic")
        self._grid = self._publisher(HeightGrid, topic, 5)
        self._points = self._publisher(PointCloud2, f"{topic}/points", 1)
        self._markers = self._publisher(MarkerArray, f"{topic}/markers", 1)
        self._layers = {name: self._publisher(OccupancyGrid, f"{topic}/{name}", 1) for name in ros_conversions.LAYERS}
        self._diagnostics = self._publisher(DiagnosticArray, "/diagnostics", 10)
        self._own_odometry = self._publisher(Odometry, self._get("own_odometry_topic"), 10)
        self._transforms = self._publisher(TFMessage, "/tf", 20)
        self._entities.append(("service", self.create_service(Trigger, "~/save_map", self._on_save)))

    def _make_subscriptions(self) -> None:
        def subscribe(kind: type, topic: str, call: Any, depth: int, raw: bool = False) -> None:
            # what comes while the node is inactive is not for it
            def when_active(message: Any) -> None:
                if self._active:
                    call(message)

            quality = QoSProfile(depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT)
            made = self.create_subscription(kind, topic, when_active, quality, raw=raw)
            self._entities.append(("subscription", made))

        if self._get("cloud_topic"):
            subscribe(PointCloud2, self._get("cloud_topic"), self._on_cloud, 2)
        else:
            subscribe(CustomMsg, self._get("lidar_topic"), self._on_scan, 2, raw=True)
        if self._get("odometry_source") == "topic":
            subscribe(Odometry, self._get("odometry_topic"), self._on_odometry, 20)
        else:
            subscribe(Imu, self._get("imu_topic"), self._on_imu, 50)
        subscribe(LowState, self._get("lowstate_topic"), self._on_low_state, 1, raw=True)

    # -- messages ------------------------------------------------------------------------------------------------------

    @property
    def mapper(self) -> HeightMapper:
        """The mapper of a configured node."""
        assert self._mapper is not None
        return self._mapper

    def _on_scan(self, data: bytes) -> None:
        self.mapper.on_scan(data, self._now_s())
        self._follow_scans()

    def _on_cloud(self, msg: PointCloud2) -> None:
        try:
            scan = ros_conversions.scan_from_msg(msg)
        except VmError as error:
            self.mapper.refuse_scan(str(error))
            return
        self.mapper.on_points(scan, self._now_s())
        self._follow_scans()

    def _on_imu(self, msg: Imu) -> None:
        self.mapper.on_imu(*ros_conversions.imu_from_msg(msg), self._now_s())
        self._follow_scans()
        self._imu_count += 1
        found = self.mapper.pelvis_motion() if self._imu_count % 2 == 0 else None
        if found is None or self.mapper.own is None:
            return
        frame_ids = (self._get("odom_frame"), self._get("base_frame"))
        self._own_odometry.publish(ros_conversions.odometry_msg(*found, self.mapper.own.covariance, *frame_ids))
        self._transforms.publish(ros_conversions.transforms_msg(found[0], self._frame_id, *frame_ids))

    def _on_low_state(self, data: bytes) -> None:
        self.mapper.on_low_state(data)

    def _on_odometry(self, msg: Odometry) -> None:
        self._frame_id = msg.header.frame_id or self._get("map_frame")
        self.mapper.on_odometry(*ros_conversions.pose_from_msg(msg), self._now_s())
        self._follow_scans()

    def _follow_scans(self) -> None:
        """Lets the grid's schedule follow the moments at which scans are fused."""
        if self.mapper.fusion.end_s != self._fused_s:
            self._fused_s = self.mapper.fusion.end_s
            if self._timer is not None:
                self._timer.aim(time.monotonic() + AFTER_SCAN_S)

    # -- outputs -------------------------------------------------------------------------------------------------------

    def _publish_grid(self) -> None:
        now_s = self._now_s()
        found = self.mapper.grid(now_s)
        if found is None or not self._active:
            return
        msg = ros_conversions.grid_msg(*found, self.mapper.config.grid, self._frame_id)
        self._grid.publish(msg)
        self._rates.note("grid", now_s)
        if self._points.get_subscription_count():
            self._points.publish(ros_conversions.points_msg(found[0], msg))

    def _on_diagnostics(self) -> None:
        now_s, stamp = self._now_s(), self.get_clock().now().to_msg()
        found = self.mapper.grid(now_s)
        more: dict[str, object] = {f"{kind}_hz": round(rate, 1) for kind, rate in self._rates.hz(now_s).items()}
        more["grids_missed"] = 0 if self._timer is None else self._timer.missed
        self._diagnostics.publish(ros_conversions.diagnostics_msg(self.mapper, found, more, stamp, now_s))
        errors = self.mapper.errors(now_s)
        for part in errors.keys() - self._told.keys():
            self.get_logger().warning(f"{part}: {errors[part]}")
        for part in self._told.keys() - errors.keys():
            self.get_logger().info(f"{part}: back to normal")
        self._told = errors
        gc.collect()  # by hand, where it delays no message

    def _on_pictures(self) -> None:
        layers = [name for name, publisher in self._layers.items() if publisher.get_subscription_count()]
        markers = self._markers.get_subscription_count()
        found = self.mapper.grid(self._now_s()) if layers or markers else None
        if found is None:
            return
        header, shown = ros_conversions.grid_msg(*found, self.mapper.config.grid, self._frame_id), found[1]
        if markers:
            self._markers.publish(ros_conversions.markers_msg(found[0], header))
        for name in layers:
            torso_z = float(shown.pose.pos[2])
            self._layers[name].publish(ros_conversions.layer_msg(name, shown.view, torso_z, shown.pose.time_s, header))

    def _on_save(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        path = Path(f"height_map_{time.strftime('%Y%m%d_%H%M%S')}.npz").absolute()
        try:
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
    sys.setswitchinterval(SWITCH_INTERVAL_S)
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
    finally:
        node.stop()
        node.destroy_node()
        rclpy.try_shutdown()
    return command_line.EXIT_INTERRUPTED if signal.SIGINT in caught else 0


def main() -> None:
    """Console entry point."""
    command_line.run(_main)


if __name__ == "__main__":
    main()
