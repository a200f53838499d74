"""Plans of lifting a box: what they ask of the body, what a box does to the palms, the path that robots follow."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from vm_core.gait_clock import QUICK_STOP
from vm_core.keypoint_command import CommandStatistics
from vm_core.lifting import SETTLES_S, SURE
from vm_training.mdp.mirror import JOINT_ORDER, JOINT_SIGN
from vm_training.mdp.randomization import DomainRanges
from vm_training.motions.clip import KP
from vm_training.motions.whole_body import reference_model
from vm_training.teachers.sampled_lqr import LqrTeacher
from vm_training.visual.gait_table import gait_table
from vm_training.visual.lift_path import BOX_AHEAD_M, REACH_M, lift_path, planned_lift_path
from vm_training.visual.lift_plans import DT_S, KEYFRAMES_S, LiftPlan, common_lift, held_box
from vm_training.visual.loaded_tracking import PRESS_N_M, Surprises
from vm_training.visual.motion_library import load_motion, make_library, save_motion
from vm_training.visual.object_world import PERIOD_S, ObjectWorld, Tracker, WorldConfig
from vm_training.visual.planned_motion import PlannedMotion
from vm_training.visual.shared_teacher import SharedGains, make_env
from vm_training.visual.tasks import find_object_task
from vm_training.visual.tracker import KeypointLane, TrackerSight

GRASP, CLOSED, UP = (round(t / DT_S) for t in KEYFRAMES_S[1:])
SURE_OF = Surprises(error=0.0, bump_n=0.0)


@pytest.fixture(scope="module")
def lift() -> PlannedMotion:
    return common_lift()


def test_a_lift_can_be_and_does_what_its_plan_says(lift: PlannedMotion):
    plan = LiftPlan()
    assert plan.motion("again")[1] == ""
    palms, feet = lift.keypoints()[:, 1:3], lift.keypoints()[:, 3:]
    assert np.allclose(feet, feet[0], atol=2e-3)
    wide = plan.half_width_m + plan.open_m
    assert np.allclose(palms[GRASP], [[0.42, wide, 0.40], [0.42, -wide, 0.40]], atol=0.02)
    assert np.allclose(palms[CLOSED, :, 1], [plan.half_width_m, -plan.half_width_m], atol=0.02)
    assert np.allclose(palms[-1, :, [0, 2]], np.transpose([plan.hold_m, plan.hold_m]), atol=0.02)
    assert lift.clip.root_pos_world[GRASP, 2] < 0.55 < 0.65 < lift.clip.root_pos_world[-1, 2]
    assert np.abs(np.diff(lift.clip.joint_pos, axis=0)).max() < 0.08  # no jumps: 4 rad/s


def test_plans_that_cannot_be_are_refused():
    assert "palms off" in LiftPlan(hold_m=(0.60, 1.10)).motion("far")[1]


def test_lifts_are_left_as_right(lift: PlannedMotion):
    joints = lift.clip.joint_pos
    assert np.allclose(joints, joints[:, JOINT_ORDER] * JOINT_SIGN, atol=0.02)


def test_a_library_of_lifts_survives_its_files(tmp_path, lift: PlannedMotion):
    save_motion(lift, tmp_path / "lift_0_0000.npz")
    assert load_motion(tmp_path / "lift_0_0000.npz").lift
    (found,) = make_library(tmp_path, 1, 0, "lift", 0.32)  # lifts have no steps: any time of these is right
    assert np.allclose(found.clip.joint_pos, lift.clip.joint_pos)


def test_palms_press_by_the_torques_of_their_force(lift: PlannedMotion):
    """A newton on each palm does as much work as the torques do, however it is moved."""
    held, model, frame = held_box(lift), reference_model(), 300
    assert held.share[GRASP] == 0.0 and held.share[CLOSED] == pytest.approx(1.0)
    data, move, work = mujoco.MjData(model), np.random.default_rng(0).normal(size=23), []
    for step in (0.0, 1e-6):
        data.qpos[:] = np.concatenate([lift.clip.root_pos_world[frame], lift.clip.root_quat_wxyz[frame],
                                       lift.clip.joint_pos[frame]])  # fmt: skip
        data.qpos[7:] += step * move
        mujoco.mj_kinematics(model, data)
        work.append(data.site("right_palm").xpos[1] - data.site("left_palm").xpos[1])
    assert (KP * held.target_rad_n[frame]) @ move == pytest.approx((work[1] - work[0]) / 1e-6, rel=1e-3)


def test_who_holds_a_box_is_told_to_press_and_feels_it(lift: PlannedMotion):
    """Palms are led into it by as much as its resistance is worth, and targets carry the torque."""
    env = make_env(lift, 2, DomainRanges(box_height_m=0.0), 0, surprises=replace(SURE_OF, press_m=0.08))
    env.reset(np.arange(2), np.full(2, 300))
    deep, _ = env._box.T
    points = np.zeros((2, 5, 3))
    led = env.pressed(points, 10)
    assert np.allclose(led[:, 1, 1], -deep) and np.allclose(led[:, 2, 1], deep) and not led[:, [0, 3, 4]].any()
    more = env.planned_target() - env.reference_target[300]
    assert np.allclose(more, PRESS_N_M * deep[:, None] * held_box(lift).target_rad_n[300])
    env.step(np.zeros((2, 23)))
    force = env._wrench[:, env._hands, 1]
    assert np.allclose(force[:, 0] - env._bump[:, 0, 1], PRESS_N_M * deep)
    assert np.allclose(force[:, 1] - env._bump[:, 1, 1], -PRESS_N_M * deep)
    env.reset(np.arange(2), np.zeros(2, dtype=int))
    assert np.array_equal(env.pressed(points, 10), points)  # nothing is held yet
    env.physics.close()


def test_the_path_that_ships_is_the_planned_one():
    shipped, planned = lift_path(), planned_lift_path()
    assert shipped.grasps_m == planned.grasps_m and shipped.reach_m == REACH_M and shipped.closes_s == planned.closes_s
    assert shipped.box_ahead_m == BOX_AHEAD_M
    assert np.abs(shipped.places - planned.places).max() < 0.005


def test_lifts_have_gains_of_their_own(lift: PlannedMotion):
    frames = lift.clip.num_frames
    walk, lifts = (LqrTeacher(np.full((n, 23, 59), v)) for n, v in ((700, 1.0), (frames, 2.0)))
    found = SharedGains(walk, None, lifts).teacher_of(lift).gains
    assert found.shape[0] == frames and found[0, 0, 0] == 2.0 and found[0, 0, -1] == 0.0
    with pytest.raises(Exception, match="expected gains of lifts"):
        SharedGains(walk).teacher_of(lift)


def test_a_tracker_of_a_lift_is_told_of_the_palms_that_press(lift: PlannedMotion):
    teacher = LqrTeacher(np.zeros((lift.clip.num_frames, 23, 59)))
    lane = KeypointLane(lift, teacher, TrackerSight(command_noise=0.0), 2, DomainRanges(box_height_m=0.0), 0)
    lane.reset(np.arange(2), np.full(2, 350))
    told = lane.command().reshape(2, 6, 3)
    lane.env._box[:] = 0.0
    assert np.all(told[:, 2, 1] < lane.command().reshape(2, 6, 3)[:, 2, 1])
    lane.env.physics.close()


def test_a_world_hands_its_robots_to_the_law_and_back():
    """The clock rests while the law leads; places that somebody thinks of count in place of the truth."""
    task, table = find_object_task("lift_box"), gait_table()
    still = Tracker(lambda seen: seen[:, :23] * 0.0, CommandStatistics((0.0,) * 18, (0.1,) * 18), step_s=table.step_s)
    world = ObjectWorld(task, still, table, WorldConfig(worlds=2, run_share=1.0, run_after_s=(0.0, 0.0)), 0)
    near = np.array([[0.45, 0.0], [0.9, 0.0]])
    for _ in range(SURE + 1):
        world.tick()
        world.step(np.zeros((2, 18)), near)
    assert world.run.all() and np.array_equal(world.walks, [False, True]) and not world.lifts.any()
    for _ in range(round(SETTLES_S / PERIOD_S) + 1):
        world.tick()
        world.step(np.zeros((2, 18)), near)
    assert np.array_equal(world.lifts, [True, False])
    since, _ = world.tick()
    assert np.isnan(since[0]) and not np.isnan(since[1]) and world.config.steps_to_rest == QUICK_STOP
    world.reset(np.array([0]))
    assert not world.lifts.any()
    world.close()
