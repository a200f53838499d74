"""Motions of one's own as videos with truth: BVH and AMASS on the set's bodies, and files that cannot be used."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from test_vm_reconstruction_foreign_results import tiny_body

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_reconstruction.datasets import make_dataset
from vm_reconstruction.datasets.make_dataset import DatasetConfig
from vm_reconstruction.datasets.synthetic import bodies, driven_body, gait, user_motions
from vm_reconstruction.datasets.synthetic.recipe import plan, recipes
from vm_reconstruction.datasets.synthetic.scenes import TrueScene
from vm_reconstruction.datasets.synthetic.video_truth import VideoTruth
from vm_reconstruction.demo.person import PersonMotion, as_human_motion
from vm_reconstruction.demo.rasterizer import project
from vm_reconstruction.inputs import smpl

FPS = 30.0
BONES = {  # of a BVH: name, parent, our joint
    "Hips": ("", "pelvis"), "Spine": ("Hips", "spine"), "Chest": ("Spine", "chest"), "Neck": ("Chest", "neck"),
    "Head": ("Neck", "head"),
    **{f"{S}{name}": (parent.format(S), f"{S.lower()}_{ours}") for S in ("Left", "Right") for name, parent, ours in (
        ("UpLeg", "Hips", "hip"), ("Leg", "{}UpLeg", "knee"), ("Foot", "{}Leg", "ankle"), ("ToeBase", "{}Foot", "ball"),
        ("Arm", "Chest", "shoulder"), ("ForeArm", "{}Arm", "elbow"), ("Hand", "{}ForeArm", "wrist"))},
}  # fmt: skip


def walker(kind: str = "walk", seed: int = 0) -> tuple[PersonMotion, TrueScene, tuple[int, float, int]]:
    work = plan(next(r for r in recipes(seed) if r.kind == kind))
    body = bodies.load_body(*work.people[0])
    motion = gait.walk_person(work.walkers[0], body.skeleton, work.people[0][1], FPS, work.duration_s)
    return motion, work.scene, work.people[0]


def write_bvh(path: Path, motion: PersonMotion, raised_m: float = 0.0, fps: float = FPS) -> None:
    """Every joint with its own position channels, centimetres, y up."""
    at = {n: motion.joints[ours][:, [1, 2, 0]] * 100 + [0, 100 * raised_m, 0] for n, (_, ours) in BONES.items()}
    bone = {n: at[n] - (at[parent] if parent else 0.0) for n, (parent, _) in BONES.items()}
    order: list[str] = []

    def write(name: str) -> list[str]:
        order.append(name)
        head = "JOINT" if BONES[name][0] else "ROOT"
        lines = [f"{head} {name}", "{", "OFFSET " + " ".join(f"{v:.4f}" for v in bone[name][0]),
                 "CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation"]  # fmt: skip
        children = [child for child, (parent, _) in BONES.items() if parent == name]
        ends = [] if children else ["End Site", "{", "OFFSET 0 0 5", "}"]
        return [*lines, *(line for child in children for line in write(child)), *ends, "}"]

    text = ["HIERARCHY", *write("Hips"), "MOTION", f"Frames: {len(at['Hips'])}", f"Frame Time: {1 / fps:.7f}"]
    for k in range(len(at["Hips"])):
        text.append(" ".join(f"{v:.4f}" for name in order for v in (*bone[name][k], 0, 0, 0)))
    path.write_text("\n".join(text) + "\n")


def config(out: Path, *motions: Path, **other) -> DatasetConfig:
    small = {"fps": 5.0, "pictures": False, "depth_px": 48, "motion_seconds": 1.6}
    return DatasetConfig(out, motion=motions, **{**small, **other})


@pytest.mark.parametrize("kind", ["walk", "stairs_up", "slope_down", "sit"])
def test_a_body_that_is_given_its_own_motion_does_it_again(kind):
    motion, scene, person = walker(kind)
    given_motion = as_human_motion(motion, person[1])
    driven = driven_body.drive(given_motion, bodies.load_body(*person).skeleton, scene)
    again = as_human_motion(driven, person[1])
    error = np.linalg.norm(again.joint_pos_world - given_motion.joint_pos_world, axis=-1)
    assert error.mean() < 0.005 and np.percentile(error, 99) < 0.04
    assert np.mean(again.contact == given_motion.contact) > 0.93
    turns = np.stack(list(driven.rotations.values()))
    np.testing.assert_allclose(turns @ turns.swapaxes(-1, -2), np.broadcast_to(np.eye(3), turns.shape), atol=1e-6)


@settings(max_examples=8, deadline=None)
@given(phenotype=st.integers(0, 5), raised=st.floats(-0.05, 0.05), noise=st.floats(0.0, 0.015), seed=st.integers(0, 99))
def test_any_body_stands_on_the_floor_with_whole_bones(phenotype, raised, noise, seed):
    motion, _, (_, height, clothes) = walker()
    rng = np.random.default_rng(seed)
    human = as_human_motion(motion, height)
    shaken = human.joint_pos_world + [0, 0, raised] + noise * rng.standard_normal((1, *human.joint_pos_world.shape[1:]))
    human = user_motions._of_joints(human, shaken, FPS)
    body = bodies.load_body(phenotype, height, clothes).skeleton
    driven = driven_body.drive(human, body, TrueScene())
    soles = np.stack([driven.joints[f"{s}_{p}"][:, 2] for s in ("left", "right") for p in ("heel", "toe")])
    assert soles.min() > -0.012 and driven.contact[:, :2].mean() > 0.4
    for k, parts in enumerate((slice(0, 2), slice(2, 4))):
        assert np.abs(soles[parts].min(axis=0)[driven.contact[:, k] > 0]).max() <= driven_body.RESTS_M
    for side in ("left", "right"):
        for top, bottom in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")):
            bone = np.linalg.norm(driven.joints[f"{side}_{top}"] - driven.joints[f"{side}_{bottom}"], axis=1)
            np.testing.assert_allclose(bone, body.length(f"{side}_{bottom}", f"{side}_{top}"), atol=1e-6)


def test_a_bvh_becomes_a_video_with_all_truth(tmp_path, capsys):
    motion, _, person = walker()
    write_bvh(tmp_path / "walk.bvh", motion)
    first = make_dataset.make_dataset(config(tmp_path / "a", tmp_path / "walk.bvh"))
    assert [folder.name for folder in first] == ["motion_walk"]  # the fixed videos only where they are asked for
    assert "walk.bvh: the first 1.6 s of 7.2 s are used (--motion-seconds)" in capsys.readouterr().err
    truth = VideoTruth.load(first[0])
    human = truth.people[0]
    assert human.num_frames == 9 and human.details["source"] == "walk.bvh" and not truth.scene.boxes
    assert abs(human.height_m - person[1]) < 0.1 and human.contact[:, :2].mean() > 0.4
    for k in range(0, 9, 3):
        x, y, z = project(human.joint_pos_world[k, :1], truth.depth_matrix, np.linalg.inv(truth.T_world_camera[k]))[0]
        assert truth.mask[k, int(y), int(x)] == 1 and 0.0 < z - float(truth.depth[k, int(y), int(x)]) < 0.3
    stamp = (first[0] / "truth" / "truth.npz").stat().st_mtime_ns
    make_dataset.make_dataset(config(tmp_path / "a", tmp_path / "walk.bvh"))
    assert (first[0] / "truth" / "truth.npz").stat().st_mtime_ns == stamp
    second = VideoTruth.load(make_dataset.make_dataset(config(tmp_path / "b", tmp_path / "walk.bvh"))[0])
    assert np.array_equal(second.depth, truth.depth) and np.array_equal(second.T_world_camera, truth.T_world_camera)
    write_bvh(tmp_path / "walk.bvh", motion, fps=25.0)  # another motion by the same name
    other = VideoTruth.load(make_dataset.make_dataset(config(tmp_path / "a", tmp_path / "walk.bvh"))[0])
    assert not np.array_equal(other.people[0].joint_pos_world, human.joint_pos_world)


def test_fixed_videos_come_with_motions_where_they_are_asked_for(tmp_path):
    path = tmp_path / "a.bvh"
    assert [len(c.recipes()) for c in (DatasetConfig(tmp_path), config(tmp_path, path))] == [24, 0]
    assert [r.name for r in config(tmp_path, path, videos=2).recipes()] == [r.name for r in recipes(0, 2)]
    with pytest.raises(VmError, match="1 to 24"):
        DatasetConfig(tmp_path, videos=0)
    with pytest.raises(VmError, match=r"motion-seconds 0.5: expected at least 1"):
        config(tmp_path, path, motion_seconds=0.5)


def test_who_sits_gets_a_seat_and_who_climbs_needs_a_scene(tmp_path):
    sitting, bench, _ = walker("sit")
    write_bvh(tmp_path / "sit.bvh", sitting)
    found = user_motions.read_all((tmp_path / "sit.bvh",), None, None, FPS, 20.0, 0)[0]
    assert [box.label for box in found.scene.boxes] == ["seat"]
    assert found.scene.boxes[0].top == pytest.approx(bench.boxes[0].top, abs=0.05)
    climbing, stairs, _ = walker("stairs_up")
    write_bvh(tmp_path / "up.bvh", climbing)
    with pytest.raises(VmError, match=r"up.bvh: the feet stand 0.\d\d m over the floor .* with --scene"):
        user_motions.read_all((tmp_path / "up.bvh",), None, None, FPS, 20.0, 0)
    SceneAsset(boxes=stairs.boxes).save(tmp_path / "stairs")
    climber = user_motions.read_all((tmp_path / "up.bvh",), None, tmp_path / "stairs", FPS, 20.0, 0)[0]
    driven = driven_body.drive(climber.motion, bodies.load_body(*climber.person()).skeleton, climber.scene)
    top = max(box.top for box in stairs.boxes)
    assert driven.contact[-1, :2].all() and driven.joints["left_heel"][-1, 2] == pytest.approx(top, abs=0.01)


CLIMB = Path(os.environ.get("VM_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / "climb"


@pytest.mark.skipif(not CLIMB.is_dir(), reason=f"no motion capture at {CLIMB}")
def test_real_motion_capture_climbs_its_boxes_without_meeting_them():
    climber = user_motions.read_all((CLIMB / "seq_0",), None, None, FPS, 20.0, 0)[0]
    driven = driven_body.drive(climber.motion, bodies.load_body(*climber.person()).skeleton, climber.scene)
    for side in ("left", "right"):
        soles = [driven.joints[f"{side}_{part}"] for part in ("heel", "ball", "toe")]
        assert min((p[:, 2] - climber.scene.height_at(p[:, :2])).min() for p in soles) > -0.01
        given, own = climber.motion.joint(f"{side}_ankle"), driven.joints[f"{side}_ankle"]
        jerks = [np.percentile(np.linalg.norm(np.diff(track, 2, axis=0), axis=1), 99) for track in (given, own)]
        assert jerks[1] < 1.4 * jerks[0] and np.linalg.norm(given - own, axis=1).mean() < 0.04
    assert driven.contact[:, :2].mean() > 0.5 and max(p.max() for p in soles) > 0.9  # up on the highest box


def amass(path: Path, **other) -> None:
    frames = 90
    poses, trans = np.zeros((frames, 156)), np.tile([2.0, 1.0, 0.9], (frames, 1))
    poses[:, :3] = Rotation.from_euler("x", 90, degrees=True).as_rotvec()  # AMASS has z up, the model y
    poses[:, 3 * 17 + 2] = -0.8 * np.sin(np.arange(frames) / 9.0)  # the right upper arm
    values = {"poses": poses, "trans": trans, "betas": np.zeros(16), "gender": np.array("female"),
              "mocap_framerate": np.array(60.0), "dmpls": np.zeros((frames, 8)), **other}  # fmt: skip
    np.savez(path, **{name: value for name, value in values.items() if value is not None})


def test_amass_takes_the_model_of_its_gender(tmp_path):
    for gender in ("male", "female"):
        (tmp_path / "smplh" / gender).mkdir(parents=True)
        tiny_body(tmp_path / "smplh" / gender / "model.npz")
    amass(tmp_path / "wave.npz")
    folder = make_dataset.make_dataset(
        config(tmp_path / "set", tmp_path / "wave.npz", body_model=tmp_path / "smplh", videos=0)
    )[0]
    human = VideoTruth.load(folder).people[0]
    assert human.num_frames == 8 and human.contact[:, :2].all()
    assert np.ptp(human.joint("right_wrist"), axis=0).max() > 0.2 > np.ptp(human.joint("left_wrist"), axis=0).max()
    (tmp_path / "smplh" / "female" / "model.npz").unlink()
    with pytest.raises(
        VmError, match="0 body models for gender 'female'; expected one file, there are: male/model.npz"
    ):
        smpl.read_amass(tmp_path / "wave.npz", tmp_path / "smplh")


def test_files_that_cannot_be_used_are_a_line_each(tmp_path, capsys):
    tiny_body(tmp_path / "model.npz")
    motion, _, _ = walker()
    write_bvh(tmp_path / "good.bvh", motion)
    text = (tmp_path / "good.bvh").read_text()
    (tmp_path / "strange.bvh").write_text(text.replace("LeftHand", "LeftPaw"))
    (tmp_path / "none.bvh").write_text(text[: text.index("Frames:")] + "Frames: 0\nFrame Time: 0.0333\n")
    short = PersonMotion(FPS, {n: v[:20] for n, v in motion.joints.items()}, {}, motion.contact[:20])
    write_bvh(tmp_path / "short.bvh", short)
    poses = np.zeros((40, 156))
    poses[7, 5] = np.nan
    amass(tmp_path / "nan.npz", poses=poses, trans=np.zeros((40, 3)))
    amass(tmp_path / "empty.npz", poses=np.zeros((0, 156)), trans=np.zeros((0, 3)))
    amass(tmp_path / "rate.npz", mocap_framerate=np.array(0.0))
    amass(tmp_path / "few.npz", betas=None)
    names = (
        "good.bvh",
        "strange.bvh",
        "none.bvh",
        "short.bvh",
        "nan.npz",
        "empty.npz",
        "rate.npz",
        "few.npz",
        "no.bvh",
    )
    with pytest.raises(VmError, match="8 of 9 motions cannot be used"):
        make_dataset.make_dataset(
            config(tmp_path / "set", *(tmp_path / n for n in names), body_model=tmp_path / "model.npz")
        )
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    expected = (
        "no joint for left_wrist", "0 frames", "20 frames at 30 a second are 0.63 s; expected at least 1 s",
        "not finite in 1 of 40 frames, first 7", "poses (0, 156)", "no frame rate (0.0)", "betas", "no motion at",
    )  # fmt: skip
    assert len(lines) == len(expected) and not (tmp_path / "set").exists()
    for name, line, what in zip(names[1:], lines, expected, strict=True):
        assert name in line and what in line, line
    with pytest.raises(VmError, match=r"few.npz .*--body-model"):
        make_dataset.make_dataset(config(tmp_path / "set", tmp_path / "few.npz"))
    with pytest.raises(VmError, match="no body model at"):
        amass(tmp_path / "fine.npz")
        make_dataset.make_dataset(config(tmp_path / "set", tmp_path / "fine.npz", body_model=tmp_path / "none.npz"))


def test_a_turned_seat_is_drawn_where_it_stands_and_has_all_sides():
    box = SceneBox((1.0, 2.0, 0.2), (0.2, 0.3, 0.2), 0.7, "seat")
    meshes = make_dataset.rooms.furniture(TrueScene((box,)), 0, closed=True)
    assert len({tuple(mesh.normals[0].round(6) + 0.0) for mesh in meshes if mesh.normals is not None}) == 5
    every = np.concatenate([mesh.vertices for mesh in meshes])
    corners = SceneAsset(boxes=(box,)).mesh()[0][4:]
    gap = np.linalg.norm(every[:, None] - corners, axis=-1)
    assert gap.min(axis=0).max() < 1e-9 and box.contains_xy(0.999 * (every[:, :2] - [1, 2]) + [1, 2]).all()
