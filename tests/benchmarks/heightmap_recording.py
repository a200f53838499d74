"""What the robot's sensors would have said on a walk, and the truth beside it, which no estimator gets to see."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from heightmap_walks import RATE_HZ, Walk
from scipy.spatial.transform import Rotation

from vm_core import frames, g1, livox_cdr, unitree_cdr
from vm_sim.g1_model import joint_addresses
from vm_sim.imu import STANDARD_GRAVITY
from vm_sim.lidar import Mid360, join_sub_scans
from vm_sim.robot import build_model

IMU_EVERY = 2  # 250 Hz, the driver's rate within a quarter
SCAN_EVERY = RATE_HZ // 10
_IMU_POS_IN_LIDAR = np.array([0.011, 0.02329, -0.04412])


@dataclass(frozen=True)
class Noise:
    """Standard deviations; biases are drawn once a recording."""

    range_m: float = 0.015
    gyroscope: float = 0.003
    gyroscope_bias: float = 0.002
    accelerometer: float = 0.03
    accelerometer_bias: float = 0.03
    joint_rad: float = 2e-4
    joint_rad_s: float = 0.02


@dataclass(frozen=True)
class Recording:
    """Sensors and truth of a walk.

    Attributes:
        walk: the walk.
        joint_pos, joint_vel: (T, 29) encoders at 500 Hz [rad], [rad/s].
        imu_time_s: (M,); imu: (M, 6) gyroscope [rad/s] and specific force [m/s²] in the LiDAR's frame.
        scans: CustomMsg bytes, stamped with the time of their first point, one every 0.1 s.
        true_pelvis: (T, 7); true_torso: (T, 7) position [m] and wxyz at 500 Hz.
    """

    walk: Walk
    joint_pos: np.ndarray
    joint_vel: np.ndarray
    imu_time_s: np.ndarray
    imu: np.ndarray
    scans: list[bytes]
    true_pelvis: np.ndarray
    true_torso: np.ndarray

    @property
    def time_s(self) -> np.ndarray:
        return np.arange(len(self.true_pelvis)) / RATE_HZ

    def low_state(self, tick: int) -> bytes:
        """The LowState of a tick, as the robot sends it."""
        record = unitree_cdr.new_low_state()
        unitree_cdr.set_motors(record, "q", self.joint_pos[tick])
        unitree_cdr.set_motors(record, "dq", self.joint_vel[tick])
        return record.tobytes()


def record(walk: Walk, seed: int, noise: Noise | None = None) -> Recording:
    """Plays a walk and reads every sensor."""
    noise = noise or Noise()
    rng = np.random.default_rng(1000 + seed)
    model = build_model(walk.scene)
    data = mujoco.MjData(model)
    lidar = Mid360(model, rng, range_std_m=noise.range_m)
    torso_id = model.body(g1.TORSO_BODY).id
    at, _ = joint_addresses(model, g1.MOTOR_NAMES)
    torso, scans, parts = [], [], []
    for k, qpos in enumerate(walk.qpos):
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        torso.append(np.concatenate([data.xpos[torso_id], data.xquat[torso_id]]))
        points = lidar.sub_scan(data, 1.0 / RATE_HZ)
        if walk.grass_m:
            _grow_grass(points, lidar.pose_world(data), walk, rng)
        parts.append(points)
        if len(parts) == SCAN_EVERY:
            stamp = round((k + 1 - SCAN_EVERY) / RATE_HZ * 1e9)
            scan = livox_cdr.LivoxScan(stamp, "livox_frame", stamp, join_sub_scans(parts))
            scans.append(livox_cdr.encode_custom_msg(scan))
            parts = []
    joints = walk.qpos[:, at]
    torso_poses = np.array(torso)
    return Recording(
        walk,
        joints + rng.normal(0.0, noise.joint_rad, joints.shape),
        np.gradient(joints, 1.0 / RATE_HZ, axis=0) + rng.normal(0.0, noise.joint_rad_s, joints.shape),
        np.arange(0, len(walk.qpos), IMU_EVERY) / RATE_HZ,
        _imu(torso_poses, rng, noise),
        scans,
        walk.qpos[:, :7],
        torso_poses,
    )


def _imu(torso: np.ndarray, rng: np.random.Generator, noise: Noise) -> np.ndarray:
    """The LiDAR's inertial unit: differences of its true pose over 4 ms, noise and a constant bias."""
    step = IMU_EVERY / RATE_HZ
    quat = frames.quat_multiply(torso[:, 3:], np.broadcast_to(g1.LIDAR_QUAT_IN_TORSO_WXYZ, torso[:, 3:].shape))
    arm = g1.LIDAR_POS_IN_TORSO + frames.quat_rotate(g1.LIDAR_QUAT_IN_TORSO_WXYZ, _IMU_POS_IN_LIDAR)
    pos = torso[:, :3] + frames.quat_rotate(torso[:, 3:], np.broadcast_to(arm, (len(torso), 3)))
    pos, turns = pos[::IMU_EVERY], Rotation.from_quat(quat[::IMU_EVERY][:, [1, 2, 3, 0]])
    turned = (turns[:-2].inv() * turns[2:]).as_rotvec() / (2 * step)
    acceleration = (pos[2:] - 2 * pos[1:-1] + pos[:-2]) / step**2 + [0.0, 0.0, STANDARD_GRAVITY]
    force = turns[1:-1].inv().apply(acceleration)
    both = np.hstack([turned, force])
    both = np.concatenate([both[:1], both, both[-1:]])
    std = np.repeat([noise.gyroscope, noise.accelerometer], 3)
    bias = rng.normal(0.0, np.repeat([noise.gyroscope_bias, noise.accelerometer_bias], 3))
    return both + bias + rng.normal(0.0, 1.0, both.shape) * std


def _grow_grass(points: np.ndarray, pose: tuple[np.ndarray, np.ndarray], walk: Walk, rng: np.random.Generator) -> None:
    """Shortens rays that end on the ground: they hit blades before it."""
    pos, turn = pose
    xyz = np.stack([points[axis] for axis in "xyz"], axis=-1).astype(float)
    world = pos + xyz @ turn.T
    ground = walk.scene.ground_height_at(world[:, :2])
    hit = (np.abs(world[:, 2] - ground) < 0.08) & (points["reflectivity"] > 0)
    drop = np.where(hit, (pos[2] - world[:, 2]), np.inf)
    share = 1.0 - np.clip(rng.exponential(walk.grass_m, len(points)) / drop, 0.0, 0.3)
    for axis in "xyz":
        points[axis] *= share
