"""Forces that no motion expects, and corrections large enough to bear them."""

from dataclasses import replace

import numpy as np
import pytest

from vm_core import g1
from vm_core.errors import VmError
from vm_training.mdp.clip_tracking import NUM_JOINTS
from vm_training.mdp.randomization import DomainRanges
from vm_training.motions.whole_body import HAND_BODIES
from vm_training.teachers.sampled_lqr import LqrTeacher
from vm_training.visual.loaded_tracking import LoadedTracking, Surprises
from vm_training.visual.motion_library import planned, steady_plan
from vm_training.visual.planned_motion import PlannedMotion
from vm_training.visual.shared_teacher import (
    COLUMNS,
    SharedTeacherConfig,
    make_env,
    teacher_of,
    train_shared,
    with_felt,
)

QUIET = Surprises(error=0.0, bump_n=0.0)


@pytest.fixture(scope="module")
def motion() -> PlannedMotion:
    return planned(steady_plan(np.array([0.12, 0.0, 0.0]), 2), "test")[0]


def forces(motion: PlannedMotion, surprises: Surprises, steps: int = 150) -> dict[str, np.ndarray]:
    """(steps, N, 2, 2) horizontal forces [N] on hands and feet of eight robots that walk along x."""
    none = DomainRanges.none()
    env = LoadedTracking(motion.clip, motion.scene, 8, none, seed=1, threads=1, surprises=surprises)
    env.reset(np.arange(8), np.zeros(8, dtype=int))
    parts = {"hands": HAND_BODIES, "feet": g1.FOOT_BODIES}
    rows = {name: [env.model.body(body).id for body in bodies] for name, bodies in parts.items()}
    found: dict[str, list[np.ndarray]] = {name: [] for name in parts}
    for _ in range(steps):
        env.step(np.zeros((8, NUM_JOINTS)))
        for name, ids in rows.items():
            found[name].append(env._wrench[:, ids, :2].copy())
    env.physics.close()
    return {name: np.array(values) for name, values in found.items()}


def test_nothing_surprises_unless_it_is_asked_for(motion: PlannedMotion):
    assert not any(values.any() for values in forces(motion, QUIET).values())


def test_hands_are_pushed_back_and_let_go(motion: PlannedMotion):
    found = forces(motion, replace(QUIET, share=0.5, hands_n=20.0, aside=0.0, holds_s=0.3))["hands"].sum(axis=2)
    met = np.abs(found).max(axis=(0, 2)) > 1.0
    assert 1 <= met.sum() <= 7  # half of the robots
    assert found[..., 0].min() < -5.0 and found[..., 0].min() >= -20.0 and found[..., 0].max() < 1e-9
    back = found[:, met, 0]
    assert np.any(back[1:] > back[:-1] + 0.1) and np.abs(np.diff(back, axis=0)).max() < 20.0 * 0.02 / 0.15 + 1e-9


def test_one_foot_at_a_time_is_kicked_for_a_moment(motion: PlannedMotion):
    found = forces(motion, replace(QUIET, share=1.0, kick_n=15.0, kick_every_s=0.5))["feet"][..., 0]
    kicked = found < 0.0
    assert kicked.any() and found.min() >= -15.0 and not kicked.all(axis=2).any()
    starts = kicked[1:] & ~kicked[:-1]
    assert kicked[1:].sum() <= 5 * starts.sum() + 5 * 8  # 0.1 s each


def test_teachers_know_the_force_that_the_motion_does_not(motion: PlannedMotion):
    """The wrench on both hands is what the motion expects and what is told, whichever way it walks."""
    plan = steady_plan(np.array([0.1, 0.0, 0.14]), 4)
    surprised = Surprises(error=0.3, bump_n=2.0, share=1.0, hands_n=9.0)
    turning = planned(replace(plan, load_n=20.0), "turning")[0]
    env = make_env(turning, 8, DomainRanges.none(), 2, surprises=surprised)
    env.reset(np.arange(8), np.zeros(8, dtype=int))
    hands, told = [env.model.body(body).id for body in HAND_BODIES], []
    for _ in range(120):
        env.step(np.zeros((8, NUM_JOINTS)))
        env.frame -= 1  # the forces are those of the step before
        force = env._in_heading(env._wrench[:, hands, :3].sum(axis=1), env.clip_frame)[:, :2]
        force[:, 0] += turning.load_n[env.clip_frame]
        told.append(env.felt_n())
        np.testing.assert_allclose(told[-1], force, atol=1e-9)
        env.frame += 1
    env.physics.close()
    assert np.abs(told).max() > 5.0 and np.array(told)[-1].std(axis=0).min() > 0.5


def test_gains_that_know_of_no_forces_are_read_as_such():
    older = np.random.default_rng(1).normal(size=(5, NUM_JOINTS, 59))
    found = with_felt(older)
    assert found.shape == (5, NUM_JOINTS, COLUMNS) and not found[:, :, 58:60].any()
    assert np.array_equal(found[:, :, :58], older[:, :, :58]) and np.array_equal(found[:, :, -1], older[:, :, -1])
    assert np.array_equal(with_felt(found), found)


def test_impossible_surprises_are_named():
    for change in ({"share": 1.5}, {"hands_n": -1.0}, {"rise_s": 0.0}):
        with pytest.raises(VmError, match="expected"):
            Surprises(**change)


def test_teachers_correct_up_to_their_limit(motion: PlannedMotion):
    common = LqrTeacher(np.full((393, NUM_JOINTS, 59), 1.0), 0.8)
    teacher = teacher_of(common, motion)
    assert np.abs(teacher.correction(np.array([60]), np.full((1, 58), 9.0))).max() == pytest.approx(0.8)


def test_gains_of_no_rounds_are_those_of_the_start(motion: PlannedMotion):
    start = LqrTeacher(np.random.default_rng(0).normal(size=(393, NUM_JOINTS, 59)))
    found, records = train_shared([motion], start, SharedTeacherConfig(rounds=0))
    assert np.array_equal(found.gains, start.gains) and found.limit_rad == 0.8 and not records
