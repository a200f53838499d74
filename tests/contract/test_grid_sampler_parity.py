"""The height grid that the robot makes from points is the one that rays measure in the simulator."""

import mujoco
import numpy as np
import pytest

from vm_core.frames import quat_from_yaw
from vm_core.height_grid import CellSource, HeightGridSpec, cell_points_world, sample_points_world
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_heightmap.elevation_map import ElevationMap
from vm_heightmap.grid_sampler import sample_grid
from vm_sim.terrain import add_scene

EDGE_M = 0.05
SCENE = SceneAsset(
    boxes=(
        SceneBox((0.55, 0.1, 0.075), (0.3, 0.6, 0.075), 0.0, "step_0", 0.0),
        SceneBox((0.9, 0.1, 0.15), (0.15, 0.4, 0.15), 0.3, "step_1", 0.0),
        SceneBox((-0.2, -0.5, 0.2), (0.2, 0.12, 0.2), 0.0, "seat", 0.0),
    ),
    ground=(0.0, 0.0, 0.02),
)


@pytest.fixture(scope="module")
def simulator() -> tuple[mujoco.MjModel, mujoco.MjData]:
    spec = mujoco.MjSpec()
    add_scene(spec, SCENE)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    return model, data


def cast_down(simulator: tuple[mujoco.MjModel, mujoco.MjData], xy: np.ndarray) -> np.ndarray:
    """Terrain z (N,) below xy (N, 2)."""
    model, data = simulator
    down, geom = np.array([0.0, 0.0, -1.0]), np.zeros(1, dtype=np.int32)
    starts = np.column_stack([xy, np.full(len(xy), 3.0)])
    return np.array([3.0 - mujoco.mj_ray(model, data, start, down, None, True, -1, geom) for start in starts])


def away_from_edges(simulator: tuple[mujoco.MjModel, mujoco.MjData], xy: np.ndarray) -> np.ndarray:
    turns = np.linspace(0.0, 2.0 * np.pi, 12, endpoint=False)
    around = [cast_down(simulator, xy + EDGE_M * np.array([np.cos(a), np.sin(a)])) for a in turns]
    return np.ptp(np.stack(around), axis=0) < 1e-6


@pytest.mark.parametrize("yaw", [0.0, 0.7, -2.4])
def test_grid_equals_ray_cast(simulator: tuple[mujoco.MjModel, mujoco.MjData], yaw: float) -> None:
    elevation = ElevationMap()
    elevation.move_to(np.array([0.2, 0.0]))
    fine = (np.arange(-80, 120) + 0.37) * 0.01
    xy = np.stack(np.meshgrid(fine, fine, indexing="ij"), axis=-1).reshape(-1, 2)
    points = np.column_stack([xy, cast_down(simulator, xy)])
    # rays come straight down from above each point: dense, exact and without shadows
    for pick in np.array_split(np.random.default_rng(0).permutation(len(points)), 4):
        elevation.add_points(points[pick], points[pick] + [0.0, 0.0, 2.0], 0.0)

    spec, torso, quat = HeightGridSpec(), np.array([0.2, 0.05, 0.9]), quat_from_yaw(np.array(yaw))
    sample = sample_grid(elevation.view, spec, torso, quat, 0.5)
    xy = cell_points_world(spec, torso, quat)[:, :2]
    flat = away_from_edges(simulator, xy)
    assert flat.sum() > 60
    assert len(np.unique(np.round(cast_down(simulator, xy[flat]), 3))) >= 3  # ground and box tops are both there
    assert np.all(sample.source == CellSource.SEEN)
    np.testing.assert_allclose(sample.age_s, 0.5)
    np.testing.assert_allclose(sample.height[flat], cast_down(simulator, xy[flat]), atol=1e-3)

    spec = HeightGridSpec(samples_per_side=3)
    means = sample_grid(elevation.view, spec, torso, quat, 0.5)
    inside = sample_points_world(spec, xy, quat)
    truth = cast_down(simulator, inside.reshape(-1, 2)).reshape(spec.num_cells, -1)
    clear = away_from_edges(simulator, inside.reshape(-1, 2)).reshape(truth.shape)
    np.testing.assert_allclose(means.height[clear.all(axis=1)], truth[clear.all(axis=1)].mean(axis=1), atol=1e-3)
    over_edges = np.ptp(truth, axis=1) > 0.04
    assert over_edges.sum() >= 8
    # the map knows an edge to about a cell of 2 cm; a third of a height grid's cell is 3.3 cm
    off, off_of_middles = (np.abs(grid.height - truth.mean(axis=1))[over_edges].mean() for grid in (means, sample))
    assert off < 0.025 and off < 0.6 * off_of_middles
    assert np.all(means.source == sample.source)
