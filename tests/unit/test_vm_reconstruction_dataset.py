"""The synthetic set's truth must be true: feet on the surfaces, rigid bones, depth and masks where the people are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vm_core.errors import VmError
from vm_reconstruction.datasets import make_dataset
from vm_reconstruction.datasets.synthetic import bodies, gait
from vm_reconstruction.datasets.synthetic.recipe import Recipe, plan, recipes
from vm_reconstruction.datasets.synthetic.video_truth import VideoTruth
from vm_reconstruction.demo.rasterizer import project

RECIPES = recipes(0)


@pytest.mark.parametrize("recipe", RECIPES, ids=[r.name for r in RECIPES])
def test_feet_stand_on_the_scene_and_bones_are_rigid(recipe: Recipe) -> None:
    work = plan(recipe)
    for walker, (phenotype, height, clothes) in zip(work.walkers, work.people, strict=True):
        body = bodies.load_body(phenotype, height, clothes)
        motion = gait.walk_person(walker, body.skeleton, height, 30.0, work.duration_s)
        for k, side in enumerate(("left", "right")):
            soles = [motion.joints[f"{side}_{part}"] for part in ("heel", "toe")]
            gaps = np.stack([sole[:, 2] - work.scene.height_at(sole[:, :2]) for sole in soles])
            assert gaps.min() > -0.001
            assert np.abs(gaps.min(axis=0)[motion.contact[:, k] > 0]).max() < 0.001
            for top, bottom in (("hip", "knee"), ("knee", "ankle")):
                bone = np.linalg.norm(motion.joints[f"{side}_{top}"] - motion.joints[f"{side}_{bottom}"], axis=1)
                assert np.ptp(bone) < 1e-6
        assert np.abs(np.diff(motion.joints["pelvis"], 2, axis=0) * 900).max() < 15.0


def test_a_seated_person_sits_on_the_bench() -> None:
    work = plan(next(r for r in RECIPES if r.kind == "sit"))
    height = work.people[0][1]
    body = bodies.load_body(*work.people[0])
    motion = gait.walk_person(work.walkers[0], body.skeleton, height, 30.0, work.duration_s)
    seated = motion.contact[:, 2] > 0
    assert seated.sum() > 30
    pelvis = motion.joints["pelvis"][seated]
    assert np.allclose(pelvis[:, 2], work.scene.boxes[0].top + gait.SEAT_DEPTH_SHARE * height, atol=0.02)
    assert work.scene.boxes[0].contains_xy(pelvis[:, :2]).all()


def _config(out: Path) -> make_dataset.DatasetConfig:
    return make_dataset.DatasetConfig(out, videos=2, fps=6.0, pictures=False, depth_px=64)


def test_the_same_seed_gives_the_same_files_and_finished_videos_are_kept(tmp_path: Path) -> None:
    first, second = (
        make_dataset.make_dataset(_config(tmp_path / "a")),
        make_dataset.make_dataset(_config(tmp_path / "b")),
    )
    a, b = VideoTruth.load(first[1]), VideoTruth.load(second[1])
    assert np.array_equal(a.depth, b.depth) and np.array_equal(a.mask, b.mask)
    assert np.array_equal(a.people[0].joint_pos_world, b.people[0].joint_pos_world)
    stamp = (first[1] / "truth" / "truth.npz").stat().st_mtime_ns
    (first[0] / "recipe.json").unlink()  # as if the run had been killed in the first video
    make_dataset.make_dataset(_config(tmp_path / "a"))
    assert (first[0] / "recipe.json").is_file()
    assert (first[1] / "truth" / "truth.npz").stat().st_mtime_ns == stamp


def test_depth_and_mask_show_the_person_at_the_projected_pelvis(tmp_path: Path) -> None:
    truth = VideoTruth.load(make_dataset.make_dataset(_config(tmp_path))[0])
    height, width = truth.depth.shape[1:]
    for k in range(0, len(truth.depth), 4):
        T_camera_world = np.linalg.inv(truth.T_world_camera[k])
        x, y, z = project(truth.people[0].joint_pos_world[k, :1], truth.depth_matrix, T_camera_world)[0]
        assert 0 <= x < width and 0 <= y < height
        assert truth.mask[k, int(y), int(x)] == 1
        assert 0.0 < z - float(truth.depth[k, int(y), int(x)]) < 0.3  # the skin is nearer than the joint


def test_a_picture_shows_room_and_person() -> None:
    config = make_dataset.DatasetConfig(Path("unused"), fps=5.0)
    stage, camera, filming, _ = make_dataset.stage_of(RECIPES[0], config.fps)
    image = next(make_dataset.pictures.pictures(stage, camera, filming.size, 1))
    assert image.shape == (filming.size[1], filming.size[0], 3)
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 2000


def test_wrong_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(VmError, match="1 to 24"):
        recipes(0, 25)
    with pytest.raises(VmError, match="no kind of video 'swim'"):
        Recipe("x", "swim", 0)
    with pytest.raises(VmError, match="truth.npz"):
        VideoTruth.load(tmp_path)
