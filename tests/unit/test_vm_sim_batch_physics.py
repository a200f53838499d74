"""Batched physics is plain MuJoCo, many times, with delayed targets."""

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_sim.batch_physics import BatchPhysics
from vm_sim.g1_model import load_g1_spec, stand_qpos
from vm_sim.terrain import add_scene


def robot(friction: float = 1.0, timestep_s: float = 0.005) -> mujoco.MjModel:
    spec = load_g1_spec(wrists=False)
    add_scene(spec, SceneAsset(), friction=friction)
    spec.option.timestep = timestep_s
    return spec.compile()


MODEL = robot()
STAND = stand_qpos(MODEL)


def started(envs: int, *, models: list[mujoco.MjModel] | None = None, seed: int = 0, **options) -> BatchPhysics:
    """Robots near the stand, each a little different."""
    physics = BatchPhysics(models or [MODEL] * envs, **options)
    rng = np.random.default_rng(seed)
    qpos = np.tile(STAND, (envs, 1))
    qpos[:, 7:] += rng.normal(0.0, 0.02, (envs, 23))
    physics.reset(np.arange(envs), qpos, rng.normal(0.0, 0.05, (envs, 29)))
    return physics


def plain(qpos: np.ndarray, qvel: np.ndarray, controls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same with mj_step: controls (substeps, nu); the solver starts cold, as every control period does."""
    data = mujoco.MjData(MODEL)
    data.qpos[:], data.qvel[:] = qpos, qvel
    for control in controls:
        data.ctrl[:] = control
        mujoco.mj_step(MODEL, data)
    return data.qpos.copy(), data.qvel.copy()


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 4), min_size=3, max_size=3))
def test_a_control_period_is_mujoco_s_own_steps(seed, delays):
    """Exactly: the previous target for the first substeps, the new one for the rest, robot for robot."""
    physics = started(3, seed=seed, threads=1)
    rng = np.random.default_rng(seed)
    before = physics.qpos.copy(), physics.qvel.copy()
    previous, target = (STAND[7:] + rng.normal(0.0, 0.1, (3, 23)) for _ in range(2))
    physics.step(target, previous, np.array(delays))
    for env, late in enumerate(delays):
        controls = [previous[env]] * late + [target[env]] * (4 - late)
        qpos, qvel = plain(before[0][env], before[1][env], np.array(controls))
        np.testing.assert_array_equal(physics.qpos[env], qpos)
        np.testing.assert_array_equal(physics.qvel[env], qvel)
    physics.close()


def test_longer_delays_are_later_motions():
    physics = started(5, threads=1)
    physics.reset(np.arange(5), np.tile(STAND, (5, 1)), np.zeros((5, 29)))
    previous = np.tile(STAND[7:], (5, 1))
    physics.step(previous + 0.2, previous, np.arange(5))
    moved = physics.qvel[:, 6:].sum(axis=1)
    assert np.all(np.diff(moved) < 0.0)  # the less of the new target, the slower
    assert moved[4] < 0.1 * moved[0]  # a whole period late is the old target alone


@pytest.mark.parametrize("threads", [1, 2])
def test_robots_do_not_feel_one_another(threads):
    """What one robot does depends on its own state, target and model, not on its place or its neighbours."""
    alone, crowd = started(1, threads=1), started(6, threads=threads)
    order = np.array([4, 0, 2])
    crowd.reset(order, np.tile(alone.qpos[0], (3, 1)), np.tile(alone.qvel[0], (3, 1)))
    target, noise = np.tile(STAND[7:], (6, 1)), np.random.default_rng(1)
    for _ in range(10):
        target[[1, 3, 5]] = STAND[7:] + noise.normal(0.0, 0.5, (3, 23))
        crowd.step(target, target, np.zeros(6))
        alone.step(STAND[None, 7:], STAND[None, 7:], np.zeros(1))
    for env in order:
        np.testing.assert_array_equal(crowd.qpos[env], alone.qpos[0])
    assert np.abs(crowd.qpos[1] - crowd.qpos[3]).max() > 1e-3
    alone.close(), crowd.close()


def test_each_robot_has_its_own_model():
    light, heavy = robot(), robot()
    heavy.body_mass[:] *= 1.3
    physics = started(2, models=[light, heavy], threads=1)
    physics.reset(np.arange(2), np.tile(STAND, (2, 1)), np.zeros((2, 29)))
    target = np.tile(STAND[7:], (2, 1))
    for _ in range(10):
        physics.step(target, target, np.zeros(2))
    assert physics.qpos[1, 2] < physics.qpos[0, 2] - 1e-3  # the heavy one sags


def test_reset_leaves_the_others_alone_and_starts_afresh():
    physics = started(3, threads=1)
    target = np.tile(STAND[7:], (3, 1))
    start = physics.qpos.copy(), physics.qvel.copy()
    physics.step(target, target, np.zeros(3))
    first = physics.qpos.copy()
    physics.step(target, target, np.zeros(3))
    second = physics.qpos.copy()
    physics.reset(np.array([1]), start[0][1:2], start[1][1:2])
    np.testing.assert_array_equal(physics.qpos[1], start[0][1])
    np.testing.assert_array_equal(physics.qpos[[0, 2]], second[[0, 2]])
    physics.step(target, target, np.zeros(3))
    np.testing.assert_array_equal(physics.qpos[1], first[1])  # nothing of its former life is left


def test_a_push_through_the_view_is_a_push():
    physics = started(2, threads=1)
    physics.qvel[1, 0] += 0.5
    target = np.tile(STAND[7:], (2, 1))
    physics.step(target, target, np.zeros(2))
    assert physics.qpos[1, 0] - physics.qpos[0, 0] > 0.005


def test_what_does_not_fit_is_refused():
    with pytest.raises(VmError, match="at least one model"):
        BatchPhysics([])
    with pytest.raises(VmError, match=r"0\.012 s is not a multiple of the step 0\.005 s"):
        BatchPhysics([MODEL], control_period_s=0.012)
    with pytest.raises(VmError, match="not a multiple"):
        BatchPhysics([MODEL], control_period_s=0.001)  # shorter than a step
    assert BatchPhysics([robot(timestep_s=0.002)]).substeps == 10


@pytest.mark.parametrize("breaks", [(0, np.nan), (1, 1e12)])
def test_a_robot_that_diverges_shows_it_and_harms_nobody(breaks, capfd, tmp_path, monkeypatch):
    """MuJoCo's own answer, the zero pose at the origin, would pass for a robot that stands."""
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its warnings into the working folder too
    crowd, alone = started(3, threads=1), started(3, threads=1)
    which, value = breaks
    (crowd.qpos if which == 0 else crowd.qvel)[1, 10] = value
    target = np.tile(STAND[7:], (3, 1))
    answer = target.copy()
    for _ in range(5):
        crowd.step(answer, answer, np.zeros(3))
        answer[1] = np.nan  # what a controller makes of such a state
        alone.step(target, target, np.zeros(3))
        assert not np.isfinite(crowd.qpos[1]).all() or not np.isfinite(crowd.qvel[1]).all()
    np.testing.assert_array_equal(crowd.qpos[[0, 2]], alone.qpos[[0, 2]])
    assert capfd.readouterr().err.count("WARNING") <= 2  # not one a step
    crowd.reset(np.array([1]), STAND[None], np.zeros((1, 29)))
    alone.reset(np.array([1]), STAND[None], np.zeros((1, 29)))
    for physics in (crowd, alone):
        physics.step(target, target, np.zeros(3))
    np.testing.assert_array_equal(crowd.qpos, alone.qpos)
