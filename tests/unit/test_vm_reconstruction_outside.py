"""Bodies stay outside what is seen of the scene: which surfaces count, and that they push one way only."""

from __future__ import annotations

import numpy as np
import pytest

from vm_reconstruction.solver.joint import outside
from vm_reconstruction.solver.joint.skeleton import ROTATIONS, SHAPES, Skeleton
from vm_reconstruction.solver.joint.state import PersonPoints, PersonState
from vm_reconstruction.solver.joint.terms import N

WALL_X, SCALE = 2.0, 0.5
CAMERA = np.array([[-3.0, 0.0, 1.0]])


def _wall() -> np.ndarray:
    """Points (N, 3) of a wall across x = 2, 5 cm apart."""
    y, z = np.mgrid[-1.0:1.0:0.05, -1.5:1.5:0.05].reshape(2, -1)
    return np.column_stack([np.full(len(y), WALL_X), y, z])


def _person(x: float) -> PersonPoints:
    """Stands upright at x [m], one frame."""
    rotation = np.tile(np.eye(3), (1, len(ROTATIONS), 1, 1))
    state = PersonState(np.array([[x, 0.0, 0.0]]), rotation, np.zeros(len(SHAPES)), np.zeros((1, 3)))
    return PersonPoints.of(Skeleton.of_height(1.75), state)


@pytest.mark.parametrize(("x", "pushed"), [(WALL_X + 0.1, True), (WALL_X - 0.2, False), (WALL_X + 1.0, False)])
def test_who_is_in_a_wall_is_pushed_to_the_side_where_the_camera_is(x: float, pushed: bool) -> None:
    """In front of it nobody feels anything; far behind it is another room."""
    body = _person(x)
    walls = outside.beside(body.points[:, :N], CAMERA, _wall(), SCALE)
    found = list(outside.rows(body, 0, 1 + len(SHAPES), walls, np.zeros(N), SCALE, 0.1, 2.0))
    assert bool(found) == pushed
    for rows in found:
        np.testing.assert_allclose(rows.residual[0, :2], (WALL_X - x) / 0.1, atol=1e-6)
        assert (rows.jacobians[0][0, :2, 0] < 0).all()
        np.testing.assert_allclose(walls.normal[0, 0], [-1.0, 0.0, 0.0], atol=1e-6)


def test_thick_clouds_and_few_points_are_no_surface() -> None:
    body = _person(WALL_X + 0.05)
    thick = _wall() + np.random.default_rng(0).normal(0.0, 0.1, (len(_wall()), 3))
    assert outside.beside(body.points[:, :N], CAMERA, thick, SCALE).near.mean() < 0.3
    assert not outside.beside(body.points[:, :N], CAMERA, _wall()[:5], SCALE).near.any()
    assert outside.beside(body.points[:, :N], CAMERA, _wall(), SCALE).near[0, :2].all()
