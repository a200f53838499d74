"""Motions from elsewhere: BVH, joints by name, SMPL-X parameters, GVHMR's file; each also broken."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from test_vm_reconstruction_retarget import REST, standing

from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset
from vm_reconstruction.human_motion import JOINT_NAMES, HumanMotion
from vm_reconstruction.inputs import smpl
from vm_reconstruction.inputs.bvh import read_bvh
from vm_reconstruction.inputs.named_joints import find_joints
from vm_reconstruction.inputs.read import read_motion
from vm_reconstruction.retarget.objects import ObjectTracks
from vm_reconstruction.retarget.variants import Variant

BONES = {  # name, parent, our joint that lies there
    "Hips": ("", "pelvis"), "Spine": ("Hips", "spine"), "Spine1": ("Spine", "chest"), "Neck": ("Spine1", "neck"),
    "Head": ("Neck", "head"),
    **{f"{S}{n}": (p.format(S=S), f"{S.lower()}_{ours}") for S in ("Left", "Right") for n, p, ours in (
        ("UpLeg", "Hips", "hip"), ("Leg", "{S}UpLeg", "knee"), ("Foot", "{S}Leg", "ankle"),
        ("ToeBase", "{S}Foot", "toe_base"), ("Arm", "Spine1", "shoulder"), ("ForeArm", "{S}Arm", "elbow"),
        ("Hand", "{S}ForeArm", "wrist"))},
}  # fmt: skip
POINTS = {**REST, **{f"{s}_toe_base": (0.12, y, 0.03) for s, y in (("left", 0.09), ("right", -0.09))}}


def y_up(point: tuple) -> np.ndarray:
    return np.array([point[1], point[2], point[0]]) * 100.0  # cm; left is x, up is y, forward is z


def bvh_text(frames: int, turn: np.ndarray) -> str:
    children: dict[str, list[str]] = {}
    for name, (parent, _) in BONES.items():
        children.setdefault(parent, []).append(name)
    order: list[str] = []

    def write(name: str, depth: int) -> list[str]:
        parent, ours = BONES[name]
        order.append(name)
        offset = y_up(POINTS[ours]) - (y_up(POINTS[BONES[parent][1]]) if parent else 0.0)
        place = "Xposition Yposition Zposition " if not parent else ""
        lines = [f"{'JOINT' if parent else 'ROOT'} {name}", "{", "OFFSET " + " ".join(f"{v:.5f}" for v in offset),
                 f"CHANNELS {6 if not parent else 3} {place}Zrotation Xrotation Yrotation"]  # fmt: skip
        for child in children.get(name, []):
            lines += write(child, depth + 1)
        if name not in children:
            lines += ["End Site", "{", "OFFSET 0 0 5", "}"]
        return [*lines, "}"]

    text = ["HIERARCHY", *write("Hips", 0), "MOTION", f"Frames: {frames}", "Frame Time: 0.0333333"]
    for _ in range(frames):
        row = [*y_up(POINTS["pelvis"])]
        for name in order:
            row += list(turn) if name == "LeftArm" else [0.0, 0.0, 0.0]
        text.append(" ".join(f"{v:.6f}" for v in row))
    return "\n".join(text) + "\n"


def test_bvh_becomes_the_person(tmp_path):
    turn = np.array([20.0, -40.0, 10.0])  # degrees about z, x, y in this order
    (tmp_path / "a.bvh").write_text(bvh_text(40, turn))
    positions, names, fps = read_bvh(tmp_path / "a.bvh")
    assert fps == pytest.approx(30.0, abs=0.01) and positions.shape == (40, len(BONES), 3)
    np.testing.assert_allclose(positions[0, names.index("Head")], REST["head"], atol=1e-6)
    matrix = Rotation.from_euler("ZXY", turn, degrees=True).as_matrix()
    forearm = matrix @ (y_up(REST["left_elbow"]) - y_up(REST["left_shoulder"])) / 100.0
    expected = np.array(REST["left_shoulder"]) + [forearm[2], forearm[0], forearm[1]]
    np.testing.assert_allclose(positions[0, names.index("LeftForeArm")], expected, atol=1e-6)
    motion, scene = read_motion(tmp_path / "a.bvh")
    assert 1.6 < motion.height_m < 1.9 and not scene.boxes
    assert motion.contact[:, :2].all() and abs(motion.joint("left_heel")[:, 2]).max() < 0.03


@pytest.mark.parametrize(
    ("text", "message"),
    [("hello", "does not begin with HIERARCHY"), ("HIERARCHY\nROOT a\n{\nOFFSET 0 0", "no BVH file"), ("", "no BVH")],
)
def test_other_text_is_no_bvh(tmp_path, text, message):
    (tmp_path / "a.bvh").write_text(text)
    with pytest.raises(VmError, match=message):
        read_bvh(tmp_path / "a.bvh")


def test_a_bvh_cut_off_in_the_middle_is_refused(tmp_path):
    text = bvh_text(40, np.zeros(3))
    (tmp_path / "a.bvh").write_text(text[: int(0.8 * len(text))])
    with pytest.raises(VmError, match="no BVH file"):
        read_bvh(tmp_path / "a.bvh")


def test_joints_by_other_names_and_missing_ones(tmp_path):
    names = [f"mixamorig:{name}" for name in BONES]
    assert find_joints(names)["left_toe_base"] == list(BONES).index("LeftToeBase")
    with pytest.raises(VmError, match="no joint for left_wrist"):
        find_joints([name for name in names if "LeftHand" not in name])
    positions = np.tile(np.array([POINTS[ours] for _, ours in BONES.values()]), (30, 1, 1))
    np.savez(tmp_path / "a.npz", joint_pos=positions, joint_names=np.array(names), fps=30.0)
    motion, _ = read_motion(tmp_path / "a.npz", height_m=1.75)
    np.testing.assert_allclose(motion.joint("right_elbow")[3], REST["right_elbow"], atol=0.02)
    positions[7] = np.nan
    np.savez(tmp_path / "a.npz", joint_pos=positions, joint_names=np.array(names), fps=30.0)
    with pytest.raises(VmError, match="not finite in 1 of 30 frames, first 7"):
        read_motion(tmp_path / "a.npz")


def test_objects_follow_the_motion_into_its_variants(tmp_path):
    names = list(BONES)
    positions = np.tile(np.array([POINTS[ours] for _, ours in BONES.values()]), (31, 1, 1)) - [0.0, 0.0, 0.5]
    at = np.linspace([[0.4, 0.3, 0.1]], [[1.0, 0.3, 0.1]], 31)
    turned = np.tile(Rotation.from_euler("z", 30, degrees=True).as_quat(scalar_first=True), (31, 1, 1))
    np.savez(tmp_path / "a.npz", joint_pos=positions, joint_names=np.array(names), fps=30.0, object_pos=at,
             object_names=np.array(["crate"]), object_quat_wxyz=turned)  # fmt: skip
    motion, _ = read_motion(tmp_path / "a.npz", height_m=1.75)
    crate = ObjectTracks.beside(tmp_path / "a.npz", motion)
    assert crate is not None and crate.names == ("crate",)
    up = crate.pos_world[0, 0, 2] - motion.joint("pelvis")[0, 2]
    np.testing.assert_allclose(up, 0.1 - positions[0, names.index("Hips"), 2], atol=1e-9)  # both moved onto the ground
    variant = Variant(mirrored=True, speed=2.0, size=1.2)
    changed, _ = variant.apply(motion, SceneAsset())
    found = crate.varied(variant).like(changed, 0.5)
    assert found.fps == changed.fps and len(found.pos_world) == changed.num_frames == 16
    np.testing.assert_allclose(found.pos_world[-1, 0, :2], [0.6 * 1.0, -0.6 * 0.3], atol=1e-9)
    yaw = Rotation.from_quat(found.quat_wxyz_world[5, 0], scalar_first=True).as_euler("zyx", degrees=True)[0]
    assert yaw == pytest.approx(-30.0)
    np.savez(tmp_path / "b.npz", joint_pos=positions, joint_names=np.array(names), fps=30.0, object_pos=at[:9],
             object_names=np.array(["crate"]), object_quat_wxyz=turned[:9])  # fmt: skip
    with pytest.raises(VmError, match="objects in 9 frames, the person in 31"):
        ObjectTracks.beside(tmp_path / "b.npz", motion)


def tiny_model(path: Path) -> np.ndarray:
    """A body model of 60 vertices whose joints are known."""
    rng = np.random.default_rng(0)
    template, shapes = rng.normal(size=(60, 3)), 0.1 * rng.normal(size=(60, 3, 10))
    regressor = rng.uniform(size=(55, 60))
    np.savez(path, v_template=template, shapedirs=shapes, J_regressor=regressor / regressor.sum(axis=1, keepdims=True))
    return template


def test_smpl_parameters_follow_the_model(tmp_path):
    tiny_model(tmp_path / "model.npz")
    betas = np.array([0.5, -0.3])
    rest = smpl.rest_joints(tmp_path / "model.npz", betas)
    poses, trans = np.zeros((5, 165)), np.tile([0.1, 0.2, 0.3], (5, 1))
    poses[:, 3 * 4 : 3 * 4 + 3] = [0.0, 0.7, 0.0]  # the left knee
    poses[:, :3] = [0.0, 0.0, 1.2]
    np.savez(tmp_path / "m.npz", poses=poses, trans=trans, betas=betas, mocap_frame_rate=60.0)
    joints, names, fps = smpl.read_amass(tmp_path / "m.npz", tmp_path / "model.npz")
    root, knee = Rotation.from_rotvec([0, 0, 1.2]).as_matrix(), Rotation.from_rotvec([0, 0.7, 0]).as_matrix()
    expected = rest[0] + trans[0] + root @ (rest[4] - rest[0] + knee @ (rest[7] - rest[4]))
    np.testing.assert_allclose(joints[2, names.index("left_ankle")], expected, atol=1e-9)
    assert fps == 60.0 and set(find_joints(names)) >= {"left_toe_base", "right_wrist", "chest"}
    with pytest.raises(VmError, match="--body-model"):
        read_motion(tmp_path / "m.npz")
    with pytest.raises(VmError, match="a pickle could run anything"):
        smpl.rest_joints(tmp_path / "model.pkl", betas)


def test_gvhmr_results_and_a_pickle_in_their_place(tmp_path):
    torch = pytest.importorskip("torch")
    tiny_model(tmp_path / "model.npz")
    rest = smpl.rest_joints(tmp_path / "model.npz", np.zeros(10))
    params = {"body_pose": torch.zeros(4, 63), "global_orient": torch.zeros(4, 3), "transl": torch.ones(4, 3),
              "betas": torch.zeros(4, 10)}  # fmt: skip
    torch.save({"smpl_params_global": params}, tmp_path / "hmr4d_results.pt")
    joints, names, _ = smpl.read_gvhmr(tmp_path / "hmr4d_results.pt", tmp_path / "model.npz")
    head = rest[names.index("head")] + 1.0
    np.testing.assert_allclose(joints[0, names.index("head")], [head[2], head[0], head[1]], atol=1e-6)
    torch.save({"smpl_params_global": Path("/")}, tmp_path / "bad.pt")  # an object: only plain tensors are read
    with pytest.raises(VmError, match="no result of GVHMR"):
        smpl.read_gvhmr(tmp_path / "bad.pt", tmp_path / "model.npz")


def run_retarget(*arguments: str) -> subprocess.CompletedProcess:
    command = [str(Path(sys.executable).parent / "vm-retarget"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_writes_a_mirrored_clip_of_23_joints(tmp_path):
    joints, contact = standing(40)
    joints[:, JOINT_NAMES.index("left_wrist")] += [0.3, 0.0, 0.4]
    joints[:, JOINT_NAMES.index("left_elbow")] += [0.2, 0.0, 0.1]
    quat = np.zeros((*joints.shape[:2], 4))
    quat[..., 0] = 1.0
    HumanMotion(30.0, 1.75, joints, quat, contact[:40], np.ones(40)).save(tmp_path / "human.npz")
    out = tmp_path / "out"
    done = run_retarget(str(tmp_path / "human.npz"), "--out", str(out), "--mirrored", "--joints", "23", "--speed", "2")
    assert done.returncode == 0, done.stderr
    clip = MotionClip.load(out / "clip.npz")
    assert clip.num_frames == 20 and (out / "scene" / "scene.json").is_file() and "hand_error_mean_m" in done.stdout
    wrists = [clip.joint_names.index(name) for name in clip.joint_names if "wrist" in name]
    assert not clip.joint_pos[:, wrists].any()
    hands = [clip.body_pos_world[:, clip.body_names.index(f"{s}_wrist_yaw_link"), 2].mean() for s in ("left", "right")]
    assert hands[1] > hands[0] + 0.1  # the left hand was up


@pytest.mark.parametrize(
    ("arguments", "message"), [(["nothing.bvh"], "no motion at nothing.bvh"), (["."], "holds no motion; expected")]
)
def test_the_command_says_what_it_cannot_use(tmp_path, arguments, message):
    done = run_retarget(*arguments, "--out", str(tmp_path / "out"))
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1
