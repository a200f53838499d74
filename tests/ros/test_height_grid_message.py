"""The grid's geometry on its way from the height map to the policy: what a message says is what was sampled."""

import numpy as np
import pytest

from vm_core.height_grid import HeightGridSpec
from vm_heightmap.elevation_map import ElevationMap
from vm_heightmap.grid_sampler import GridSample
from vm_heightmap.map_view import MapView
from vm_heightmap.mapper import Shown
from vm_heightmap.pose_buffer import Pose
from vm_heightmap.ros_conversions import grid_msg
from vm_policy_node.ros_conversions import grid_from_msg


@pytest.fixture
def view() -> MapView:
    return ElevationMap().view


@pytest.mark.parametrize(
    "spec",
    [
        HeightGridSpec(),
        HeightGridSpec(18, 11, center_x=0.35, samples_per_side=3),
        HeightGridSpec(5, 7, 0.05, full_attitude=True),
    ],
)
def test_the_geometry_arrives_as_it_was_sampled(spec: HeightGridSpec, view: MapView):
    n = spec.num_cells
    sample = GridSample(np.arange(n) * 0.01, np.zeros(n), np.ones(n, np.uint8), np.zeros(n), np.zeros((n, 3)))
    shown = Shown(Pose(1.0, np.array([0.0, 0.0, 0.8]), np.array([1.0, 0.0, 0.0, 0.0])), 1.0, view, 0.9, 0)
    message = grid_msg(sample, shown, spec, "odom")
    arrived = grid_from_msg(message)
    assert (arrived.spec.size_x, arrived.spec.size_y, arrived.spec.samples_per_side, arrived.spec.full_attitude) == (
        spec.size_x,
        spec.size_y,
        spec.samples_per_side,
        spec.full_attitude,
    )
    assert arrived.spec.center_x == pytest.approx(spec.center_x) and arrived.spec.resolution == pytest.approx(
        spec.resolution
    )
    np.testing.assert_allclose(arrived.terrain_height, sample.height, atol=1e-6)


def test_samples_that_nobody_named_are_the_middle_and_nonsense_is_no_crash(view: MapView):
    spec, n = HeightGridSpec(1, 1), 1
    sample = GridSample(np.zeros(n), np.zeros(n), np.ones(n, np.uint8), np.zeros(n), np.zeros((n, 3)))
    shown = Shown(Pose(1.0, np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])), 1.0, view, 0.9, 0)
    message = grid_msg(sample, shown, spec, "odom")
    for said, meant in ((0, 1), (1, 1), (3, 3), (255, 8)):
        message.samples_per_side = said
        assert grid_from_msg(message).spec.samples_per_side == meant
    message.full_attitude = True
    assert grid_from_msg(message).spec.samples_per_side == 1
