"""Ways of running vm_heightmap: `python modes.py NAME` prints what a running node did, as JSON.

Run by test_vm_heightmap_modes_ros.py.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from nav_msgs.msg import OccupancyGrid, Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu, PointCloud2, PointField
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from unitree_hg.msg import LowState
from visualization_msgs.msg import MarkerArray

from vm_core import frames, g1, unitree_cdr
from vm_msgs.msg import HeightGrid

PATIENCE_S = 60.0
BEST = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
POINT = np.dtype(
    {
        "names": ["x", "y", "z", "intensity", "tag", "line", "timestamp"],
        "formats": ["<f4", "<f4", "<f4", "<f4", "u1", "u1", "<f8"],
        "offsets": [0, 4, 8, 12, 16, 17, 18],
        "itemsize": 26,
    }
)


class Driver:
    """A standing robot's messages, and what the node answers."""

    def __init__(self) -> None:
        rclpy.init()
        self.node = Node("driver")
        self.grids: list[tuple[float, HeightGrid]] = []
        self.said: list[tuple[str, int, str]] = []
        self.values: dict[str, str] = {}
        make = self.node.create_publisher
        self.low_state, self.odometry = (
            make(LowState, "/lowstate", BEST),
            make(Odometry, "/ground_truth/odometry", BEST),
        )
        self.node.create_subscription(HeightGrid, "/height_grid", self._on_grid, 50)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        record = unitree_cdr.new_low_state()
        unitree_cdr.set_motors(record, "q", g1.DEFAULT_STAND_POSE)
        self._standing = record.tobytes()

    def _on_grid(self, msg: HeightGrid) -> None:
        self.grids.append((time.monotonic(), msg))

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
            self.said.append((status.name, level, status.message))
            self.values |= {entry.key: entry.value for entry in status.values}

    def stand(self, time_s: float) -> None:
        """Joints and a pose of this time."""
        self.low_state.publish(self._standing)
        msg = Odometry()
        msg.header.frame_id = "map"
        stamp(msg.header.stamp, time_s)
        msg.pose.pose.position.z, msg.pose.pose.orientation.w = g1.STAND_PELVIS_HEIGHT_M, 1.0
        self.odometry.publish(msg)

    def spin(self, seconds: float, every_s: float, call) -> None:
        """Calls every so often for so long; without a burst after having been held up."""
        self.until(lambda: False, every_s, call, seconds)

    def until(self, reached, every_s: float, call, seconds: float = PATIENCE_S) -> bool:
        """Calls every so often until something is so; whether it came to that."""
        end, due = time.monotonic() + seconds, time.monotonic()
        while not reached() and time.monotonic() < end:
            if time.monotonic() >= due:
                call()
                due = time.monotonic() + every_s
            rclpy.spin_once(self.node, timeout_sec=0.001)
        return reached()


def stamp(msg, time_s: float) -> None:
    nanoseconds = round(time_s * 1e9)
    msg.sec, msg.nanosec = nanoseconds // 10**9, nanoseconds % 10**9


def lifecycle(driver: Driver) -> dict:
    """Needs autostart:=false."""
    change = driver.node.create_client(ChangeState, "/vm_heightmap/change_state")
    state = driver.node.create_client(GetState, "/vm_heightmap/get_state")
    assert change.wait_for_service(timeout_sec=PATIENCE_S) and state.wait_for_service(timeout_sec=PATIENCE_S)
    found = {}

    def ask(client, request):
        future = client.call_async(request)
        rclpy.spin_until_future_complete(driver.node, future, timeout_sec=2 * PATIENCE_S)  # it compiles first
        return future.result()

    def stand() -> None:
        driver.stand(time.time())

    for name in ("configure", "activate", "deactivate", "cleanup", "configure again", "activate again"):
        kind = getattr(Transition, f"TRANSITION_{name.split()[0].upper()}")
        done = ask(change, ChangeState.Request(transition=Transition(id=kind))).success
        label = ask(state, GetState.Request()).current_state.label
        driver.spin(0.5, 0.01, stand)
        driver.grids.clear()
        if label == "active":
            driver.until(lambda: len(driver.grids) > 20, 0.01, stand)
        else:
            driver.spin(1.2, 0.01, stand)
        found[name] = {"done": done, "state": label, "grids": len(driver.grids)}
    return found


def sim_time(driver: Driver) -> dict:
    """Needs use_sim_time:=true. The clock runs at half the speed of time or less, stops, and jumps back."""
    clock = driver.node.create_publisher(Clock, "/clock", 10)
    now, due = {"s": 100.0, "tick": 0}, {"s": 0.0, "grids": 0}

    def tick() -> None:
        now["s"], now["tick"] = now["s"] + 0.0025, now["tick"] + 1
        msg = Clock()
        stamp(msg.clock, now["s"])
        clock.publish(msg)
        if now["tick"] % 4 == 0:
            driver.stand(now["s"])

    def rate_hz() -> float:
        """Grids in a second of that clock, which goes on from one period to the next once a grid has come."""
        driver.grids.clear(), driver.said.clear()
        start_s = now["s"]
        for _ in range(100):
            due["s"], due["grids"] = now["s"] + 0.019, len(driver.grids) + 1
            driver.until(lambda: now["s"] > due["s"], 0.005, tick)
            driver.until(lambda: len(driver.grids) >= due["grids"], 0.005, lambda: None, 0.5)
        return len(driver.grids) / (now["s"] - start_s)

    driver.until(lambda: bool(driver.grids), 0.005, tick)
    driver.spin(1.0, 0.005, tick)
    found: dict = {"rate_hz": rate_hz()}
    found["errors"] = [m for name, _, m in driver.said if name.endswith("odometry") and m != "OK"]
    driver.spin(1.0, 0.01, lambda: None)
    driver.grids.clear(), driver.said.clear()
    driver.spin(1.5, 0.01, lambda: None)
    found |= {"while_stopped": len(driver.grids), "errors_while_stopped": len(driver.said)}
    driver.until(lambda: len(driver.grids) > 20, 0.005, tick)
    epoch = driver.grids[-1][1].epoch
    now["s"] -= 20.0
    driver.until(lambda: driver.grids[-1][1].epoch > epoch, 0.005, tick)
    rate_after_hz = rate_hz()
    return found | {"epochs": int(driver.grids[-1][1].epoch - epoch), "rate_after_hz": rate_after_hz}


def utlidar(driver: Driver) -> dict:
    """Needs Unitree's topics and the own odometry: the driver's PointCloud2 format 0, accelerations in g."""
    make = driver.node.create_publisher
    clouds, imus = make(PointCloud2, "/utlidar/cloud_livox_mid360", BEST), make(Imu, "/utlidar/imu_livox_mid360", BEST)
    poses, transforms, layers, markers = [], [], [], []
    driver.node.create_subscription(Odometry, "/odometry", poses.append, 10)
    driver.node.create_subscription(TFMessage, "/tf", transforms.append, 10)
    driver.node.create_subscription(OccupancyGrid, "/height_grid/map_std", layers.append, 1)
    driver.node.create_subscription(MarkerArray, "/height_grid/markers", markers.append, 1)
    save = driver.node.create_client(Trigger, "/vm_heightmap/save_map")
    turn, rng = frames.matrix_from_quat(g1.LIDAR_QUAT_IN_TORSO_WXYZ), np.random.default_rng(0)
    ticks = {"n": 0}

    def tick() -> None:
        ticks["n"] += 1
        driver.low_state.publish(driver._standing)
        now_s, msg = time.time(), Imu()
        stamp(msg.header.stamp, now_s)
        a = msg.linear_acceleration
        a.x, a.y, a.z = (float(v) for v in turn.T @ [0.0, 0.0, 1.0])
        imus.publish(msg)
        if ticks["n"] % 20 == 0:
            clouds.publish(_room_cloud(now_s - 0.1, turn, rng))

    best = dict.fromkeys(("matched", "imu_hz", "lidar_hz", "grid_hz"), 0.0)

    def all_told() -> bool:
        for name, value in best.items():
            best[name] = max(value, float(driver.values.get(name, 0)))
        at_pace = best["lidar_hz"] > 5.0 and best["grid_hz"] > 30.0
        return at_pace and best["matched"] > 400 and len(layers) > 3 and bool(markers and transforms)

    driver.until(lambda: bool(poses), 0.005, tick)
    driver.spin(1.0, 0.005, tick)
    driver.until(all_told, 0.005, tick)
    place = poses[-1].pose.pose.position
    found = {"off_m": float(np.hypot(place.x, place.y)), "height_off_m": place.z - g1.STAND_PELVIS_HEIGHT_M}
    found |= {"unit": driver.values.get("acceleration_unit"), "matched": int(best["matched"])}
    found["rates"] = best
    found["frames"] = sorted({t.child_frame_id for msg in transforms for t in msg.transforms})
    grid = driver.grids[-1][1]
    found["geometry"] = [grid.size_x, grid.size_y, round(grid.center_x, 3)]
    found["scan_age_s"] = time.time() - (grid.scan_stamp.sec + 1e-9 * grid.scan_stamp.nanosec)
    found |= {"cubes": len(markers[-1].markers[0].points), "saved": _saved(driver, save)}
    return found | {"layers": len(layers), "known": float(np.mean(np.array(grid.source) > 0))}


def _saved(driver: Driver, save) -> list[int]:
    """Asks for the map's file; the size of its layers."""
    future = save.call_async(Trigger.Request())
    rclpy.spin_until_future_complete(driver.node, future, timeout_sec=PATIENCE_S)
    answer = future.result()
    assert answer.success, answer.message
    return list(np.load(answer.message)["height"].shape)


def _room_cloud(start_s: float, turn: np.ndarray, rng: np.random.Generator) -> PointCloud2:
    """A room of 6 m × 5 m with a box in it, seen from where the LiDAR hangs on a standing robot."""
    count = 8000
    azimuth, elevation = rng.uniform(-np.pi, np.pi, count), rng.uniform(np.deg2rad(-7), np.deg2rad(52), count)
    flat = np.cos(elevation)
    directions = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], axis=-1)
    world, origin = (
        directions @ turn.T,
        np.array([0.0, 0.0, g1.STAND_PELVIS_HEIGHT_M + 0.044 + g1.LIDAR_POS_IN_TORSO[2]]),
    )
    with np.errstate(divide="ignore"):
        high, low = np.array([3.0, 2.5, 9.0]), np.array([-3.0, -2.5, 0.0])
        ranges = np.where(world > 0, (high - origin) / world, (low - origin) / world).min(axis=1)
    xyz = directions * (ranges + rng.normal(0.0, 0.01, count))[:, None]
    points = np.zeros(count, dtype=POINT)
    points["x"], points["y"], points["z"] = xyz.T
    points["timestamp"] = (start_s + np.arange(count) * 0.1 / count) * 1e9
    msg = PointCloud2(height=1, width=count, point_step=26, row_step=26 * count, is_dense=True)
    stamp(msg.header.stamp, start_s)
    kinds = {"<f4": PointField.FLOAT32, "u1": PointField.UINT8, "<f8": PointField.FLOAT64}
    for name in POINT.names or ():
        dtype, offset = POINT.fields[name][:2]
        kind = kinds["u1" if dtype.itemsize == 1 else f"<f{dtype.itemsize}"]
        msg.fields.append(PointField(name=name, offset=offset, datatype=kind, count=1))
    msg.data = points.tobytes()
    return msg


if __name__ == "__main__":
    print(json.dumps({sys.argv[1]: globals()[sys.argv[1]](Driver())}), flush=True)
