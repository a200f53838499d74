"""Unitree's policy walks in physics beside a kerb; the height map sees only what the robot's sensors say.

LowState bytes at 500 Hz, the LiDAR's inertial unit at 250 Hz with the feet's impacts in it, and scans of the Mid-360.
The own odometry carries the grid, which is compared with the terrain under the true torso.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from vm_core import g1, livox_cdr
from vm_core.height_grid import CellSource, HeightGridSpec, cell_points_world
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_heightmap.mapper import HeightMapper
from vm_heightmap.mapper_config import MapperConfig
from vm_policy_node.controller import Controller, ControllerConfig
from vm_policy_node.importers.unitree_rl_lab import import_unitree_rl_lab
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.safety import SafetyLimits, State
from vm_sim.imu import LIDAR_IMU
from vm_sim.lidar import Mid360, join_sub_scans
from vm_sim.robot import SimulatedG1

DATA = Path(os.environ.get("VM_SHARED_DATA", Path(__file__).parents[2].parent / "shared/data"))
POLICY = DATA / "policies/unitree_g1_velocity"
STAND_S, WALK_S, SETTLED_S, SPEED = 2.5, 5.0, 5.0, 0.45
KERB_M, EDGE_M = 0.12, 0.06


def lane() -> SceneAsset:
    def box(low: tuple, high: tuple, label: str) -> SceneBox:
        a, b = np.array(low), np.array(high)
        return SceneBox(tuple(0.5 * (a + b)), tuple(0.5 * (b - a)), 0.0, label)

    walls = [box((-3, 2.5, 0), (8, 2.7, 3), "wall"), box((6, -3, 0), (6.2, 2.5, 3), "wall")]
    return SceneAsset(boxes=(box((-3, 0.42, 0), (8, 2.5, KERB_M), "kerb"), *walls))


@pytest.fixture(scope="module")
def walked(tmp_path_factory) -> dict[str, np.ndarray]:
    """Errors and sources of the cells, distance to the kerb's edge, and the torso's height error at each scan."""
    if not POLICY.is_dir():
        pytest.skip(f"no velocity policy at {POLICY}")
    path = tmp_path_factory.mktemp("policy") / "velocity.onnx"
    import_unitree_rl_lab(POLICY).write(path)
    scene = lane()
    robot = SimulatedG1(scene, seed=0, start_noise=0.5, hang=False)
    limits = SafetyLimits(start_still_s=0.0)  # it stands freely, nobody can wait
    controller = Controller(OnnxPolicy.load(path), ControllerConfig(stand_duration_s=1.0), limits)
    lidar, parts = Mid360(robot.model, np.random.default_rng(0)), []
    mapper, torso = HeightMapper(MapperConfig(own_odometry=True)), robot.model.body(g1.TORSO_BODY).id
    found: dict[str, list] = {"error": [], "source": [], "edge_m": [], "height": []}
    for k in range(round((STAND_S + WALK_S) * 500)):
        now = robot.time_s
        if k % 10 == 0:
            control(robot, controller, now)
        mapper.on_low_state(robot.low_state().tobytes())
        if k % 2 == 0:
            sample = robot.read_imu(LIDAR_IMU)
            mapper.on_imu(now, sample.gyroscope, sample.accelerometer, now)
        parts.append(lidar.sub_scan(robot.data, 0.002))
        robot.step()
        if len(parts) == 50:
            stamp = round((now - 0.098) * 1e9)
            scan = livox_cdr.LivoxScan(stamp, "livox_frame", stamp, join_sub_scans(parts))
            mapper.on_scan(livox_cdr.encode_custom_msg(scan), now)
            parts = []
        pose = (robot.data.xpos[torso].copy(), robot.data.xquat[torso].copy())
        if now > SETTLED_S and k % 50 == 1:
            compare(mapper, scene, pose, now, found)
    assert controller.machine.state is State.RUNNING, controller.machine.cause
    assert robot.data.qpos[0] > 1.2
    return {name: np.array(values) for name, values in found.items()}


def control(robot: SimulatedG1, controller: Controller, now: float) -> None:
    controller.on_low_state(robot.low_state().tobytes(), now)
    controller.command.on_cmd_vel(SPEED if now > STAND_S else 0.0, 0.0, 0.0, now)
    low_cmd = controller.step(now)
    if low_cmd is None:
        controller.request("stand", now)
        low_cmd = controller.step(now)
    assert low_cmd is not None
    robot.command(low_cmd)
    if controller.at_start_pose(now):
        controller.request("run", now)


def compare(mapper: HeightMapper, scene: SceneAsset, pose, now: float, found: dict[str, list]) -> None:
    sampled = mapper.grid(now)
    assert sampled is not None
    sample, shown = sampled
    xy = cell_points_world(HeightGridSpec(), *pose)[:, :2]
    truth = pose[0][2] - scene.height_at(xy)
    found["error"].append(truth - (shown.pose.pos[2] - sample.height))
    found["source"].append(sample.source)
    found["edge_m"].append(np.abs(xy[:, 1] - 0.42))
    found["height"].append(shown.pose.pos[2] - pose[0][2])


def test_the_grid_under_a_walking_robot(walked: dict[str, np.ndarray], record_property) -> None:
    known, away = walked["source"] != CellSource.UNKNOWN, walked["edge_m"] > EDGE_M
    off = np.abs(walked["error"])
    figures = {"known": known.mean(), "mae_cm": 100 * off[known & away].mean()}
    figures["height_cm"] = 100 * np.ptp(walked["height"])
    for name, value in figures.items():
        record_property(name, float(value))
    print(figures)
    assert figures["known"] > 0.95
    assert figures["mae_cm"] < 1.0
    assert figures["height_cm"] < 3.0
