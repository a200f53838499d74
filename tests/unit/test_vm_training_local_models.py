"""Local linear models and their regulator, against systems whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import solve_discrete_are

from vm_training.mdp.clip_tracking import ERROR_SCALE, NUM_ERRORS, NUM_JOINTS
from vm_training.teachers import local_models
from vm_training.teachers.local_models import (
    CORRECTION_SCALE,
    FELT_SCALE_N,
    LocalModels,
    Samples,
    fit_local_models,
    frame_groups,
    integrator_prior,
)
from vm_training.teachers.riccati import TrackingCost, regulator_gains

N, M, DT = NUM_ERRORS, NUM_JOINTS, 0.02


def random_system(groups: int, seed: int = 0, forces: int = 0) -> LocalModels:
    """Systems near the integrator, a different one a group, in scaled units, on which forces act that are known."""
    rng = np.random.default_rng(seed)
    a = integrator_prior(DT) + rng.normal(0.0, 0.02, (groups, N, N))
    b, d, e = (rng.normal(0.0, size, (groups, N, *of)) for size, of in ((0.2, (M,)), (0.05, ()), (0.1, (forces,))))
    return LocalModels(0.95 * a, b, d, e)


def transitions(system: LocalModels, group: np.ndarray, count: int, spread: float = 0.8) -> Samples:
    """`count` random transitions from each frame."""
    rng, samples = np.random.default_rng(1), Samples()
    for frame, k in enumerate(group):
        x, u = rng.normal(0.0, spread, (count, N)), rng.normal(0.0, 0.5, (count, M))
        felt = rng.normal(0.0, 0.7, (count, system.e.shape[2]))
        x_next = x @ system.a[k].T + u @ system.b[k].T + felt @ system.e[k].T + system.d[k]
        scaled = (x * ERROR_SCALE, u * CORRECTION_SCALE, x_next * ERROR_SCALE, felt * FELT_SCALE_N)
        samples.add(np.full(count, frame), *scaled)
    return samples


def assert_close(found: LocalModels, wanted: LocalModels, atol: float) -> None:
    for name in ("a", "b", "d", "e"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), atol=atol)


def test_a_time_varying_system_is_recovered(monkeypatch):
    monkeypatch.setattr(local_models, "NEIGHBOR_WEIGHT", 0.0)
    system, group = random_system(3, forces=2), np.array([0, 0, 1, 2])
    found = fit_local_models(transitions(system, group, 400), group, DT, ridge=1e-6)
    assert_close(found, system, 1e-4)  # samples are kept in single precision


def test_neighbours_help_where_samples_are_few():
    """Too few own samples for 82 unknowns a row; with the neighbours' the common system is found."""
    one = random_system(1)
    system = LocalModels(*(np.repeat(getattr(one, name), 3, axis=0) for name in ("a", "b", "d", "e")))
    found = fit_local_models(transitions(system, np.arange(3), 50), np.arange(3), DT, ridge=1e-6)
    assert_close(LocalModels(found.a[1:2], found.b[1:2], found.d[1:2], found.e[1:2]), one, 1e-3)


def test_frames_beyond_the_end_belong_to_the_last_model(monkeypatch):
    monkeypatch.setattr(local_models, "NEIGHBOR_WEIGHT", 0.0)
    system = random_system(2)
    samples = transitions(system, np.array([0, 1]), 300)
    samples.frame[1] += 40
    assert_close(fit_local_models(samples, np.array([0, 1]), DT, ridge=1e-6), system, 1e-4)


def test_without_samples_positions_move_by_their_velocities():
    nothing = Samples()
    nothing.add(np.zeros(1, dtype=int), np.zeros((1, N)), np.zeros((1, M)), np.zeros((1, N)), np.zeros((1, 2)))
    found = fit_local_models(nothing, np.zeros(1, dtype=int), DT)
    physical = np.diag(ERROR_SCALE) @ found.a[0] @ np.diag(1.0 / ERROR_SCALE)
    half = N // 2
    np.testing.assert_allclose(physical[:half, half:], DT * np.eye(half), atol=1e-12)
    np.testing.assert_allclose(physical[half:], np.eye(N)[half:], atol=1e-12)
    assert not found.b.any() and not found.d.any() and not found.e.any()


def test_wild_samples_count_little():
    """Far from the clip the motion is not linear; a few falls among the samples must not bend the model."""
    system, group = random_system(1), np.zeros(1, dtype=int)
    samples = transitions(system, group, 400)
    rng = np.random.default_rng(2)
    wild = rng.normal(0.0, 15.0, (40, N))
    after = rng.normal(size=(40, N)) * ERROR_SCALE
    samples.add(np.zeros(40, dtype=int), wild * ERROR_SCALE, np.zeros((40, M)), after, np.zeros((40, 0)))
    assert len(samples) == 440
    assert_close(fit_local_models(samples, group, DT, ridge=1e-6), system, 1e-3)


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_moving_frames_have_models_of_their_own(moving):
    moving = np.array(moving)
    group = frame_groups(len(moving), moving)
    assert group[0] == 0 and len(group) == len(moving)
    steps = np.diff(group)
    assert set(np.unique(steps)) <= {0, 1}
    same = ~(moving[1:] | moving[:-1])  # neighbours that both stand still share
    np.testing.assert_array_equal(steps == 0, same)


def test_the_stationary_gain_solves_the_riccati_equation():
    system, cost = random_system(1), TrackingCost()
    system = LocalModels(system.a, system.b, 0.0 * system.d, system.e)
    found = regulator_gains(system, np.zeros(3, dtype=int), cost, hold_steps=400)
    a, b, effort = system.a[0], system.b[0], cost.correction * np.eye(M)
    value = solve_discrete_are(a, b, np.diag(cost.state_weights()), effort)
    gain = np.linalg.solve(effort + b.T @ value @ b, b.T @ value @ a)
    np.testing.assert_allclose(found[0, :, :N], gain, atol=1e-8)
    np.testing.assert_allclose(found[:, :, N], 0.0, atol=1e-12)  # nothing drifts, nothing to lean against
    assert np.abs(np.linalg.eigvals(a - b @ gain)).max() < 1.0


def test_a_force_that_is_known_is_met_like_a_drift_of_the_same_size():
    system, group, force = random_system(2, forces=2), np.array([0, 1, 1]), np.array([0.7, -0.4])
    known = regulator_gains(system, group, TrackingCost())
    drifts = LocalModels(system.a, system.b, system.d + system.e @ force, system.e[:, :, :0])
    drift = regulator_gains(drifts, group, TrackingCost())
    np.testing.assert_allclose(known[:, :, :N], drift[:, :, :N], atol=1e-9)
    np.testing.assert_allclose(known[:, :, N:-1] @ force + known[:, :, -1], drift[:, :, -1], atol=1e-9)
    assert np.abs(known[:, :, N:-1]).max() > 1e-3


@settings(max_examples=5)
@given(st.integers(0, 1000))
def test_gains_of_a_short_clip_are_the_best_there_are(seed):
    """No other corrections over the clip cost less: the same as one big least-squares problem, drift and all."""
    system, group, cost = random_system(2, seed), np.array([0, 0, 1]), TrackingCost()
    gains = regulator_gains(system, group, cost, hold_steps=0)
    start = np.random.default_rng(seed).normal(size=N)
    q, r = np.sqrt(cost.state_weights()), np.sqrt(cost.correction)
    from_u, constant, rows, right = np.zeros((N, 3 * M)), start, [], []
    for t, k in enumerate(group):
        from_u = system.a[k] @ from_u
        from_u[:, t * M : (t + 1) * M] += system.b[k]
        constant = system.a[k] @ constant + system.d[k]
        rows.append(q[:, None] * from_u)
        right.append(-q * constant)
    best = np.linalg.lstsq(
        np.vstack([*rows, r * np.eye(3 * M)]), np.concatenate([*right, np.zeros(3 * M)]), rcond=None
    )[0]
    x = start
    for t, k in enumerate(group):
        u = -gains[t] @ np.append(x, 1.0)
        np.testing.assert_allclose(u, best[t * M : (t + 1) * M], atol=1e-8)
        x = system.a[k] @ x + system.b[k] @ u + system.d[k]


def test_weights_stand_where_errors_stand():
    weights = TrackingCost(1, 2, 3, 4, 5, 6, 7, 8).state_weights()
    assert weights.shape == (N,)
    assert weights[:6].tolist() == [1, 1, 2, 3, 3, 3] and set(weights[6:29]) == {4}
    assert weights[29:35].tolist() == [5, 5, 6, 7, 7, 7] and set(weights[35:]) == {8}


def test_effort_buys_smaller_corrections():
    system, group = random_system(1), np.zeros(2, dtype=int)
    sizes = [np.linalg.norm(regulator_gains(system, group, TrackingCost(correction=c))[0]) for c in (0.1, 1.0, 10.0)]
    assert sizes == pytest.approx(sorted(sizes, reverse=True)) and sizes[0] > 1.5 * sizes[2]
