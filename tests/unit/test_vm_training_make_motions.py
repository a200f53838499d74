"""Random courses become feasible motions with their scenes, and teachers that follow them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset
from vm_training.make_motions import MakeMotions, make_motions
from vm_training.mdp.clip_tracking import StartNoise
from vm_training.mdp.feet import foot_poses
from vm_training.motions.courses import KINDS, WALKING_GAIT, random_course
from vm_training.motions.feasibility import Feasibility
from vm_training.motions.footsteps import Gait, plan_steps
from vm_training.motions.reference import plan_reference
from vm_training.motions.route import LOW_EDGE_M, Route
from vm_training.tasks.lqr_teachers import LqrTeachersConfig, load_teacher, train_lqr_teachers
from vm_training.tasks.motion_folder import load_motion, motion_names
from vm_training.tasks.work_folder import WorkFolder
from vm_training.teachers.sampled_lqr import LqrConfig

QUICK = replace(WALKING_GAIT, stand_s=0.4, drop_roll_s=0.3)


@settings(max_examples=40)
@given(st.sampled_from(list(KINDS)), st.integers(0, 10_000))
def test_every_foot_of_a_course_stands_on_one_surface(kind, seed):
    course = random_course(kind, np.random.default_rng(seed), WALKING_GAIT)
    for stance in plan_steps(course.scene, course.route, course.gait):
        ahead = np.array([np.cos(stance.yaw), np.sin(stance.yaw)])
        under = stance.position_world[:2] + np.linspace(-0.1, 0.12, 12)[:, None] * ahead
        lies = stance.position_world[2] + stance.slope * (under[:, 0] - stance.position_world[0])
        np.testing.assert_allclose(course.scene.height_at(under), lies, atol=LOW_EDGE_M)


@pytest.mark.parametrize("degrees", [-9.0, 9.0])
def test_feet_lie_on_a_slope_and_forces_explain_the_way_over_it(degrees):
    slope = float(np.tan(np.radians(degrees)))
    scene = SceneAsset(ground=(slope, 0.0, 0.0))
    reference = plan_reference(scene, Route((0.0, 0.0), 0.0, 0.4), replace(QUICK, stride_m=0.2))
    assert Feasibility.of(reference).problems == ""
    feet, quat = foot_poses(reference.motion.qpos)
    for side, name in enumerate(("left", "right")):
        still = reference.feet.planted[name] & (np.abs(reference.feet.pitch[name] + np.arctan(slope)) < 1e-6)
        over = feet[still, side, 2] - slope * feet[still, side, 0]
        np.testing.assert_allclose(over, 0.0, atol=2e-3)
        toes_down = np.arcsin(2.0 * (quat[still, side, 0] * quat[still, side, 2]))
        np.testing.assert_allclose(toes_down, -np.radians(degrees), atol=0.02)
    risen = reference.motion.com_world[-1, 2] - reference.motion.com_world[0, 2]
    assert risen == pytest.approx(0.4 * slope, abs=0.01)


@pytest.fixture(scope="module")
def motions(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("motions")
    refused = make_motions(MakeMotions(out, count=1, kinds=("flat", "kerb"), gait=QUICK))
    assert refused == {}
    return out


def test_motions_lie_on_their_scenes(motions):
    assert motion_names(motions) == ["flat_0000", "kerb_0000"]
    kerb = load_motion(motions, "kerb_0000")
    assert kerb.kind == "kerb" and kerb.scene.boxes
    heights = kerb.clip.root_pos_world[:, 2]
    top = max(box.top for box in kerb.scene.boxes)
    assert heights.max() - heights.min() == pytest.approx(top, abs=0.06)  # up, and down again
    assert heights[0] == pytest.approx(heights[-1], abs=0.01)
    assert kerb.clip.joint_target is not None


def test_a_second_start_makes_only_what_is_missing(motions):
    before = {path: path.stat().st_mtime_ns for path in motions.rglob("*.npz")}
    make_motions(MakeMotions(motions, count=1, kinds=("flat", "kerb"), gait=QUICK))
    assert before == {path: path.stat().st_mtime_ns for path in motions.rglob("*.npz")}


def test_infeasible_motions_keep_their_reason_and_no_clip(tmp_path):
    refused = make_motions(MakeMotions(tmp_path, count=1, kinds=("stairs_up",), gait=Gait(com_height_m=0.75)))
    assert "stairs_up_0000" in refused and refused["stairs_up_0000"]
    assert not (tmp_path / "stairs_up_0000" / "clip.npz").exists()
    assert json.loads((tmp_path / "stairs_up_0000" / "motion.json").read_text())["problems"]
    with pytest.raises(VmError, match="no motions"):
        motion_names(tmp_path)


def test_unknown_kinds_are_refused():
    with pytest.raises(VmError, match="expected kinds among flat, arc"):
        MakeMotions(Path("x"), kinds=("escalator",))


def test_teachers_of_a_folder_are_found_once(motions, tmp_path):
    lqr = LqrConfig(rounds=1, steps_a_round=1200, hold_s=0.2)
    config = LqrTeachersConfig(lqr=lqr, num_envs=24, threads=1, start_noise=StartNoise())
    folder = WorkFolder(tmp_path / "teachers")
    found = train_lqr_teachers(motions, config, folder)
    assert list(found) == ["flat_0000", "kerb_0000"]
    clip = MotionClip.load(motions / "flat_0000" / "clip.npz")
    assert load_teacher(folder.path, "flat_0000").gains.shape == (clip.num_frames, 23, 59)
    stamps = {path.name: path.stat().st_mtime_ns for path in folder.path.glob("*_0000.npz")}
    assert train_lqr_teachers(motions, config, folder) == found
    assert stamps == {path.name: path.stat().st_mtime_ns for path in folder.path.glob("*_0000.npz")}


def test_scene_of_a_course_survives_its_folder(motions):
    scene = SceneAsset.load(motions / "kerb_0000" / "scene")
    xy = np.column_stack([np.linspace(-1.0, 2.0, 200), np.zeros(200)])
    np.testing.assert_allclose(scene.height_at(xy), load_motion(motions, "kerb_0000").scene.height_at(xy))
