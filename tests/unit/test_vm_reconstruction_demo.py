"""The demo video's truth must be true: feet on the treads, bones of constant length, the committed files in step."""

from __future__ import annotations

import json

import av
import numpy as np
import pytest

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_reconstruction.demo import make_demo_video as demo
from vm_reconstruction.demo.camera_path import hand_held
from vm_reconstruction.demo.footsteps import plan_footsteps, step_boxes
from vm_reconstruction.demo.person import PersonMotion, as_human_motion, walk_and_climb
from vm_reconstruction.demo.posed_body import PosedBody
from vm_reconstruction.demo.rasterizer import fill_triangles, project
from vm_reconstruction.demo.renderer import pack, render
from vm_reconstruction.demo.room import make_steps
from vm_reconstruction.human_motion import PARENTS, HumanMotion

CONFIG = demo.DemoVideoConfig()
SCENE = SceneAsset(boxes=tuple(step_boxes()))
TRUTH = demo.DEMO_FOLDER / demo.TRUTH_NAME
VIDEO = demo.DEMO_FOLDER / demo.VIDEO_NAME


@pytest.fixture(scope="module")
def body() -> PosedBody:
    return PosedBody.load(CONFIG.height_m)


@pytest.fixture(scope="module")
def motion(body: PosedBody) -> PersonMotion:
    return walk_and_climb(body.skeleton, CONFIG.fps, CONFIG.duration_s)


def _gap(points: np.ndarray) -> np.ndarray:
    return points[:, 2] - SCENE.height_at(points[:, :2])


@pytest.mark.parametrize("side", ["left", "right"])
def test_soles_never_sink_and_planted_feet_touch(motion: PersonMotion, side: str) -> None:
    gaps = np.stack([_gap(motion.joints[f"{side}_{part}"]) for part in ("heel", "toe")])
    assert gaps.min() > -1e-6
    planted = motion.contact[:, int(side == "right")] > 0.5
    assert gaps.min(axis=0)[planted].max() < 1e-6


@pytest.mark.parametrize("side", ["left", "right"])
def test_planted_foot_does_not_slide(motion: PersonMotion, side: str) -> None:
    planted = motion.contact[:, int(side == "right")] > 0.5
    steps = [np.linalg.norm(np.diff(motion.joints[f"{side}_{p}"], axis=0), axis=1) for p in ("heel", "toe")]
    both = planted[1:] & planted[:-1]
    # The foot rolls over heel or toe: one of the two stands still in every frame of a stance.
    assert (np.min(steps, axis=0)[both] * CONFIG.fps).max() < 0.02


def test_person_climbs_three_steps_and_stands_on_top(motion: PersonMotion) -> None:
    levels = {round(float(SCENE.height_at(step.end[None, :2])[0]), 3) for step in plan_footsteps()}
    assert levels == {0.0, 0.15, 0.30, 0.45}
    rise = motion.joints["pelvis"][-1, 2] - motion.joints["pelvis"][0, 2]
    assert rise == pytest.approx(0.45, abs=1e-3)
    assert motion.contact[-30:].min() == 1.0


def test_bones_keep_their_length(motion: PersonMotion) -> None:
    human = as_human_motion(motion, CONFIG.height_m)
    for name in ("left_knee", "right_ankle", "left_elbow", "right_wrist"):
        joint = human.joint_names.index(name)
        bone = human.joint_pos_world[:, joint] - human.joint_pos_world[:, PARENTS[joint]]
        assert np.ptp(np.linalg.norm(bone, axis=1)) < 1e-9, name


def test_body_is_as_tall_as_asked_and_stays_above_the_steps(body: PosedBody, motion: PersonMotion) -> None:
    assert np.ptp(body.vertices[:, 2]) == pytest.approx(CONFIG.height_m, abs=1e-6)
    for frame in range(0, len(motion.contact), 20):
        rotations = {name: value[frame] for name, value in motion.rotations.items()}
        vertices = body.posed(rotations, {name: value[frame] for name, value in motion.joints.items()})
        assert _gap(vertices).min() > -0.005


def test_committed_truth_is_what_the_generator_makes(motion: PersonMotion) -> None:
    committed = HumanMotion.load(TRUTH)
    np.testing.assert_allclose(
        committed.joint_pos_world, as_human_motion(motion, CONFIG.height_m).joint_pos_world, atol=1e-6
    )
    camera = hand_held(motion.joints["pelvis"], CONFIG.fps, CONFIG.seed)
    with np.load(TRUTH, allow_pickle=False) as data:
        np.testing.assert_allclose(data["T_world_camera"], camera.T_world_camera, atol=1e-6)
        assert len(json.loads(str(data["boxes"][()]))) == 3


def test_committed_video_fits_its_truth() -> None:
    assert VIDEO.stat().st_size < 2_000_000
    with av.open(str(VIDEO)) as container:
        frames = sum(1 for _ in container.decode(video=0))
    assert frames == HumanMotion.load(TRUTH).num_frames


def test_person_stays_in_the_picture() -> None:
    motion = HumanMotion.load(TRUTH)
    with np.load(TRUTH, allow_pickle=False) as data:
        matrix, poses, (width, height) = data["camera_matrix"], data["T_world_camera"], data["image_size"]
    for joints, pose in zip(motion.joint_pos_world, poses, strict=True):
        pixels = project(joints, matrix, np.linalg.inv(pose))
        assert pixels[:, :2].min() > 5 and (pixels[:, 0] < width - 5).all() and (pixels[:, 1] < height - 5).all()


def test_rasterizer_keeps_the_nearer_triangle_and_interpolates_in_perspective() -> None:
    points = np.array([[0, 0, 2.0], [8, 0, 2.0], [0, 8, 2.0], [0, 0, 1.0], [8, 0, 4.0], [0, 8, 1.0]])
    depth, out, mark = np.zeros((8, 8)), np.zeros((8, 8, 1)), np.full((8, 8), -1, np.int32)
    values = np.array([[5.0], [5.0], [5.0], [0.0], [1.0], [0.0]])
    fill_triangles(points, values, np.array([[0, 1, 2], [3, 4, 5]], np.int32), depth, out, 7, mark)
    assert mark[0, 0] == 7 and mark[7, 7] == -1
    assert out[0, 6, 0] == 5.0  # the slanted triangle is farther there
    share = (1.5 / 8) / 4.0 / ((1.5 / 8) / 4.0 + (1 - 1.5 / 8) / 1.0)
    assert out[0, 1, 0] == pytest.approx(share)


def test_picture_is_the_same_for_the_same_seed() -> None:
    camera = hand_held(np.tile([1.0, 0.0, 0.9], (30, 1)), 30, 5)
    pictures = []
    for _ in range(2):
        steps = pack(make_steps(step_boxes(), 5))
        pictures.append(
            render([steps], [steps], np.diag([0.1, 0.1, 1]) @ camera.matrix, camera.T_world_camera[0], (64, 48), 1)
        )
    assert pictures[0].max() > 50
    np.testing.assert_array_equal(pictures[0], pictures[1])


def test_impossible_height_is_refused() -> None:
    with pytest.raises(VmError, match="height"):
        demo.DemoVideoConfig(height_m=5.0)
