"""A robot in a scene that speaks to a running vm_heightmap: messages in lockstep with the grids that come back."""

from __future__ import annotations

import time
from collections.abc import Callable

import mujoco
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from livox_ros_driver2.msg import CustomMsg
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Imu, PointCloud2
from unitree_hg.msg import LowState

from vm_core import g1, livox_cdr, unitree_cdr
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_msgs.msg import HeightGrid
from vm_sim.g1_model import load_g1_spec, stand_qpos
from vm_sim.imu import STANDARD_GRAVITY
from vm_sim.lidar import Mid360, join_sub_scans
from vm_sim.terrain import add_scene

TICK_S = 0.01
PATIENCE_S = 60.0
"""A machine that others share may hold the node up: waits end with what they wait for, this is for failures."""
PACE_S = 0.1
"""Real time of a scan while no answer can come."""


def box(x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], label: str = "step") -> SceneBox:
    low, high = np.array([x[0], y[0], z[0]]), np.array([x[1], y[1], z[1]])
    return SceneBox(tuple(0.5 * (low + high)), tuple(0.5 * (high - low)), 0.0, label)


class World:
    """Plays data time in steps of 10 ms; after each scan it waits until the node has answered.

    Attributes:
        time_s: data time.  position: pelvis (3,) over the standing height.  joints: (29,) [rad].
        grid: the newest.  said: diagnostics as (name, level, message), values: by key; both since the last `listen`.
        alter: function of a scan's points (N,) records and its time; returns None: no scan. None: scans go out as seen,
            and the node has to take each.
        on_tick: called every 10 ms.
        odometry_error: function of time to (3,) added to the published position.
    """

    def __init__(self, own: bool = False) -> None:
        rclpy.init()
        self.node, self._own = Node("faults"), own
        best = QoSProfile(depth=20, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._low_state = self.node.create_publisher(LowState, "/lowstate", best)
        self._odometry = self.node.create_publisher(Odometry, "/ground_truth/odometry", best)
        self._imu = self.node.create_publisher(Imu, "/livox/imu", best)
        self._lidar = self.node.create_publisher(CustomMsg, "/livox/lidar", best)
        self.grid: HeightGrid | None = None
        self.cloud: PointCloud2 | None = None
        self.grids = 0
        self.said: list[tuple[str, int, str]] = []
        self.values: dict[str, str] = {}
        self.own_pose: Odometry | None = None
        self.node.create_subscription(HeightGrid, "/height_grid", self._on_grid, 10)
        self.node.create_subscription(PointCloud2, "/height_grid/points", lambda m: setattr(self, "cloud", m), 1)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.node.create_subscription(Odometry, "/odometry", lambda m: setattr(self, "own_pose", m), 10)
        self.time_s = self._stepped_s = 1000.0 + (time.time() % 1000.0)
        self.rng = np.random.default_rng(0)
        self.reset(SceneAsset())

    def reset(self, scene: SceneAsset, z: float = 0.0, mover: bool = False) -> None:
        """A fresh scene, and a jump in time, so that the node begins a fresh map."""
        self.time_s += 100.0
        self.scene, self.joints = scene, g1.DEFAULT_STAND_POSE.copy()
        spec = load_g1_spec(collision="full")
        add_scene(spec, scene)
        if mover:  # a person: a box that can be carried about
            body = spec.worldbody.add_body(name="mover", mocap=True, pos=[50.0, 0.0, 0.9])
            body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.2, 0.25, 0.9], group=2)
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._stand = stand_qpos(self._model)
        self._lidar_sensor = Mid360(self._model, self.rng)
        self.position, self.mover = np.array([0.0, 0.0, z]), np.array([50.0, 0.0, 0.9])
        self.yaw = 0.0
        self.alter, self.on_tick = None, None
        self.send_joints, self.send_odometry = True, True
        self.odometry_error = lambda time_s: np.zeros(3)
        self.odometry_delay_s, self._late = 0.0, []
        self.accel_unit = STANDARD_GRAVITY
        self._parts: list[np.ndarray] = []
        self._begun_s, self._jumped_s, self._posed_s = self.time_s, self.time_s, -np.inf
        self._sent_s: list[float] = []
        self.listen()

    def begin(self) -> None:
        """Waits for the node, which compiles first."""
        assert self._until(lambda: self.grid is not None or self.own_pose is not None, lambda: self.play(0.1), 300.0)

    def listen(self) -> None:
        """Forgets what was said."""
        self.said.clear()
        self.values.clear()

    def heard(self, part: str, words: str = "", level: int | None = None) -> bool:
        """Whether diagnostics of a part held these words (at a level: 0 OK, 1 WARN, 2 ERROR)."""
        return any(
            name.endswith(part) and words in message and (level is None or is_level == level)
            for name, is_level, message in self.said
        )

    def reports(self, part: str) -> int:
        """How often diagnostics have told of a part."""
        return sum(name.endswith(part) for name, _, _ in self.said)

    def play(self, seconds: float, velocity: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> None:
        """Lets data time pass while the pelvis moves at a velocity (3,) [m/s]."""
        for _ in range(round(seconds / TICK_S)):
            self.position = self.position + TICK_S * np.array(velocity)
            self.time_s += TICK_S
            if self.on_tick is not None:
                self.on_tick()
                time.sleep(0.005)  # the node keeps only the newest LowState: no bursts where joints move
            self._tick()

    def play_until(self, reached: Callable[[], bool]) -> bool:
        """Lets data time pass, with the robot at rest, until something is so; whether it came to that.

        What the node says of itself comes on its own clock, whatever data time does.
        """
        return self._until(reached, lambda: self.play(0.1))

    def still(self, seconds: float, step_s: float) -> None:
        """Lets much data time pass in steps, with a pose and joints a step and no scans."""
        for k in range(round(seconds / step_s)):
            self.time_s += step_s
            self._publish_state()
            rclpy.spin_once(self.node, timeout_sec=0.003)
            if k % 5 == 4:  # the node's queues are short
                self._await_answer()

    def wait_until(self, reached: Callable[[], bool]) -> bool:
        """Lets real time pass without data until something is so; whether it came to that."""
        return self._until(reached, lambda: rclpy.spin_once(self.node, timeout_sec=0.02))

    def look(self) -> None:
        """Waits for a grid and its cloud that were made after all that was sent."""
        self.cloud, grids = None, self.grids
        assert self.wait_until(lambda: self.cloud is not None and self.grids >= grids + 2)

    @staticmethod
    def _until(reached: Callable[[], bool], go_on: Callable[[], object], seconds: float = PATIENCE_S) -> bool:
        end = time.monotonic() + seconds
        while not reached() and time.monotonic() < end:
            go_on()
        return reached()

    def heights(self) -> np.ndarray:
        """(11, 11) of the newest grid, over the ground that the robot believes in [m]."""
        assert self.grid is not None
        return np.array(self.grid.height).reshape(self.grid.size_x, self.grid.size_y)

    def sources(self) -> np.ndarray:
        """(11, 11) CellSource."""
        assert self.grid is not None
        return np.array(self.grid.source).reshape(self.grid.size_x, self.grid.size_y)

    def truth(self) -> np.ndarray:
        """(11, 11) terrain under the cells of the newest grid."""
        offsets = np.stack(np.meshgrid(*[np.linspace(-0.5, 0.5, 11)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
        pose = self.grid.grid_pose.position
        error = self.odometry_error(self.time_s)
        return self.scene.height_at(offsets + [pose.x - error[0], pose.y - error[1]]).reshape(11, 11)

    def _tick(self) -> None:
        qpos = self._stand.copy()
        qpos[:3] += self.position
        qpos[3:7] = [np.cos(self.yaw / 2), 0.0, 0.0, np.sin(self.yaw / 2)]
        qpos[7:] = self.joints
        self._data.qpos[:] = qpos
        if self._model.nmocap:
            self._data.mocap_pos[0] = self.mover
        mujoco.mj_kinematics(self._model, self._data)
        self._parts.append(self._lidar_sensor.sub_scan(self._data, TICK_S))
        self._publish_state()
        if self._own:
            self._publish_imu()
        if len(self._parts) == 10:
            self._publish_scan()
            self._await_answer()

    def _publish_state(self) -> None:
        if self.send_joints:
            record = unitree_cdr.new_low_state()
            unitree_cdr.set_motors(record, "q", self.joints)
            self._low_state.publish(record.tobytes())
        if abs(self.time_s - self._stepped_s) > 1.5 * TICK_S:
            self._jumped_s = self.time_s
            self._sent_s.clear()
        self._stepped_s = self.time_s
        if self.send_odometry:
            self._late.append((self.time_s, self._odometry_msg()))
        while self._late and self._late[0][0] <= self.time_s - self.odometry_delay_s + 1e-9:
            self._posed_s, message = self._late.pop(0)
            self._odometry.publish(message)

    def _odometry_msg(self) -> Odometry:
        msg = Odometry()
        msg.header.frame_id = "map"
        _set_stamp(msg, self.time_s)
        x, y, z = self.position + self.odometry_error(self.time_s) + [0.0, 0.0, self._stand[2]]
        msg.pose.pose.position.x, msg.pose.pose.position.y, msg.pose.pose.position.z = float(x), float(y), float(z)
        msg.pose.pose.orientation.w, msg.pose.pose.orientation.z = (
            float(np.cos(self.yaw / 2)),
            float(np.sin(self.yaw / 2)),
        )
        return msg

    def _publish_imu(self) -> None:
        rotation = self._lidar_sensor.pose_world(self._data)[1]
        force = rotation.T @ np.array([0.0, 0.0, self.accel_unit]) + self.rng.normal(0.0, 0.003 * self.accel_unit, 3)
        rate = self.rng.normal(0.0, 0.003, 3)
        for shift in (-0.005, 0.0):
            msg = Imu()
            _set_stamp(msg, self.time_s + shift)
            a, w = msg.linear_acceleration, msg.angular_velocity
            a.x, a.y, a.z = (float(v) for v in force)
            w.x, w.y, w.z = (float(v) for v in rate)
            self._imu.publish(msg)

    def _publish_scan(self) -> None:
        points, self._parts = join_sub_scans(self._parts), []
        # a sub-scan was taken at the pose of its tick; its points belong to the 10 ms that end then
        start_s = self.time_s - 0.1
        if self.alter is not None:
            points = self.alter(points, start_s)
        if points is None:
            return
        stamp = round(start_s * 1e9)
        data = points if isinstance(points, bytes) else None
        if data is None:
            data = livox_cdr.encode_custom_msg(livox_cdr.LivoxScan(stamp, "livox_frame", stamp, points))
        self._lidar.publish(data)
        # what was altered may be refused; what began before the first pose is
        if self.alter is None and start_s > self._jumped_s - 1e-6 and self._may_answer():
            self._sent_s.append(self.time_s)

    def _await_answer(self) -> None:
        """Waits for a grid of now with the scan in it, so that a slow machine slows the test and not the robot."""
        if not self._may_answer():
            self._until(self._may_answer, lambda: rclpy.spin_once(self.node, timeout_sec=0.02), PACE_S)
        elif not self.wait_until(self._has_answered):
            raise TimeoutError(
                f"no grid of {self.time_s:.3f} s; the newest is of {_seconds(self.grid.header.stamp):.3f} s"
            )

    def _may_answer(self) -> bool:
        """Whether poses have come and the node has begun: with its own odometry it starts with a second of rest."""
        if self._own:
            return self.own_pose is not None and _seconds(self.own_pose.header.stamp) > self._begun_s
        return self.grid is not None and np.isfinite(self._posed_s)

    def _has_answered(self) -> bool:
        newest_s = self.time_s if self._own else self._posed_s
        if self.grid is None or abs(_seconds(self.grid.header.stamp) - newest_s) > 0.03:
            return False
        covered_s = newest_s - PACE_S if self._own else newest_s  # its own poses wait for the next samples
        due = [end_s for end_s in self._sent_s if end_s < covered_s + 1e-6 and self.alter is None]
        return not due or _seconds(self.grid.scan_stamp) > due[-1] - 0.5 * PACE_S

    def _on_grid(self, msg: HeightGrid) -> None:
        self.grid = msg
        self.grids += 1

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
            self.said.append((status.name, level, status.message))
            if status.name.endswith("grid"):
                self.values = {entry.key: entry.value for entry in status.values}


def _set_stamp(msg, time_s: float) -> None:
    nanoseconds = round(time_s * 1e9)
    msg.header.stamp.sec, msg.header.stamp.nanosec = nanoseconds // 10**9, nanoseconds % 10**9


def _seconds(stamp) -> float:
    return stamp.sec + 1e-9 * stamp.nanosec
