"""The simulated G1 on the real robot's topics: `vm-sim --scene DIR`. The only file here that knows ROS."""

from __future__ import annotations

import gc
import json
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import rclpy
import rclpy.signals
import tyro
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from livox_ros_driver2.msg import CustomMsg
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import Imu
from std_srvs.srv import Trigger
from unitree_hg.msg import LowCmd, LowState

from vm_core import command_line
from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_core.frames import quat_rotate_inverse
from vm_core.motion_switcher import MotionSwitcher
from vm_core.scene_asset import SceneAsset
from vm_core.unitree_cdr import parse_low_cmd
from vm_sim.imu import LIDAR_IMU, STANDARD_GRAVITY
from vm_sim.lidar import Mid360
from vm_sim.motion_switcher_node import serve
from vm_sim.robot import STEP_S, SimulatedG1, build_model
from vm_sim.robot_log import LogRecorder
from vm_sim.scan_thread import SUB_SCAN_S, ScanThread
from vm_sim.start_pose import start_qpos

_IMU_PERIOD_S, _ODOMETRY_PERIOD_S = 0.005, 0.01
_STOP_BUTTON, _SIGN_OFF_S = "B", 0.1
_MOST_BEHIND_S = 0.05  # later than this, the simulation gives up catching up and runs slower than real time


@dataclass(frozen=True)
class SimConfig:
    """The simulated robot; each field is a ROS parameter of the same name, too (`--ros-args -p NAME:=VALUE`).

    Attributes:
        scene: scene folder.
        start_clip: clip (.npz) in whose first frame the robot starts; empty or "stand": the stand at the origin.
        record: robot log (.npz) to write at the end, or a video (.mp4) with the log beside it.
        report: JSON to write at the end.
        duration_s: simulated time after which it ends [s]; 0: never.
        seed: of start and sensor noise.
        start_noise: factor on the noise of the start (1: 0.02 rad, 1 cm).
        hang: hold the pelvis by a virtual gantry until the legs have been commanded stiff for a second.
        motion_mode: controller of the robot's own that is active at the start, such as ai; commands count once it is
            released (vm-motion-mode release); empty: released.
        lidar_pattern: .npz with azimuth_deg and elevation_deg in place of the built-in pattern.
        lowstate_topic: out.
        lowcmd_topic: in.
        lidar_topic: out.
        lidar_imu_topic: out, acceleration in g.
        odometry_topic: true pose of the pelvis, out.
        lidar_frame: frame of points and LiDAR IMU.
        world_frame: frame of the scene.
    """

    scene: str = ""
    start_clip: Annotated[str, tyro.conf.arg(aliases=("--start",))] = ""
    record: str = ""
    report: str = ""
    duration_s: Annotated[float, tyro.conf.arg(aliases=("--duration",))] = 0.0
    seed: int = 0
    start_noise: float = 1.0
    hang: bool = True
    motion_mode: str = ""
    lidar_pattern: str = ""
    lowstate_topic: str = "/lowstate"
    lowcmd_topic: str = "/lowcmd"
    lidar_topic: str = "/livox/lidar"
    lidar_imu_topic: str = "/livox/imu"
    odometry_topic: str = "/ground_truth/odometry"
    lidar_frame: str = "livox_frame"
    world_frame: str = "map"


class RobotNode(Node):
    """Publishes what the simulated robot feels, takes its commands, keeps real time."""

    def __init__(self, defaults: SimConfig) -> None:
        super().__init__("vm_sim")
        read_only = ParameterDescriptor(read_only=True)
        values = {k: self.declare_parameter(k, v, read_only).value for k, v in asdict(defaults).items()}
        self.config = config = SimConfig(**values)
        self.stopping = threading.Event()
        self._scene = _load_scene(config.scene)
        self.robot = SimulatedG1(
            self._scene,
            start_qpos=start_qpos(config.start_clip),
            seed=config.seed,
            start_noise=config.start_noise,
            hang=config.hang,
        )
        self._recorder = LogRecorder()
        self._command: bytes | None = None
        self._counts = {"lowcmd": 0, "lowcmd_refused": 0, "lowstate": 0, "scans": 0}
        self._late_ms: list[float] = []
        self._wall_s = 0.0
        self._switcher = MotionSwitcher(config.motion_mode)
        self._make_topics()
        model = build_model(self._scene)  # the physics' own model changes with every command's gains
        lidar = Mid360(model, np.random.default_rng(config.seed + 1), pattern_path=config.lidar_pattern or None)
        self._scans = ScanThread(lidar, model, self._publish_scan, config.lidar_frame)

    def _make_topics(self) -> None:
        config = self.config
        newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._low_state = self.create_publisher(LowState, config.lowstate_topic, 1)
        self._lidar = self.create_publisher(CustomMsg, config.lidar_topic, 5)
        self._imu = self.create_publisher(Imu, config.lidar_imu_topic, 50)
        self._odometry = self.create_publisher(Odometry, config.odometry_topic, 10)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_subscription(LowCmd, config.lowcmd_topic, self._on_low_cmd, newest, raw=True)  # pyright: ignore
        self.create_service(Trigger, "/gantry/release", self._on_release)
        serve(self, self._switcher)
        self.create_timer(1.0, self._on_diagnostics)
        self._imu_message, self._odometry_message = Imu(), Odometry()
        self._imu_message.header.frame_id = config.lidar_frame
        self._odometry_message.header.frame_id = config.world_frame
        self._odometry_message.child_frame_id = "pelvis"

    def run(self) -> None:
        """Steps in real time until the duration is over or `stopping` is set."""
        start, robot = time.perf_counter(), self.robot
        epoch_ns, slip_s = self.get_clock().now().nanoseconds, 0.0
        due = {"imu": 0.0, "odometry": 0.0, "scan": 0.0}
        while not self.stopping.is_set() and not self._is_over():
            behind = time.perf_counter() - start - slip_s - robot.time_s
            if behind < 0.0:
                time.sleep(-behind)
            elif behind > _MOST_BEHIND_S:
                slip_s += behind
            self._late_ms.append(1000.0 * max(behind, 0.0))
            self._step()
            stamp_ns = epoch_ns + round((robot.time_s + slip_s) * 1e9)
            self._publish_due(due, stamp_ns)
            self._wall_s = time.perf_counter() - start
        self._scans.stop()
        if self._is_over() and robot.state_of_command == "commanded":
            self._sign_off()

    def _sign_off(self) -> None:
        """The person with the remote stops the robot before the simulation ends, so that no state goes stale."""
        self.robot.remote = replace(self.robot.remote, pressed=frozenset({_STOP_BUTTON}))
        for _ in range(round(_SIGN_OFF_S / STEP_S)):
            self._low_state.publish(self.robot.low_state().tobytes())
            time.sleep(STEP_S)

    def _step(self) -> None:
        data, self._command = self._command, None
        if data is not None:
            self._take_command(data)
        self._recorder.record(self.robot.time_s, self.robot.data.qpos)
        self.robot.step()
        self._low_state.publish(self.robot.low_state().tobytes())
        self._counts["lowstate"] += 1

    def _take_command(self, data: bytes) -> None:
        try:
            taken = not self._switcher.mode and self.robot.command(parse_low_cmd(data))
        except VmError as error:
            self.get_logger().warning(f"command refused: {error}", throttle_duration_sec=1.0)
            taken = False
        self._counts["lowcmd" if taken else "lowcmd_refused"] += 1

    def _publish_due(self, due: dict[str, float], stamp_ns: int) -> None:
        now = self.robot.time_s + 1e-9
        if now >= due["scan"]:
            due["scan"] += SUB_SCAN_S
            self._scans.offer(stamp_ns, self.robot.data.qpos)
        if now >= due["imu"]:
            due["imu"] += _IMU_PERIOD_S
            self._publish_imu(stamp_ns)
        if now >= due["odometry"]:
            due["odometry"] += _ODOMETRY_PERIOD_S
            self._publish_odometry(stamp_ns)

    def _publish_imu(self, stamp_ns: int) -> None:
        message, sample = self._imu_message, self.robot.read_imu(LIDAR_IMU)
        message.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
        message.orientation_covariance[0] = -1.0  # the sensor gives none
        _set_xyz(message.angular_velocity, sample.gyroscope)
        _set_xyz(message.linear_acceleration, sample.accelerometer / STANDARD_GRAVITY)
        self._imu.publish(message)

    def _publish_odometry(self, stamp_ns: int) -> None:
        message, data = self._odometry_message, self.robot.data
        quat = data.qpos[3:7]
        message.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
        _set_xyz(message.pose.pose.position, data.qpos[:3])
        orientation = message.pose.pose.orientation
        orientation.w, orientation.x, orientation.y, orientation.z = (float(v) for v in quat)
        _set_xyz(message.twist.twist.linear, quat_rotate_inverse(quat, data.qvel[:3]))
        _set_xyz(message.twist.twist.angular, data.qvel[3:6])
        self._odometry.publish(message)

    def _publish_scan(self, data: bytes) -> None:
        if not self.stopping.is_set():
            self._lidar.publish(data)
            self._counts["scans"] += 1

    def _on_low_cmd(self, data: bytes) -> None:
        self._command = data

    def _on_release(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        answer.success = self.robot.release_gantry()
        answer.message = "letting go" if answer.success else "the gantry does not hold the robot"
        return answer

    def _on_diagnostics(self) -> None:
        report = self.summary()
        slow = report["real_time_factor"] < 0.95 and report["simulated_s"] > 1.0
        status = DiagnosticStatus(name="vm_sim", hardware_id="simulation")
        status.level = DiagnosticStatus.WARN if slow else DiagnosticStatus.OK
        status.message = "slower than real time" if slow else "ok"
        status.values = [KeyValue(key=key, value=str(value)) for key, value in report.items()]
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _is_over(self) -> bool:
        return 0.0 < self.config.duration_s <= self.robot.time_s + 1e-9

    def summary(self) -> dict:
        """What happened so far: times [s], real-time factor, lateness of steps [ms], messages, state of the robot."""
        late = np.array(self._late_ms[-50_000:] or [0.0])
        return {
            "simulated_s": round(self.robot.time_s, 3),
            "wall_s": round(self._wall_s, 3),
            "real_time_factor": round(self.robot.time_s / self._wall_s, 3) if self._wall_s else 1.0,
            "step_late_ms_p50": round(float(np.percentile(late, 50)), 3),
            "step_late_ms_p99": round(float(np.percentile(late, 99)), 3),
            **self._counts,
            "sub_scans_dropped": self._scans.dropped,
            "command_state": self.robot.state_of_command,
            "gantry_share": round(self.robot.gantry_share, 3),
            "pelvis_pos_world": [round(float(v), 4) for v in self.robot.data.qpos[:3]],
        }

    def write_results(self) -> None:
        """Writes report, log and video, as far as they are asked for."""
        if self.config.report:
            with atomic_path(self.config.report) as path:
                path.write_text(json.dumps(self.summary(), indent=1) + "\n")
        if not self.config.record or self.robot.time_s == 0.0:
            return
        record, log = Path(self.config.record), self._recorder.log()
        log.save(record.with_suffix(".npz"))
        if record.suffix == ".mp4":
            from vm_sim.render import RenderConfig, render_video  # loads OpenGL, which no robot topic needs

            render_video(log.time_s, log.qpos, self._scene, record, RenderConfig())


def _load_scene(folder: str) -> SceneAsset:
    if not folder:
        raise VmError("no scene: give --scene DIR, a folder with scene.json and terrain.npz")
    return SceneAsset.load(folder)


def _set_xyz(message, values: np.ndarray) -> None:
    message.x, message.y, message.z = (float(v) for v in values)


def _spin(node: RobotNode) -> None:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while not node.stopping.is_set():
            executor.spin_once(timeout_sec=0.1)
    except ExternalShutdownException:
        node.stopping.set()
    executor.remove_node(node)


def _check_record(record: str) -> None:
    if record and Path(record).suffix not in (".npz", ".mp4"):
        raise VmError(f"record {record!r}: expected a name that ends in .npz (robot log) or .mp4 (video)")


def _main() -> None:
    split = sys.argv.index("--ros-args") if "--ros-args" in sys.argv else len(sys.argv)
    defaults = tyro.cli(SimConfig, args=sys.argv[1:split], description=SimConfig.__doc__)
    rclpy.init(args=sys.argv, signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    try:
        node = RobotNode(defaults)
        _check_record(node.config.record)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: node.stopping.set())
        listener = threading.Thread(target=_spin, args=(node,), name="ros", daemon=True)
        listener.start()
        gc.freeze()
        node.run()
        node.stopping.set()
        listener.join(timeout=2.0)
        node.write_results()
        print(json.dumps(node.summary()))
        node.destroy_node()
    finally:
        rclpy.try_shutdown()


def main() -> None:
    """Entry point of `vm-sim`; SIGINT and SIGTERM end it cleanly, with its results written and exit code 0."""
    command_line.run(_main)


if __name__ == "__main__":
    main()
