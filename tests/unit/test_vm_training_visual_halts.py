"""Walks that halt at any moment: the plan, what is told of it, the gains that hold it."""

from pathlib import Path

import numpy as np
import pytest

from vm_core.halting import SETTLES_S
from vm_core.keypoint_command import keypoints_of_joints
from vm_training.mdp.mirror import mirrored_gains
from vm_training.mdp.randomization import DomainRanges
from vm_training.teachers.sampled_lqr import LqrTeacher
from vm_training.visual.motion_library import (
    common_motion,
    load_motion,
    planned,
    planned_halt,
    save_motion,
    steady_plan,
)
from vm_training.visual.planned_motion import TIMING_FPS, PlannedMotion
from vm_training.visual.resting_teacher import REST_FRAMES
from vm_training.visual.shared_teacher import CLOSES, COLUMNS, make_env, teacher_of, without_constant

PLAN = steady_plan(np.array([0.2, 0.0, 0.0]), 3)
TOLD = round((1.0 + 0.65 + 0.3) * TIMING_FPS)  # the right foot is in the air


@pytest.fixture(scope="module")
def walk() -> PlannedMotion:
    return planned(PLAN, "walk")[0]


@pytest.fixture(scope="module")
def halt() -> PlannedMotion:
    motion, problems = planned_halt(PLAN, TOLD, "halt")
    assert not problems
    return motion


def test_a_halted_walk_is_the_walk_until_it_is_told_and_then_rests_where_the_foot_lands(walk, halt):
    assert halt.halt is not None
    told, landed, side = halt.halt
    assert told == TOLD and side == 1 and 0 < landed - told <= 10
    assert np.allclose(halt.clip.root_pos_world[:told], walk.clip.root_pos_world[:told], atol=2e-3)
    feet = halt.keypoints()[:, 3:]
    assert np.abs(feet[landed + 2 :] - feet[-1]).max() < 3e-3  # neither moves any more
    assert np.abs(feet[-1, :, 2]).max() < 5e-3 and feet[-1, 1, 0] > feet[-1, 0, 0] - 0.05
    pelvis = np.linalg.norm(np.gradient(halt.clip.root_pos_world[:, :2], 1.0 / TIMING_FPS, axis=0), axis=1)
    assert pelvis[told - 10] > 0.15 and pelvis[told + 45 :].max() < 0.05


def test_nothing_that_is_told_foresees_the_halt(walk, halt):
    ahead = halt.ahead(10)
    would = np.hstack([walk.clip.root_pos_world, walk.clip.root_quat_wxyz, walk.clip.joint_pos])
    assert np.allclose(ahead[TOLD - 1, :3], would[TOLD + 9, :3], atol=2e-3)
    assert np.allclose(ahead[TOLD, :3], halt.clip.root_pos_world[TOLD + 10])
    assert np.linalg.norm(ahead[TOLD - 1] - ahead[TOLD]) > 0.1 > 2 * np.linalg.norm(ahead[TOLD + 9] - ahead[TOLD + 10])


def test_halts_are_kept_in_files_and_older_files_are_still_read(halt, walk, tmp_path: Path):
    save_motion(halt, tmp_path / "halt.npz")
    again = load_motion(tmp_path / "halt.npz")
    assert again.halt == halt.halt and np.array_equal(again.walked_on, halt.walked_on)
    save_motion(walk, tmp_path / "walk.npz")
    with np.load(tmp_path / "walk.npz") as archive:
        older = {key: archive[key] for key in archive.files if key not in ("halt", "walked_on")}
    np.savez(tmp_path / "walk.npz", **older)
    assert load_motion(tmp_path / "walk.npz").halt is None


def test_gains_after_the_last_landing_are_those_of_resting(halt):
    rng, frames = np.random.default_rng(0), common_motion().clip.num_frames
    common = LqrTeacher(rng.normal(size=(frames, 23, COLUMNS)))
    resting = without_constant(rng.normal(size=(REST_FRAMES, 23, COLUMNS)))
    assert halt.halt is not None
    _, landed, side = halt.halt
    gains = teacher_of(common, halt, resting).gains
    assert side != CLOSES and np.allclose(gains[landed], mirrored_gains(resting)[0])
    assert np.allclose(gains[-1], mirrored_gains(resting)[-1]) and not np.allclose(gains[landed - 1], gains[landed])


def soles(qpos: np.ndarray) -> np.ndarray:
    """Middle (E, 2) between both."""
    return keypoints_of_joints(qpos[:, :3], qpos[:, 3:7], qpos[:, 7:])[:, 3:, :2].mean(axis=1)


def test_a_halted_plan_goes_on_from_where_the_feet_stand(halt, walk):
    assert halt.halt is not None
    stands = halt.halt[1] + round(SETTLES_S * TIMING_FPS)
    env, other = (make_env(halt, 3, DomainRanges(), 7) for _ in range(2))
    other.stands_from = None
    for robots in (env, other):
        robots.reset(np.arange(3), np.array([stands - 1, stands - 1, stands - 2]))
        robots.physics.qpos[:, :2] += [[0.15, -0.1], [-0.15, 0.1], [0.15, 0.1]]
        robots.step(np.zeros_like(robots.last_target))
    planned_soles = soles(env.reference_qpos[env.clip_frame])
    assert np.abs(soles(env.physics.qpos) - planned_soles)[:2].max() < 1e-9
    assert np.linalg.norm(soles(other.physics.qpos) - planned_soles, axis=1).min() > 0.05
    assert np.array_equal(env.physics.qpos[2], other.physics.qpos[2])  # not yet
    assert np.array_equal(env.physics.qpos[:, 2:], other.physics.qpos[:, 2:])
    assert np.array_equal(env.physics.qvel, other.physics.qvel)
    assert make_env(walk, 1, DomainRanges(), 7).stands_from is None
