"""A robot that stands on a floor, as a process: states, odometry, scans, a grid, a policy's status and services.

Prints each velocity command that it hears and each service that is called. `python fake_robot.py [NAMESPACE]`.
"""

import contextlib
import sys

import numpy as np
import rclpy
from geometry_msgs.msg import Twist
from livox_ros_driver2.msg import CustomMsg
from nav_msgs.msg import Odometry
from rclpy.executors import ExternalShutdownException
from std_srvs.srv import Trigger
from unitree_hg.msg import LowState

from vm_core import frames, g1, livox_cdr, unitree_cdr
from vm_msgs.msg import HeightGrid, PolicyStatus

SPACE = f"/{sys.argv[1]}" if len(sys.argv) > 1 else ""
LIDAR_HEIGHT_M = g1.STAND_PELVIS_HEIGHT_M + 0.044 + float(g1.LIDAR_POS_IN_TORSO[2])


def floor_scan(stamp_ns: int, rng: np.random.Generator) -> bytes:
    """2,000 points on the floor around the robot, in the LiDAR's frame."""
    xy = rng.uniform(-2.5, 2.5, (2000, 2))
    down = np.column_stack([xy, np.full(len(xy), -LIDAR_HEIGHT_M)])
    xyz = frames.quat_rotate_inverse(g1.LIDAR_QUAT_IN_TORSO_WXYZ[None], down)
    points = np.zeros(len(xyz), dtype=livox_cdr.POINT)
    for axis, name in enumerate("xyz"):
        points[name] = xyz[:, axis]
    points["offset_time"] = np.linspace(0, 9e7, len(xyz)).astype(np.uint32)
    points["reflectivity"] = 50
    return livox_cdr.encode_custom_msg(livox_cdr.LivoxScan(stamp_ns, "livox_frame", stamp_ns, points))


def main() -> None:
    rclpy.init()
    node, rng = rclpy.create_node("fake_robot"), np.random.default_rng(0)
    state = unitree_cdr.new_low_state()
    state["imu"]["quaternion"][0], state["mode_machine"] = 1.0, 5
    unitree_cdr.set_motors(state, "q", g1.DEFAULT_STAND_POSE)
    odometry = Odometry(child_frame_id="pelvis")
    odometry.header.frame_id, odometry.pose.pose.position.z = "map", g1.STAND_PELVIS_HEIGHT_M
    states = node.create_publisher(LowState, f"{SPACE}/lowstate", 1)
    poses = node.create_publisher(Odometry, f"{SPACE}/ground_truth/odometry", 10)
    scans = node.create_publisher(CustomMsg, f"{SPACE}/livox/lidar", 5)
    reports = node.create_publisher(PolicyStatus, f"{SPACE}/policy_status", 10)

    def publish_state() -> None:
        state["tick"] += 10
        state["crc"] = unitree_cdr.low_state_crc(state)
        states.publish(state.tobytes())
        odometry.header.stamp = node.get_clock().now().to_msg()
        poses.publish(odometry)
        reports.publish(PolicyStatus(state=2, policy="fake", command=[0.5, 0.0, 0.3]))

    grid = HeightGrid(size_x=11, size_y=11, resolution=0.1, height=[0.0] * 121)
    grid.source = [1] * 44 + [2] * 22 + [3] * 22 + [0] * 33  # seen, filled, seeded, unknown
    grid.header.frame_id, grid.grid_pose.position.z = "map", g1.STAND_PELVIS_HEIGHT_M + 0.044
    grids = node.create_publisher(HeightGrid, f"{SPACE}/height_grid", 5)

    def publish_scan() -> None:
        grids.publish(grid)
        scans.publish(floor_scan(node.get_clock().now().nanoseconds - 100_000_000, rng))

    def answer(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        print("called stand", flush=True)
        response.success, response.message = False, "the fake robot does not stand up"
        return response

    node.create_subscription(Twist, f"{SPACE}/cmd_vel", lambda msg: print(f"heard {msg.linear.x:.2f}", flush=True), 1)
    node.create_service(Trigger, f"{SPACE}/policy/stand", answer)
    node.create_timer(0.01, publish_state)
    node.create_timer(0.1, publish_scan)
    print("up", flush=True)
    with contextlib.suppress(ExternalShutdownException, KeyboardInterrupt):
        rclpy.spin(node)


if __name__ == "__main__":
    main()
