"""The mapper behind the simulated Mid-360, carried over stairs: bytes in, grid out, compared with the true heights.

The body is carried along a path (no physics) with the bob and sway of a walk; the map sees only bytes and poses.
"""

import mujoco
import numpy as np
import pytest

from vm_core import frames, g1, livox_cdr, unitree_cdr
from vm_core.height_grid import CellSource
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_heightmap.mapper import HeightMapper
from vm_sim.g1_model import load_g1_spec, stand_qpos
from vm_sim.lidar import Mid360, join_sub_scans
from vm_sim.terrain import add_scene

RISE, TREAD, START_X, STEPS = 0.15, 0.30, 1.6, 5
SPEED = 0.45
EDGE_M = 0.05


def stairs() -> SceneAsset:
    boxes = []
    for i in range(STEPS):
        x0, x1, top = START_X + i * TREAD, START_X + STEPS * TREAD + 1.5, (i + 1) * RISE
        boxes.append(SceneBox((0.5 * (x0 + x1), 0.0, 0.5 * top), (0.5 * (x1 - x0), 1.0, 0.5 * top), 0.0, f"step_{i}"))
    return SceneAsset(boxes=tuple(boxes), ground=(0.0, 0.0, 0.0))


def pelvis_at(time_s: float, height: float) -> tuple[np.ndarray, np.ndarray]:
    walked = SPEED * max(0.0, time_s - 1.0)
    climbed = np.clip((walked - (START_X - 0.15)) / TREAD, 0.0, STEPS) * RISE
    bob, sway = 0.02 * np.sin(4 * np.pi * time_s), 0.03 * np.sin(2 * np.pi * time_s)
    pitch = 0.03 + 0.02 * np.sin(4 * np.pi * time_s + 0.5)
    return np.array([walked, sway, height + climbed + bob]), frames.quat_from_rotvec(np.array([0.0, pitch, 0.0]))


@pytest.fixture(scope="module")
def errors() -> dict[str, np.ndarray]:
    """Per grid: error [m], whether near an edge, whether known; after 4 s of walking."""
    spec = load_g1_spec(collision="full")
    scene = stairs()
    add_scene(spec, scene)
    model = spec.compile()
    data = mujoco.MjData(model)
    stand = stand_qpos(model)
    data.qpos[:] = stand
    lidar = Mid360(model, np.random.default_rng(0))
    mapper = HeightMapper()
    state = unitree_cdr.new_low_state()
    unitree_cdr.set_motors(state, "q", g1.DEFAULT_STAND_POSE)
    mapper.on_low_state(state.tobytes())

    found: dict[str, list[np.ndarray]] = {"error": [], "edge": [], "known": []}
    sub_scans: list[np.ndarray] = []
    for tick in range(641):
        time_s = 0.01 * tick
        pos, quat = pelvis_at(time_s, stand[2])
        mapper.on_odometry(time_s, pos, quat, time_s)
        if tick and tick % 10 == 0:
            points = join_sub_scans(sub_scans)
            scan = livox_cdr.LivoxScan(round((time_s - 0.1) * 1e9), "livox_frame", 0, points)
            mapper.on_scan(livox_cdr.encode_custom_msg(scan), time_s)
            sub_scans = []
            if time_s >= 4.0:
                _compare(mapper, scene, time_s, found)
        # a sub-scan covers the 10 ms after this pose; the sensor's pose in its middle stands for all of it
        data.qpos[:3], data.qpos[3:7] = pelvis_at(time_s + 0.005, stand[2])
        mujoco.mj_kinematics(model, data)
        sub_scans.append(lidar.sub_scan(data))
    assert mapper.scans == 64
    assert mapper.epoch == 0
    return {key: np.concatenate(values) for key, values in found.items()}


def _compare(mapper: HeightMapper, scene: SceneAsset, time_s: float, found: dict[str, list[np.ndarray]]) -> None:
    sampled = mapper.grid(time_s)
    assert sampled is not None
    sample = sampled[0]
    xy = sample.points_world[:, :2]
    around = [scene.height_at(xy + [dx, 0.0]) for dx in np.linspace(-EDGE_M, EDGE_M, 11)]
    found["error"].append(sample.height - scene.height_at(xy))
    found["edge"].append(np.ptp(np.stack(around), axis=0) > 0.01)
    found["known"].append(sample.source != CellSource.UNKNOWN)


def figures(errors: dict[str, np.ndarray]) -> dict[str, float]:
    known, edge, error = errors["known"], errors["edge"], np.abs(errors["error"])
    return {
        "known_share": float(known.mean()),
        "non_edge_mae_cm": float(100 * error[known & ~edge].mean()),
        "edge_mae_cm": float(100 * error[known & edge].mean()),
        "mae_cm": float(100 * error[known].mean()),
        "bias_cm": float(100 * errors["error"][known].mean()),
    }


def test_grid_over_stairs(errors: dict[str, np.ndarray], record_property) -> None:
    measured = figures(errors)
    for name, value in measured.items():
        record_property(name, value)
    print(", ".join(f"{name} {value:.3f}" for name, value in measured.items()))
    assert measured["known_share"] >= 0.92
    assert measured["non_edge_mae_cm"] <= 1.0
    assert measured["edge_mae_cm"] <= 5.0
    assert abs(measured["bias_cm"]) <= 2.0
