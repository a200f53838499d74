"""Long clips are solved window after window, in memory or in a file, with the results of the whole at once."""

from __future__ import annotations

import io
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vm_core.errors import VmError
from vm_reconstruction import mapped_arrays
from vm_reconstruction.datasets.make_dataset import DatasetConfig, make_dataset
from vm_reconstruction.datasets.synthetic.video_truth import VideoTruth
from vm_reconstruction.frontends.noisy_oracle import observe
from vm_reconstruction.frontends.oracle_noise import OracleNoise
from vm_reconstruction.observations import Observations
from vm_reconstruction.solver.joint import arrow, outside, rows, solve, start, store
from vm_reconstruction.solver.joint.problem import JointProblem, Sigmas
from vm_reconstruction.solver.joint.state import JointState

FRAMES = 23


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Observations:
    folder = tmp_path_factory.mktemp("set")
    config = DatasetConfig(folder, videos=1, fps=15.0, pictures=False, depth_px=64)
    whole = observe(VideoTruth.load(make_dataset(config)[0]), OracleNoise(), seed=3)
    cut = {name: getattr(whole, name)[:FRAMES] for name in ("R_world_camera", "camera_center", "depth", "mask")}
    names = "xy_px", "confidence", "points_camera", "found"
    people = tuple(replace(p, **{name: getattr(p, name)[:FRAMES] for name in names}) for p in whole.people)
    return replace(whole, people=people, **cut)


@pytest.fixture(scope="module")
def posed(observed: Observations) -> tuple[JointProblem, JointState]:
    """A problem in which every kind of residual is there: contacts, grounds, walls, surfaces."""
    problem, state = solve.make_problem(observed, Sigmas())
    points = [s.points(d.skeleton) for d, s in zip(problem.people, state.people, strict=True)]
    still = [np.ones((FRAMES, 7)) * (np.arange(FRAMES)[:, None] % 6 < 4) for _ in points]
    sole = points[0][:, 9:13]
    cloud = sole.reshape(-1, 3).repeat(30, axis=0) + 0.05 * np.random.default_rng(0).standard_normal((120 * FRAMES, 3))
    problem = solve.with_ways(solve.with_contacts(problem, still, 0.0), state)
    problem, state = solve.with_grounds(problem, state, still)
    return solve.with_surfaces(problem, state, still, cloud), state


def _windowed(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(rows, "WINDOW", size)
    monkeypatch.setattr(rows, "SHORT", 0)


@given(st.integers(1, 2000))
def test_windows_cover_every_frame_once_and_hold_what_reaches_on(frames: int) -> None:
    bounds = rows.windows(frames)
    assert [frame for start_, end in bounds for frame in range(start_, end)] == list(range(frames))
    assert all(end - start_ > min(rows.REACH, frames - 1) for start_, end in bounds)


@pytest.mark.parametrize("size", [3, 5, 7, 20])
def test_residuals_of_windows_are_those_of_the_whole(
    posed: tuple[JointProblem, JointState], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    problem, state = posed
    sizes = problem.sizes
    whole = arrow.NormalEquations(*sizes)
    cost, step = whole.assemble(problem.rows(state)), whole.step(1e-4)
    columns = np.array([7, 8, 9])
    covariance = arrow.covariance(whole, columns)
    kinds = sum(r.residual.size for r in problem.rows(state))
    _windowed(monkeypatch, size)
    assert len(rows.windows(FRAMES)) > 1 and sum(r.residual.size for r in problem.rows(state)) == kinds
    parts = arrow.NormalEquations(*sizes)
    assert parts.assemble(problem.rows(state)) == pytest.approx(cost, rel=1e-12)
    again = parts.step(1e-4)
    assert step is not None and again is not None
    for a, b in zip(step, again, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-7 * np.abs(a).max())
    found = arrow.covariance(parts, columns)
    np.testing.assert_allclose(found.shared, covariance.shared, atol=1e-7 * np.abs(covariance.shared).max())
    np.testing.assert_allclose(found.by_frame, covariance.by_frame, atol=1e-7 * np.abs(covariance.by_frame).max())


def test_a_clip_in_windows_and_files_is_solved_as_the_whole(
    observed: Observations, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = solve.solve(observed, uncertain=True)
    _windowed(monkeypatch, 8)
    monkeypatch.setattr(store, "MOST_BYTES", 0)
    parts = solve.solve(observed, uncertain=True)
    assert whole.scale_std is not None and parts.scale_std == pytest.approx(whole.scale_std, rel=1e-6)
    assert parts.scale == pytest.approx(whole.scale, rel=1e-9)
    for a, b in zip(whole.people, parts.people, strict=True):
        np.testing.assert_allclose(b.joint_pos_world, a.joint_pos_world, atol=1e-7)
    np.testing.assert_allclose(parts.root_cov[0], whole.root_cov[0], rtol=1e-5, atol=1e-12)


def test_a_refused_step_leaves_the_equations_as_they_were(
    posed: tuple[JointProblem, JointState], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same equations are factorized with other dampings."""
    problem, state = posed
    _windowed(monkeypatch, 6)
    normal = arrow.NormalEquations(*problem.sizes)
    normal.assemble(problem.rows(state))
    first = normal.step(1e-3)
    assert normal.step(10.0) is not None
    again = normal.step(1e-3)
    assert first is not None and again is not None
    np.testing.assert_array_equal(first[0], again[0])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.floats(-10, 10)), max_size=12), st.booleans())
def test_a_store_gives_back_what_was_put_last(puts: list[tuple[int, float]], in_file: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "MOST_BYTES", 0 if in_file else 1e9)
        kept = store.ArrayStore(5, 7)
    expected = np.zeros((5, 7))
    for index, value in puts:
        expected[index] = value
        kept.put(index, np.full(7, value))
    np.testing.assert_array_equal([kept.get(k) for k in range(5)], expected)
    kept.clear()
    assert not np.any([kept.get(k) for k in range(5)])


def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_BYTES", 0)
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(full, "seek", lambda *_: 0, raising=False)
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: full)
        with pytest.raises(VmError, match=r"needs .* GB and more in .*TMPDIR"):
            store.ArrayStore(2, 1000).put(1, np.zeros(1000))


def test_depths_and_walls_of_windows_are_those_of_the_whole(
    observed: Observations, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    points, camera, cloud = rng.random((FRAMES, 17, 3)), np.tile([0.0, -5, 1], (FRAMES, 1)), rng.random((3000, 3))
    cloud[:1500, 2] = 0.5 + 0.002 * cloud[:1500, 2]
    depth, walls = start.joint_depths(observed, 0), outside.beside(points, camera, cloud, 1.0)
    assert (depth > 0).mean() > 0.05 and walls.near.any()
    _windowed(monkeypatch, 4)
    np.testing.assert_array_equal(start.joint_depths(observed, 0), depth)
    for name in ("normal", "offset_units", "near"):
        np.testing.assert_array_equal(getattr(outside.beside(points, camera, cloud, 1.0), name), getattr(walls, name))


def test_observations_outside_memory_are_the_same(
    observed: Observations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "observations.npz"
    observed.save(path)
    assert not isinstance(Observations.load(path).depth, np.memmap)
    monkeypatch.setattr(mapped_arrays, "MOST_BYTES", 1000)
    mapped = Observations.load(path)
    assert isinstance(mapped.depth, np.memmap) and isinstance(mapped.mask, np.memmap)
    for _ in range(2):  # what was released is read again
        np.testing.assert_array_equal(start.joint_depths(mapped, 0), start.joint_depths(observed, 0))
        np.testing.assert_array_equal(mapped.mask, observed.mask)
    mapped.save(tmp_path / "again.npz")
    np.testing.assert_array_equal(Observations.load(tmp_path / "again.npz").depth, observed.depth)
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(VmError, match="holds no observations"):
        Observations.load(path)


def test_mapped_objects_and_short_arrays_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped_arrays, "MOST_BYTES", 0)
    np.savez(tmp_path / "a.npz", depth=np.array([{}], object))
    with pytest.raises(ValueError, match="objects"):
        mapped_arrays.read(tmp_path / "a.npz", "depth")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        whole = io.BytesIO()
        np.save(whole, np.zeros((50, 50)))
        archive.writestr("depth.npy", whole.getvalue()[:-800])
    with pytest.raises(ValueError):
        mapped_arrays.read(tmp_path / "b.npz", "depth")
    with pytest.raises(KeyError):
        mapped_arrays.read(tmp_path / "b.npz", "mask")
