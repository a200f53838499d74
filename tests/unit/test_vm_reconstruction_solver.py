"""The banded solver against dense linear algebra, and the body problem against a person that is known."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from vm_reconstruction.body_model import rest_positions
from vm_reconstruction.human_motion import joint_index
from vm_reconstruction.solver import body_problem
from vm_reconstruction.solver.banded import Block, minimize, normal_equations
from vm_reconstruction.solver.body_problem import POINTS, BodyProblem


def chain_model(targets: np.ndarray, cauchy: float | None):
    """Unknowns in a row: each near its target (as a sine), each near its neighbour."""
    size = len(targets)
    index = np.arange(size)

    def model(x: np.ndarray) -> list[Block]:
        near = Block((np.sin(x) - targets)[:, None], np.cos(x)[:, None, None], index[:, None], cauchy)
        ties = np.broadcast_to(np.array([-2.0, 2.0]), (size - 1, 1, 2))
        return [near, Block(2.0 * np.diff(x)[:, None], ties, np.stack([index[:-1], index[1:]], axis=1))]

    return model


def test_normal_equations_are_those_of_the_dense_problem():
    random = np.random.default_rng(1)
    columns = np.array([[0, 2], [3, 1], [4, 5], [5, 3]])
    block = Block(random.normal(size=(4, 3)), random.normal(size=(4, 3, 2)), columns, 1.5)
    band, gradient = normal_equations([block], 6, 2)
    dense = np.zeros((4, 3, 6))
    for group in range(4):
        dense[group][:, columns[group]] = block.jacobian[group]
    weighted = dense * block.weights()[:, None, None]
    hessian = np.einsum("gmi,gmj->ij", weighted, dense)
    for i in range(6):
        for j in range(max(0, i - 2), i + 1):
            assert band[i - j, j] == pytest.approx(hessian[i, j])
    assert gradient == pytest.approx(np.einsum("gmi,gm->i", weighted, block.residual))


def test_same_minimum_as_dense_least_squares():
    targets = np.random.default_rng(0).uniform(-0.8, 0.8, 30)

    def residuals(x: np.ndarray) -> np.ndarray:
        return np.concatenate([np.sin(x) - targets, 2.0 * np.diff(x)])

    dense = least_squares(residuals, np.zeros(30), xtol=1e-12, ftol=1e-12, gtol=1e-12)
    ours = minimize(chain_model(targets, None), np.zeros(30), 1, 50, tol=1e-14)
    assert ours.converged
    assert ours.cost == pytest.approx(dense.cost, rel=1e-9)
    assert ours.x == pytest.approx(dense.x, abs=1e-5)


def test_an_outlier_pulls_less_with_cauchy():
    targets = np.zeros(21)
    targets[10] = 30.0
    plain = minimize(chain_model(targets, None), np.zeros(21), 1, 100)
    robust = minimize(chain_model(targets, 0.1), np.zeros(21), 1, 100)
    assert abs(robust.x[10]) < 0.2 * abs(plain.x[10])


def walking_points(frames: int, height_m: float) -> np.ndarray:
    """A rigid body that drifts past the camera, 4 m away, in camera axes."""
    rest = rest_positions(height_m)[[joint_index(name) for name in POINTS]]
    bent = rest.copy()
    bent[:, 0] += 0.05 * np.sin(7.0 * rest[:, 2])  # no joint exactly stretched
    camera = np.stack([-bent[:, 1], 0.9 - bent[:, 2], -bent[:, 0]], axis=1)
    way = np.linspace(-0.5, 0.5, frames)
    return camera + np.stack([way, np.zeros(frames), 4.0 + 0.2 * way], axis=1)[:, None]


def test_body_problem_finds_a_known_person_and_ignores_wrong_landmarks():
    frames, random = 40, np.random.default_rng(3)
    truth = walking_points(frames, 1.75)
    K = np.array([[800.0, 0, 320], [0, 800, 240], [0, 0, 1]])
    R = np.tile(np.eye(3), (frames, 1, 1))
    lengths = body_problem.measured_lengths(truth, np.ones((frames, len(POINTS))))
    xy = truth[..., :2] / truth[..., 2:] * 800 + K[:2, 2] + random.normal(0, 2.0, (frames, len(POINTS), 2))
    xy[::7, 3] += 150.0
    shape = truth - truth.mean(axis=1, keepdims=True) + random.normal(0, 0.03, truth.shape)
    planted = np.zeros((frames - 1, len(POINTS)))
    problem = BodyProblem(30.0, K, R, xy, np.ones((frames, len(POINTS))), shape, lengths, planted)
    start = shape + np.array([0.0, 0.0, 3.3])
    points, solution = problem.solve(start, 40)
    assert solution.cost < problem.solve(start, 1)[1].cost
    assert np.linalg.norm(points - truth, axis=-1).mean() < 0.05
    hard = np.linalg.norm(points[:, POINTS.index("left_knee")] - points[:, POINTS.index("left_hip")], axis=-1)
    assert np.ptp(hard) < 0.01
