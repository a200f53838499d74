"""The joint human-scene problem: exact derivatives, banded solver against a dense one, accuracy, no truth inside."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import block_diag, lapack

from vm_core.errors import VmError
from vm_reconstruction.datasets.make_dataset import DatasetConfig, make_dataset
from vm_reconstruction.datasets.synthetic.video_truth import VideoTruth
from vm_reconstruction.evaluation import protocol
from vm_reconstruction.frontends.noisy_oracle import observe, units_a_metre
from vm_reconstruction.frontends.oracle_noise import OracleNoise
from vm_reconstruction.geometry import clouds
from vm_reconstruction.human_motion import joint_index
from vm_reconstruction.observations import Observations
from vm_reconstruction.solver.joint import (
    apart,
    arrow,
    band_solve,
    grounds,
    outside,
    so3,
    solve,
    start,
    surfaces,
    videomimic,
)
from vm_reconstruction.solver.joint.minimize import minimize
from vm_reconstruction.solver.joint.problem import JointProblem, Sigmas
from vm_reconstruction.solver.joint.rows import Rows
from vm_reconstruction.solver.joint.skeleton import SOLES, TOUCHING
from vm_reconstruction.solver.joint.state import FRAME_SIZE, JointState, PersonPoints


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("set")
    return make_dataset(DatasetConfig(out, videos=2, fps=15.0, pictures=False, depth_px=96))[1]


@pytest.fixture(scope="module")
def observed(video: Path) -> Observations:
    seen = observe(VideoTruth.load(video), OracleNoise(), seed=3)
    seen.save(video / "observations.npz")
    return seen


def _short(observed: Observations, frames: int) -> Observations:
    names = ("R_world_camera", "camera_center", "depth", "mask")
    cut = {name: getattr(observed, name)[:frames] for name in names}
    arrays = ("xy_px", "confidence", "points_camera", "found")
    people = tuple(replace(p, **{name: getattr(p, name)[:frames] for name in arrays}) for p in observed.people)
    return replace(observed, people=people, **cut)


def _disturbed(problem: JointProblem, state: JointState, rng: np.random.Generator) -> tuple[JointProblem, JointState]:
    """All terms switched on, at a state where none of them vanishes."""
    frames, people = len(problem.center_units), []
    shape = frames, len(SOLES)
    of, trust = (tuple(f(shape) for _ in problem.people) for f in (lambda s: rng.integers(-1, 2, s), rng.random))
    shared = grounds.Grounds(of, trust, rng.standard_normal((2, 2)), rng.standard_normal((2, grounds.SIZE)))
    problem, state = replace(problem, grounds=shared), replace(state, grounds=shared.first)
    _, k, g = problem.sizes
    for data in problem.people:
        shape = data.touch.shape
        normal = rng.standard_normal((*shape, 3))
        joints = frames, data.xy_weight.shape[1]
        walls = outside.Walls(rng.standard_normal((*joints, 3)), rng.standard_normal(joints), np.ones(joints))
        people.append(
            replace(
                data, planted=rng.random(data.planted.shape), touch=rng.random(shape), normal=normal,
                offset_units=rng.standard_normal(shape), ahead=rng.standard_normal((frames, 3)), walls=walls,
            )
        )  # fmt: skip
    moved = state.moved(0.05 * rng.standard_normal((frames, k)), 0.05 * rng.standard_normal(g))
    return replace(problem, people=tuple(people)), moved


def _stacked(rows: list[Rows]) -> np.ndarray:
    return np.concatenate([r.residual.ravel() for r in rows])


def _whole(jacobian: np.ndarray) -> np.ndarray:
    return jacobian if jacobian.ndim == 2 else np.asarray(block_diag(*jacobian))


def _dense(rows: list[Rows], sizes: tuple[int, int, int]) -> np.ndarray:
    frames, k, g = sizes
    parts = []
    for r in rows:
        n, m = r.residual.shape
        J = np.zeros((n, m, frames * k + g))
        for offset, (jacobian, columns) in enumerate(zip(r.jacobians, r.columns, strict=True)):
            for i in range(n):
                J[i][:, (r.frames[i] + offset) * k + columns] += _whole(jacobian[i])
        if r.border is not None:
            J[:, :, frames * k : frames * k + r.border.shape[2]] += r.border
        parts.append(J.reshape(n * m, -1))
    return np.concatenate(parts)


@pytest.mark.parametrize("published", [False, True])
def test_derivatives_are_those_of_the_residuals(observed: Observations, published: bool) -> None:
    rng = np.random.default_rng(0)
    short = _short(observed, 12)
    problem, first = videomimic.make_problem(short) if published else solve.make_problem(short, Sigmas())
    problem, state = _disturbed(problem, first, rng)
    model = videomimic.PublishedProblem(problem, short, first).rows if published else problem.rows
    frames, k, g = problem.sizes
    J = _dense(list(model(state)), problem.sizes)
    for _ in range(6):
        step, shared, h = rng.standard_normal((frames, k)), rng.standard_normal(g), 1e-6
        if published:  # it holds the cameras, and leaves out how the local pose changes with the scale
            step[:, :FRAME_SIZE], shared[0] = 0.0, 0.0
        ahead = _stacked(list(model(state.moved(h * step, h * shared))))
        behind = _stacked(list(model(state.moved(-h * step, -h * shared))))
        slope, expected = (ahead - behind) / (2 * h), J @ np.concatenate([step.ravel(), shared])
        assert np.abs(slope - expected).max() < 1e-4 * np.abs(expected).max()


def test_equations_that_nobody_reads_change_nothing(observed: Observations) -> None:
    problem, first = solve.make_problem(_short(observed, 12), Sigmas())
    with_them, without = (minimize(problem.rows, first, problem.sizes, 3, equations=e) for e in (True, False))
    assert with_them.normal is not None and without.normal is None
    assert (with_them.cost, with_them.iterations) == (without.cost, without.iterations)
    np.testing.assert_array_equal(with_them.state.people[0].root, without.state.people[0].root)


def test_who_is_not_seen_any_more_does_not_fly_on(observed: Observations) -> None:
    frames, seen_for = 40, 25
    short = _short(observed, frames)
    person = short.people[0]
    gone = np.arange(frames) >= seen_for
    hidden = replace(person, found=person.found & ~gone, confidence=np.where(gone[:, None], 0.0, person.confidence))
    ways = []
    for sigma in (Sigmas().root_velocity, 1e6):
        root = solve.solve(replace(short, people=(hidden,)), Sigmas(root_velocity=sigma)).state.people[0].root
        ways.append(np.linalg.norm(root[-1] - root[seen_for - 1]))
    assert ways[0] < 0.8 * ways[1]


def _side_by_side(observed: Observations, apart_m: float) -> Observations:
    """The first person twice, the second so much farther to the right."""
    person = observed.people[0]
    right = apart_m * observed.matrix[0, 0] / np.median(start.placed(person, observed.matrix)[0][:, 2])
    other = replace(person, xy_px=person.xy_px + [right, 0.0])
    columns = round(right * observed.mask.shape[2] / observed.size[0])
    mask = np.maximum(observed.mask, 2 * np.roll(observed.mask == 1, columns, axis=2))
    return replace(observed, people=(person, other), mask=mask.astype(np.uint8))


def test_two_people_do_not_stand_in_each_other(observed: Observations) -> None:
    close = _side_by_side(_short(observed, 20), 0.08)
    rng, h = np.random.default_rng(4), 1e-6
    problem, state = solve.make_problem(close, Sigmas())
    sizes = problem.sizes
    state = state.moved(0.05 * rng.standard_normal(sizes[:2]), np.zeros(sizes[2]))  # parallel trunks have no nearest
    bodies = [PersonPoints.of(d.skeleton, s) for d, s in zip(problem.people, state.people, strict=True)]
    rows = apart.trunks_apart(bodies[0], bodies[1], 0, 1, sizes[2], 0.25, 0.02)
    assert len(rows.frames) > 10 and (rows.residual < 0).all() and rows.border is not None
    step, shared = rng.standard_normal(sizes[:2]), rng.standard_normal(sizes[2])
    ends = []
    for sign in (1.0, -1.0):
        moved = state.moved(sign * h * step, sign * h * shared)
        pair = [PersonPoints.of(d.skeleton, s) for d, s in zip(problem.people, moved.people, strict=True)]
        ends.append(apart.trunks_apart(pair[0], pair[1], 0, 1, sizes[2], 0.25, 0.02).residual[:, 0])
    by_frame = step[rows.frames][:, rows.columns[0]]
    expected = np.einsum("tmk,tk->t", rows.jacobians[0], by_frame) + rows.border[:, 0] @ shared
    np.testing.assert_allclose((ends[0] - ends[1]) / (2 * h), expected, atol=1e-4 * np.abs(expected).max())
    roots = [person.joint_pos_world[:, 0] for person in solve.solve(close).people]
    free = [person.joint_pos_world[:, 0] for person in solve.solve(close, Sigmas(apart_m=1e6)).people]
    gap, free_gap = (float(np.linalg.norm(a - b, axis=1).mean()) for a, b in (roots, free))
    assert gap > free_gap + 0.03


def test_the_banded_step_is_the_dense_one(observed: Observations) -> None:
    problem, state = solve.make_problem(_short(observed, 9), Sigmas(cauchy=1e9))
    problem, state = _disturbed(problem, state, np.random.default_rng(1))
    rows = [replace(r, cauchy=None) for r in problem.rows(state)]
    normal = arrow.NormalEquations(*problem.sizes)
    for r in rows:
        normal.add(r)
    J, residual = _dense(rows, problem.sizes), _stacked(rows)
    H = J.T @ J
    n = problem.sizes[0] * problem.sizes[1]
    damping = 1e-3
    H[np.arange(len(H)), np.arange(len(H))] += damping * np.maximum(np.diag(H), 1e-9)
    H[np.arange(n), np.arange(n)] += 1e-9
    expected = -np.linalg.solve(H, J.T @ residual)
    step = normal.step(damping)
    assert step is not None
    assert np.abs(np.concatenate([step[0].ravel(), step[1]]) - expected).max() < 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize(("n", "width"), [(10, 4), (61, 12), (12, 12), (5, 8)])
def test_many_right_hand_sides_at_once(n: int, width: int) -> None:
    rng = np.random.default_rng(0)
    band = np.asfortranarray(rng.standard_normal((width, n)))
    band[0] = 4.0 * width
    factor, info = lapack.dpbtrf(band, lower=1)
    right = rng.standard_normal((n, 3))
    expected, _ = lapack.dpbtrs(factor, right, lower=1)
    assert info == 0
    np.testing.assert_allclose(band_solve.backward(factor, band_solve.forward(factor, right)), expected, atol=1e-12)


def test_the_covariance_is_the_inverse(observed: Observations) -> None:
    problem, state = solve.make_problem(_short(observed, 8), Sigmas())
    problem, state = _disturbed(problem, state, np.random.default_rng(2))
    rows = [replace(r, cauchy=None) for r in problem.rows(state)]
    normal = arrow.NormalEquations(*problem.sizes)
    normal.assemble(rows)
    J = _dense(rows, problem.sizes)
    frames, k, g = problem.sizes
    H = J.T @ J
    H[np.arange(frames * k), np.arange(frames * k)] += 1e-9
    inverse = np.linalg.inv(H)
    columns = np.array([7, 8, 9, 20])
    found = arrow.covariance(normal, columns)
    assert np.abs(found.shared - inverse[frames * k :, frames * k :]).max() < 1e-6 * np.abs(inverse).max()
    for t in range(frames):
        at = t * k + columns
        expected = inverse[np.ix_(at, at)]
        assert np.abs(found.by_frame[t] - expected).max() < 1e-6 * np.abs(expected).max()


def test_the_covariance_covers_the_error(video: Path, observed: Observations) -> None:
    truth = VideoTruth.load(video)
    found = solve.solve(observed, uncertain=True)
    units = units_a_metre(OracleNoise(), np.random.default_rng(3))
    assert found.scale_std is not None and 0.002 < found.scale_std < 0.06
    assert abs(np.log(found.scale * units)) < 3.5 * found.scale_std
    std = np.sqrt(np.trace(found.root_cov[0], axis1=1, axis2=2))
    assert len(std) == len(truth.T_world_camera) and 0.005 < np.median(std) < 0.3


def test_surfaces_under_the_feet_are_the_true_ones(video: Path) -> None:
    truth = VideoTruth.load(video)
    person, T = truth.people[0], truth.T_world_camera
    exact = observe(truth, OracleNoise(strength=0.0, scale_range=1.0), seed=1)
    pixels = clouds.static_pixels(exact, 1.0, 4, 1)
    soles = [joint_index(f"{side}_{part}") for side in ("left", "right") for part in ("heel", "toe")]
    points = person.joint_pos_world[:, [*soles, 0]]
    still = np.zeros(points.shape[:2])
    still[:, :4] = np.repeat(person.contact[:, :2], 2, axis=1)
    normal, offset, touch = surfaces.carriers(
        points, still, np.zeros(5), pixels.points(exact.depth_matrix, T), scale=1.0
    )
    gap = np.sum(normal * points, axis=-1) - offset
    flat = (touch > 0) & (still > 0)
    assert flat[:, :4].sum() > 0.7 * still[:, :4].sum()
    assert np.median(np.abs(gap[flat])) < 0.01
    assert not touch[:, 4].any()


def test_rotations() -> None:
    rng = np.random.default_rng(0)
    v = rng.standard_normal((50, 3))
    assert np.abs(so3.log(so3.exp(v)) - v).max() < 1e-9
    u = v / np.linalg.norm(v, axis=1, keepdims=True)
    for angle in (0.0, 1e-9, np.pi - 1e-7):
        assert np.abs(so3.exp(so3.log(so3.exp(angle * u))) - so3.exp(angle * u)).max() < 1e-6


def test_exact_observations_give_the_truth(video: Path) -> None:
    truth = VideoTruth.load(video)
    found = solve.solve(observe(truth, OracleNoise(strength=0.0, scale_range=1.0), seed=1))
    estimate, exact = found.people[0].joint_pos_world, truth.people[0].joint_pos_world
    assert abs(found.scale - 1.0) < 0.01
    assert protocol.pa_mpjpe(estimate, exact) < 15.0
    assert protocol.wa_mpjpe(estimate, exact) < 20.0


def test_noisy_observations_beat_the_first_guess_and_the_published_objective(
    video: Path, observed: Observations
) -> None:
    truth = VideoTruth.load(video).people[0]
    problem, first = solve.make_problem(observed, Sigmas())
    guess = solve.result(problem, first, [np.zeros((observed.num_frames, len(TOUCHING)))], 0.0, 0, observed).people[0]
    ours, theirs = solve.solve(observed).people[0], videomimic.solve_published(observed).people[0]
    errors = [protocol.wa_mpjpe(m.joint_pos_world, truth.joint_pos_world) for m in (ours, guess, theirs)]
    assert errors[0] < 0.8 * min(errors[1:])
    assert np.mean(ours.contact[:, :2] == truth.contact[:, :2]) > 0.85


def test_units_do_not_matter(observed: Observations) -> None:
    other = replace(
        observed,
        camera_center=observed.camera_center * 2.0,
        depth=(observed.depth * np.float16(2.0)).astype(np.float16),
    )
    a, b = solve.solve(observed), solve.solve(other)
    assert abs(a.scale / b.scale - 2.0) < 1e-3
    assert np.abs(a.people[0].joint_pos_world - b.people[0].joint_pos_world).max() < 2e-3


def test_truth_is_not_needed(video: Path, observed: Observations, tmp_path: Path) -> None:
    """The same answer with the truth files deleted."""
    expected = solve.solve(observed).people[0].joint_pos_world
    copy = tmp_path / "video"
    shutil.copytree(video, copy)
    shutil.rmtree(copy / "truth")
    found = solve.solve(Observations.load(copy / "observations.npz")).people[0].joint_pos_world
    assert np.array_equal(found, expected)


def test_too_little_is_named(observed: Observations) -> None:
    person = replace(observed.people[0], confidence=np.zeros_like(observed.people[0].confidence))
    with pytest.raises(VmError, match="person 1 is seen well in 0 frames"):
        solve.solve(replace(observed, people=(person,)))
    with pytest.raises(VmError, match="depth is known at 0 joints"):
        solve.solve(replace(observed, depth=np.zeros_like(observed.depth)))
