"""Keypoint trackers: commands, noise, mirror, motions under load, gains in step, training that goes on."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from vm_core.errors import VmError
from vm_core.frames import quat_from_yaw
from vm_core.keypoint_command import keypoints_of_joints
from vm_sim.batch_physics import BatchPhysics
from vm_training.mdp.clip_tracking import NUM_JOINTS
from vm_training.mdp.observations import DEFAULT_JOINT_POS
from vm_training.mdp.randomization import DomainRanges, build_model
from vm_training.student import Student
from vm_training.tasks.work_folder import WorkFolder
from vm_training.teachers.local_models import Samples
from vm_training.teachers.sampled_lqr import LqrTeacher
from vm_training.visual.mirrored import COMMAND_ORDER, COMMAND_SIGN, order_and_sign
from vm_training.visual.motion_library import load_motion, planned, save_motion, steady_plan
from vm_training.visual.motions import ARMS_AT_EASE, FLAT, random_plan, stances_of
from vm_training.visual.planned_motion import PlannedMotion
from vm_training.visual.shared_teacher import SharedGains, add_in_step, teacher_of
from vm_training.visual.tracker import (
    OBSERVATION_SIZE,
    TRACKER_TERMS,
    CommandMoments,
    KeypointLane,
    TrackerSight,
    command_between,
)
from vm_training.visual.tracker_training import TrackerConfig, tracker_arrays, tracker_of, train_tracker

NOMINAL = DomainRanges.none()


@cache
def walk(load_n: float = 0.0) -> PlannedMotion:
    motion, problems = planned(steady_plan(np.array([0.12, 0.0, 0.1]), 2, ARMS_AT_EASE, load_n), "test")
    assert not problems
    return motion


def no_gains(frames: int) -> LqrTeacher:
    return LqrTeacher(np.zeros((frames, NUM_JOINTS, 59)))


def lane(sight: TrackerSight, count: int = 6) -> KeypointLane:
    found = KeypointLane(walk(), no_gains(walk().clip.num_frames), sight, count, NOMINAL, seed=3)
    found.reset(np.arange(count), np.full(count, 40))
    return found


def standing(yaw: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    root, quat = np.array([[0.3, -0.2, 0.76]]), quat_from_yaw(np.array([yaw]))
    return root, quat, keypoints_of_joints(root, quat, DEFAULT_JOINT_POS[None])


def test_no_command_where_the_robot_is_as_desired():
    assert np.allclose(command_between(*standing(0.4), *standing(0.4), "world"), 0.0)


def test_turning_shows_in_world_axes_and_not_in_local_ones():
    turned, now = standing(0.3), standing(0.0)
    assert np.abs(command_between(*turned, *now, "world")[:, 6:]).max() > 0.03
    assert np.allclose(command_between(*turned, *now, "local"), 0.0, atol=1e-9)


def test_commands_do_not_depend_on_where_the_robot_heads():
    ahead = np.array([[0.2, 0.0, 0.0]])
    found = []
    for yaw in (0.0, 1.2):
        root, quat, points = standing(yaw)
        shift = np.array([[np.cos(yaw), np.sin(yaw), 0.0]]) * ahead[0, 0]
        found.append(command_between(root + shift, quat, points + shift[:, None], root, quat, points, "world"))
    assert np.allclose(found[0], found[1]) and np.allclose(found[0][0, :3], ahead[0])


def test_mirror_image_of_a_command_is_the_command_in_the_mirror():
    joints = DEFAULT_JOINT_POS + 0.1 * np.sin(np.arange(NUM_JOINTS))
    from vm_training.mdp.mirror import JOINT_ORDER, JOINT_SIGN

    root, quat, points = standing()
    there = keypoints_of_joints(root, quat, joints[None])
    mirrored = keypoints_of_joints(root, quat, (joints[JOINT_ORDER] * JOINT_SIGN)[None])
    command = command_between(root, quat, there, root, quat, points, "world")
    image = command_between(root, quat, mirrored, root, quat, points, "world")
    assert np.allclose(command[:, COMMAND_ORDER] * COMMAND_SIGN, image, atol=1e-4)


def test_mirror_of_observations_undoes_itself():
    order, sign = order_and_sign(TRACKER_TERMS)
    seen = np.random.default_rng(0).normal(size=(2, OBSERVATION_SIZE))
    assert np.allclose((seen[:, order] * sign)[:, order] * sign, seen)


def test_each_number_has_its_own_factor_which_lasts():
    world = lane(TrackerSight(command_noise=0.5, factor_holds_s=1e9), 200)
    world.observe()
    clean, last = world.command(), world.senses.observe
    assert last is not None
    ratio = (world.moments.total / 200) / np.where(np.abs(clean.mean(axis=0)) > 0.01, clean.mean(axis=0), np.nan)
    factors = world._factor
    assert factors.min() >= 0.5 and factors.max() <= 1.5 and factors.std() == pytest.approx(0.29, abs=0.02)
    assert np.nanmax(np.abs(ratio - 1.0)) < 0.2
    before = factors.copy()
    world.observe()
    assert np.array_equal(before, world._factor)


def test_without_noise_the_moments_are_those_of_the_commands():
    world = lane(TrackerSight(command_noise=0.0))
    seen = []
    for _ in range(5):
        seen.append(world.command())
        world.observe()
        world.act(world.wanted())
    statistics = world.moments.statistics()
    assert np.allclose(statistics.mean, np.concatenate(seen).mean(axis=0))
    assert np.allclose(statistics.deviation, np.maximum(np.concatenate(seen).std(axis=0), 1e-4), rtol=1e-6)


def test_commands_lead():
    """A robot exactly on a motion is told where the motion will be, not where it is."""
    assert np.abs(lane(TrackerSight(lead_s=0.2)).command()).max() > 0.03
    still = lane(TrackerSight(lead_s=0.0))
    still.env.noise = replace(still.env.noise, **dict.fromkeys(vars(still.env.noise), 0.0))
    still.reset(np.arange(6), np.full(6, 40))
    assert np.abs(still.command()).max() < 1e-4


def test_a_load_is_leant_against():
    """The centre of mass is ahead by load x height of the hands / weight, give or take a centimetre."""
    moved = walk(25.0).clip.root_pos_world[60:100, 0] - walk().clip.root_pos_world[60:100, 0]
    assert 0.02 < moved.mean() < 0.09
    assert walk(25.0).load_n.max() == pytest.approx(25.0) and walk(25.0).load_n[0] == 0.0


def test_random_plans_step_within_their_ranges():
    for seed in range(20):
        plan = random_plan(np.random.default_rng(seed))
        stances = stances_of(plan.steps, plan.gait, plan.stands_s)
        assert len(stances) == (2 if not len(plan.steps) else len(plan.steps) + 3)
        assert len(plan.arm_times_s) == len(plan.arm_poses) and np.all(np.diff(plan.arm_times_s) > 0.0)
        if len(plan.steps):
            assert plan.steps[:, 0].max() <= 0.3 and np.abs(plan.steps[:, 2]).max() <= 0.16


def test_motions_are_read_as_written(tmp_path: Path):
    save_motion(walk(25.0), tmp_path / "m.npz")
    again = load_motion(tmp_path / "m.npz")
    assert again.steps == walk(25.0).steps and np.array_equal(again.load_n, walk(25.0).load_n)
    assert np.array_equal(again.clip.joint_pos, walk(25.0).clip.joint_pos)
    (tmp_path / "m.npz").write_bytes(b"nothing")
    with pytest.raises(VmError, match="not a planned motion"):
        load_motion(tmp_path / "m.npz")


def test_samples_count_for_the_frame_in_step():
    """Two steps and a closing one are the common walk's last three, six steps of 0.65 s (195 frames) later."""
    found, pool, frames = Samples(), Samples(), walk().clip.num_frames
    x = np.random.default_rng(1).normal(size=(4, 58)).astype(np.float32)
    found.add(np.array([0, 60, frames - 1, frames + 20]), x, np.zeros((4, 23)), x, np.ones((4, 2)))
    add_in_step(pool, found, walk())
    assert pool.frame[0][0] == 0 and pool.frame[0][1] == 60 + 195 and pool.frame[0][2] < pool.frame[0][3]
    gains = np.random.default_rng(2).normal(size=(393, NUM_JOINTS, 59))
    given = teacher_of(LqrTeacher(gains), walk()).gains
    assert np.array_equal(given[60][:, :-1], gains[60 + 195][:, :-1]) and not given[:, :, -1].any()


def test_a_force_on_a_body_pushes_it():
    model = build_model(FLAT)
    physics = BatchPhysics([model, model], threads=1)
    qpos = np.tile(np.concatenate([[0.0, 0.0, 2.0, 1.0, 0.0, 0.0, 0.0], DEFAULT_JOINT_POS]), (2, 1))
    physics.reset(np.arange(2), qpos, np.zeros((2, model.nv)))
    wrench = np.zeros((2, model.nbody, 6))
    wrench[1, model.body("torso_link").id, 0] = 50.0
    for _ in range(5):
        physics.step(np.tile(DEFAULT_JOINT_POS, (2, 1)), np.tile(DEFAULT_JOINT_POS, (2, 1)), np.zeros(2), None, wrench)
    assert physics.qpos[1, 0] > physics.qpos[0, 0] + 0.003
    physics.close()


def test_training_goes_on_after_the_last_whole_round(tmp_path: Path):
    config = TrackerConfig(
        rounds=2, motions_a_round=1, robots=3, steps=4, batch=8, lessons=64, hidden=(8,), ranges=NOMINAL
    )
    common = no_gains(393)
    half = replace(config, rounds=1)
    folder = WorkFolder(tmp_path / "run")
    _, moments, records = train_tracker([walk()], SharedGains(common), half, folder)
    assert len(records) == 1 and moments.count == 12.0
    # a run of more rounds is another configuration; the same one, killed, goes on
    text = (folder / "config.json").read_text().replace('"rounds": 1', '"rounds": 2')
    (folder / "config.json").write_text(text)
    _, moments, records = train_tracker([walk()], SharedGains(common), config, folder)
    assert len(records) == 2 and moments.count == 24.0


def test_a_tracker_is_read_as_written_and_others_are_refused():
    student, moments = Student(OBSERVATION_SIZE, NUM_JOINTS, (8, 4)), CommandMoments()
    moments.add(np.random.default_rng(0).normal(size=(50, 18)))
    again, kept = tracker_of(tracker_arrays(student, moments, 3))
    seen = torch.randn(2, OBSERVATION_SIZE)
    assert torch.equal(again(seen), student(seen)) and kept.statistics() == moments.statistics()
    arrays = tracker_arrays(Student(7, NUM_JOINTS, (8, 4)), moments, 3)
    with pytest.raises(VmError, match="not a keypoint tracker"):
        tracker_of(arrays)
