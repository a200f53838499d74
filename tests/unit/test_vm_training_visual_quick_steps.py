"""Steps of half the time for keypoint trackers: the same speeds, kept in files, gains of their own walk, forces."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vm_core.errors import VmError
from vm_training.mdp.clip_tracking import NUM_JOINTS
from vm_training.mdp.randomization import DomainRanges
from vm_training.motions.courses import QUICK_STEP_S
from vm_training.student import Student
from vm_training.tasks.work_folder import WorkFolder
from vm_training.teachers.sampled_lqr import LqrTeacher
from vm_training.visual import tracker_evaluation
from vm_training.visual.generator_commands import PlanGaitTable
from vm_training.visual.loaded_tracking import Surprises
from vm_training.visual.motion_library import (
    common_motion,
    load_motion,
    make_library,
    planned,
    planned_halt,
    save_motion,
    steady_plan,
)
from vm_training.visual.motions import SLOW_STEP_S, gait_of, random_plan, working_plan
from vm_training.visual.planned_motion import PlannedMotion
from vm_training.visual.shared_teacher import SharedGains, make_env, teacher_of
from vm_training.visual.tracker import OBSERVATION_SIZE, CommandMoments, TrackerSight
from vm_training.visual.tracker_evaluation import falls_under
from vm_training.visual.tracker_file import step_s_of
from vm_training.visual.tracker_training import tracker_arrays

QUICK = gait_of(QUICK_STEP_S)
SHARE = QUICK_STEP_S / SLOW_STEP_S


@pytest.fixture(scope="module")
def walk() -> PlannedMotion:
    motion, problems = planned(steady_plan(np.array([0.06, 0.0, 0.0]), 3, gait=QUICK), "test")
    assert not problems
    return motion


def test_slow_steps_are_as_ever_and_times_of_no_step_are_refused():
    assert gait_of(SLOW_STEP_S) == type(QUICK)()
    for step_s in (0.1, 2.0):
        with pytest.raises(VmError, match="expected 0.2 to 1"):
            gait_of(step_s)


@pytest.mark.parametrize("draw", [random_plan, working_plan])
def test_quick_plans_go_as_fast_and_as_long(draw):
    for seed in range(8):
        slow, quick = (draw(np.random.default_rng(seed), gait) for gait in (None, QUICK))
        assert quick.gait.step_s == QUICK_STEP_S and np.abs(quick.steps[:, 0]).max(initial=0.0) <= SHARE * 0.27
        lasts = [len(plan.steps) * plan.gait.step_s for plan in (slow, quick)]
        assert lasts[1] == pytest.approx(lasts[0], abs=QUICK_STEP_S)


def test_motions_keep_the_time_of_their_steps(walk: PlannedMotion, tmp_path: Path):
    assert walk.timing.step_s == QUICK_STEP_S and walk.timing.walk_s == pytest.approx(4 * QUICK_STEP_S)
    save_motion(walk, tmp_path / "motion_0_0000.npz")
    assert load_motion(tmp_path / "motion_0_0000.npz").step_s == QUICK_STEP_S
    assert len(make_library(tmp_path, 1, 0, step_s=QUICK_STEP_S)) == 1
    with pytest.raises(VmError, match="steps of 0.32 s; expected 0.65 s"):
        make_library(tmp_path, 1, 0)


def test_quick_walks_halt_too():
    motion, _ = planned_halt(steady_plan(np.array([0.08, 0.0, 0.0]), 4, gait=QUICK), 85, "test")
    assert motion.step_s == QUICK_STEP_S and motion.halt is not None
    assert np.abs(motion.keypoints()[-1, 3:, 2]).max() < 5e-3


def test_quick_gains_are_in_step_with_the_quick_common_walk(walk: PlannedMotion):
    common = common_motion(QUICK_STEP_S)
    gains = np.arange(common.clip.num_frames)[:, None, None] * np.ones((1, NUM_JOINTS, 59))
    found = teacher_of(LqrTeacher(gains), walk).gains[:, 0, 0]
    lands = round((1.0 + 4 * QUICK_STEP_S) * 50)
    assert found[lands] == pytest.approx(round((1.0 + 9 * QUICK_STEP_S) * 50), abs=1) and found[10] == 10


def test_forces_of_one_size_are_all_of_that_size(walk: PlannedMotion):
    for least in (0.0, 0.5, 1.0):
        env = make_env(walk, 200, DomainRanges.none(), 0, surprises=Surprises(share=1.0, least=least, hands_n=30.0))
        sizes = env._sizes()
        env.physics.close()
        assert sizes.min() >= least and sizes.max() <= 1.0
        assert np.ptp(sizes) > 0.9 * (1.0 - least) if least < 1.0 else np.all(sizes == 1.0)
    with pytest.raises(VmError, match="shares"):
        replace(Surprises(), least=1.5)


def test_who_falls_under_a_force_is_told_for_that_force(walk: PlannedMotion, monkeypatch):
    """All robots meet it at its full size, on the hands or on a foot, and nothing else."""
    asked: list[Surprises] = []

    def scored(student, motions, common, sight, *, surprises):
        asked.append(surprises)
        return tracker_evaluation.TrackerScore(1, 8, 0.0, 0.0, 0.25, 0.0)

    monkeypatch.setattr(tracker_evaluation, "evaluate_tracker", scored)
    teacher = LqrTeacher(np.zeros((common_motion(QUICK_STEP_S).clip.num_frames, NUM_JOINTS, 59)))
    for where in ("hands", "feet"):
        assert falls_under(None, [walk], SharedGains(teacher), TrackerSight(), where, 40.0) == 0.25
    assert [(s.share, s.least, s.hands_n, s.kick_n) for s in asked] == [(1.0, 1.0, 40.0, 0.0), (1.0, 1.0, 0.0, 40.0)]


def test_a_tracker_says_what_steps_it_was_taught(tmp_path: Path):
    student, moments = Student(OBSERVATION_SIZE, NUM_JOINTS, (8,)), CommandMoments()
    torch.nn.init.zeros_(student.mean)
    folder = WorkFolder(tmp_path / "tracker")
    folder.begin({})
    arrays = tracker_arrays(student, moments, 1, QUICK_STEP_S)
    folder.write_arrays("tracker.npz", arrays)
    assert step_s_of(tmp_path) == QUICK_STEP_S
    folder.write_arrays("tracker.npz", {key: value for key, value in arrays.items() if key != "step_s"})
    assert step_s_of(tmp_path) == SLOW_STEP_S


def test_a_table_of_other_steps_wants_a_file():
    with pytest.raises(VmError, match="expected a file to write"):
        PlanGaitTable(step_s=0.5).run()
