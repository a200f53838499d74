"""Results of TRAM/VIMO and VideoMimic as input: files in their real layouts, and what hides in such files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from test_vm_reconstruction_inputs import REST, tiny_model
from test_vm_reconstruction_networks import seeing, tiny_sam2

from vm_core.errors import VmError
from vm_reconstruction.frontends.networks import NetworkFrontend, labels
from vm_reconstruction.frontends.networks.parts import Prompt
from vm_reconstruction.inputs import smpl
from vm_reconstruction.inputs.read import read_motion
from vm_reconstruction.inputs.tram import read_track, read_tram
from vm_reconstruction.inputs.videomimic import KEYPOINTS_FILE, read_videomimic
from vm_reconstruction.solver.body_problem import POINTS
from vm_reconstruction.solver.joint import so3
from vm_reconstruction.stages.frames import FrameSource

SMPL_45 = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hand", "right_hand", "nose",
    "right_eye", "left_eye", "right_ear", "left_ear", "left_big_toe", "left_small_toe", "left_heel", "right_big_toe",
    "right_small_toe", "right_heel", *(f"{s}_{f}" for s in ("left", "right") for f in
    ("thumb", "index", "middle", "ring", "pinky")),
)  # fmt: skip


def _place(name: str) -> list[float]:
    """Where a standing person's joint is, from REST's nearest."""
    side = name.partition("_")[0]
    near = {"foot": "toe", "hand": "wrist", "collar": "shoulder", "big_toe": "toe", "small_toe": "toe"}
    part = near.get(name.partition("_")[2], name.partition("_")[2])
    central = {"spine1": "spine", "spine2": "chest", "spine3": "chest", "nose": "head"}
    key = central.get(name, name if name in REST else f"{side}_{part}")
    return list(REST.get(key, REST[f"{side}_wrist"] if side in ("left", "right") else REST["head"]))


def videomimic_file(path: Path, people: tuple[str, ...] = ("1",), frames: int = 40) -> np.ndarray:
    """As its gravity calibration saves: groups by person; the list of names is an attribute called `/joint_names`."""
    h5py = pytest.importorskip("h5py")
    joints = np.tile(np.array([_place(name) for name in SMPL_45]), (frames, 1, 1)).astype(np.float32)
    joints[..., 2] -= 0.8  # the first camera's height is its zero
    with h5py.File(path, "w") as file:
        for person in people:
            file.create_dataset(f"/joints/{person}", data=joints)
            file.create_dataset(f"/root_orient/{person}", data=np.tile(np.eye(3, dtype=np.float32), (frames, 1, 1, 1)))
        file.create_dataset("/world_rotation", data=np.eye(3, dtype=np.float32))
        file.attrs["/joint_names"] = list(SMPL_45)
    return joints


def test_a_result_folder_of_videomimic_becomes_the_person_on_the_ground(tmp_path):
    joints = videomimic_file(tmp_path / KEYPOINTS_FILE)
    motion, scene = read_motion(tmp_path, height_m=1.75)
    assert motion.fps == 30.0 and motion.num_frames == 40 and not scene.boxes
    moved = motion.joint("left_wrist")[0] - motion.joint("pelvis")[0]
    at = [SMPL_45.index(name) for name in ("left_wrist", "pelvis")]
    np.testing.assert_allclose(moved, joints[0, at[0]] - joints[0, at[1]], atol=1e-6)
    assert abs(motion.joint("left_toe")[:, 2]).max() < 0.03 and motion.contact[:, :2].all()
    assert abs(scene.ground[2]) < 0.03


def test_one_of_several_people_of_videomimic_is_named(tmp_path):
    videomimic_file(tmp_path / KEYPOINTS_FILE, ("1", "4"))
    with pytest.raises(VmError, match="2 people; name one of 1, 4 with --person"):
        read_videomimic(tmp_path)
    assert read_videomimic(tmp_path, "4")[0].shape == (40, 43, 3)
    with pytest.raises(VmError, match="no person 7"):
        read_videomimic(tmp_path, "7")
    (tmp_path / "other.h5").write_bytes(b"no hdf5")
    with pytest.raises(VmError, match=r"is no gravity_calibrated_keypoints.h5"):
        read_motion(tmp_path / "other.h5")


def tram_folder(folder: Path, frames: np.ndarray) -> tuple[Path, np.ndarray, np.ndarray]:
    """hps/hps_track_0.npy and camera.npy as TRAM saves them: dictionaries of tensors and arrays."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    rotvecs = 0.2 * rng.standard_normal((len(frames), 24, 3))
    rotvecs[:, 0] += [np.pi, 0.0, 0.0]  # upright before a camera whose y points down
    shift = rng.standard_normal((len(frames), 1, 3)) + [0, 0, 4]
    track = {
        "pred_cam": torch.zeros(len(frames), 3), "pred_pose": torch.zeros(len(frames), 144),
        "pred_shape": torch.full((len(frames), 10), 0.3), "pred_rotmat": torch.tensor(so3.exp(rotvecs)).float(),
        "pred_trans": torch.tensor(shift).float(), "frame": torch.tensor(frames),
    }  # fmt: skip
    (folder / "hps").mkdir()
    path = folder / "hps" / "hps_track_0.npy"
    np.save(path, np.array(track, dtype=object))
    return path, rotvecs, shift[:, 0]


def test_a_track_of_tram_follows_the_body_model(tmp_path):
    tiny_model(tmp_path / "model.npz")
    path, rotvecs, shift = tram_folder(tmp_path, np.array([3, 4, 5, 8]))
    rest = smpl.rest_joints(tmp_path / "model.npz", np.full(10, 0.3))
    track = read_track(path, tmp_path / "model.npz")
    np.testing.assert_allclose(track.joints, smpl.posed_joints(rest, rotvecs[:, :22], shift), atol=1e-5)
    assert track.frames.tolist() == [3, 4, 5, 8]


def test_tram_in_its_world_moves_with_the_camera_and_gaps_are_filled(tmp_path):
    tiny_model(tmp_path / "model.npz")
    path, _, _ = tram_folder(tmp_path, np.array([3, 4, 5, 8]))
    still, names, fps = read_tram(path, tmp_path / "model.npz")
    assert still.shape == (6, 22, 3) and fps == 30.0 and len(names) == 22
    np.testing.assert_allclose(still[3], still[2] + (still[5] - still[2]) / 3, atol=1e-9)
    camera = {
        "pred_cam_R": np.tile(np.eye(3, dtype=np.float32), (9, 1, 1)),
        "pred_cam_T": np.outer(np.arange(9), [0.5, 0, 0]).astype(np.float32),
        "img_focal": np.float32(600.0), "img_center": np.array([320, 240]),
    }  # fmt: skip
    np.save(tmp_path / "camera.npy", np.array(camera, dtype=object))
    moved, _, _ = read_tram(path, tmp_path / "model.npz")
    steps = np.linalg.norm((moved - moved[:1]) - (still - still[:1]), axis=-1)
    np.testing.assert_allclose(steps[[1, 2, 5]].mean(axis=1), [0.5, 1.0, 2.5], atol=0.3)


class _Bomb:
    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self):
        return os.mkdir, (str(self._target),)


def test_a_track_that_would_run_something_is_refused_and_nothing_runs(tmp_path):
    tiny_model(tmp_path / "model.npz")
    np.save(tmp_path / "bad.npy", np.array({"frame": _Bomb(tmp_path / "ran")}, dtype=object))
    with pytest.raises(VmError, match=r"is no result of TRAM .*it holds posix.mkdir"):
        read_motion(tmp_path / "bad.npy", body_model=tmp_path / "model.npz")
    assert not (tmp_path / "ran").exists()
    np.save(tmp_path / "plain.npy", np.zeros(3))
    with pytest.raises(VmError, match="it is no dictionary"):
        read_track(tmp_path / "plain.npy", tmp_path / "model.npz")
    cut, _, _ = tram_folder(tmp_path, np.arange(4))
    cut.write_bytes(cut.read_bytes()[:-200])
    with pytest.raises(VmError, match="is no result of TRAM"):
        read_track(cut, tmp_path / "model.npz")


def _folder_of_tram(folder: Path, people: int, frames: int) -> dict:
    """A config of tracks of two people who stand 4 m before a camera that moves to the right."""
    torch = pytest.importorskip("torch")
    tiny_body(folder / "model.npz")
    (folder / "hps").mkdir()
    upright = np.tile(np.eye(3), (frames, 24, 1, 1))
    upright[:, 0] = np.diag([1.0, -1.0, -1.0])
    for k in range(people):
        shift = np.tile([1.2 * k - 0.6, 0.0, 4.0 + k], (frames, 1))
        track = {"pred_rotmat": torch.tensor(upright).float(), "pred_shape": torch.zeros(frames, 10),
                 "pred_trans": torch.tensor(shift).float()[:, None], "frame": torch.arange(frames)}  # fmt: skip
        np.save(folder / "hps" / f"hps_track_{k}.npy", np.array(track, dtype=object))
    camera = {"pred_cam_R": np.tile(np.eye(3), (frames, 1, 1)), "pred_cam_T": np.outer(np.arange(frames), [0.1, 0, 0]),
              "img_focal": np.array(200.0), "img_center": np.array([100.0, 75.0])}  # fmt: skip
    np.save(folder / "camera.npy", np.array(camera, dtype=object))
    tracks = [str(folder / "hps" / f"hps_track_{k}.npy") for k in range(people)]
    pose = {"tram": tracks, "body_model": str(folder / "model.npz")}
    return {"depth": {"model": "none"}, "pose": pose, "cameras": {"tram": str(folder / "camera.npy")}}


def tiny_body(path: Path) -> None:
    """A model whose joints stand like REST, SMPL's axes: y up, z forward, x to the left."""
    at = [_place(name) for name in SMPL_45[:24]]
    vertices = np.array([[y, z - 0.9, x] for x, y, z in at])
    np.savez(path, v_template=vertices, shapedirs=np.zeros((24, 3, 10)), J_regressor=np.eye(24))


def test_tracks_of_tram_are_several_people_for_the_joint_solver(tmp_path, monkeypatch):
    config = _folder_of_tram(tmp_path, 2, 4)
    monkeypatch.setattr(NetworkFrontend, "_depth", lambda self, source, size: np.full((4, size[1], size[0]), 3.0))
    source = FrameSource(str(tmp_path), 30.0, 4, 1, 400, 300, 400, 300, 400.0, "given")
    observed = NetworkFrontend(config).observe(source, (1.8, 1.7), lambda: None)
    assert [p.height_m for p in observed.people] == [1.8, 1.7] and observed.matrix[0, 0] == 400.0
    np.testing.assert_allclose(observed.camera_center[:, 0], [0, 0.1, 0.2, 0.3], atol=1e-6)
    hips = [POINTS.index("left_hip"), POINTS.index("right_hip")]
    left, right = (p.xy_px[0, hips].mean(axis=0) for p in observed.people)
    np.testing.assert_allclose([left[0], right[0]], [200 - 400 * 0.6 / 4, 200 + 400 * 0.6 / 5], atol=3.0)
    head = observed.people[0].xy_px[0, POINTS.index("head")]
    assert head[1] < left[1] and observed.people[0].found.all()
    row, column = (int(left[1] * observed.mask.shape[1] / 300), int(left[0] * observed.mask.shape[2] / 400))
    assert observed.mask[0, row, column] == 1 and (observed.mask == 2).any()
    near, far = (observed.mask == 1).sum(), (observed.mask == 2).sum()
    swapped = NetworkFrontend(_with_tracks(config, reversed)).observe(source, (1.7, 1.8), lambda: None)
    assert (swapped.mask == 2).sum() == near and (
        swapped.mask == 1
    ).sum() == far  # the nearer one, whichever comes first
    with pytest.raises(VmError, match=r"1 heights; expected one a track \(2\)"):
        NetworkFrontend(config).observe(source, (1.8,), lambda: None)
    short = FrameSource(str(tmp_path), 30.0, 3, 1, 400, 300, 400, 300, 400.0, "given")
    with pytest.raises(VmError, match="has 4 frames"):
        NetworkFrontend(config).observe(short, (1.8, 1.7), lambda: None)
    with pytest.raises(VmError, match="expected cameras, too"):
        NetworkFrontend({**config, "cameras": {}}).observe(source, (1.8, 1.7), lambda: None)
    with pytest.raises(VmError, match="cameras: tramm; expected colmap, megasam"):
        NetworkFrontend({**config, "cameras": {"tramm": "x"}}).observe(source, (1.8, 1.7), lambda: None)


def _with_tracks(config: dict, change: Callable) -> dict:
    return {**config, "pose": {**config["pose"], "tram": list(change(config["pose"]["tram"]))}}


class Scores:
    """A mask network that remembers its prompts and has a disc around the middle of each one's box."""

    def __init__(self) -> None:
        self.prompts: list[Prompt] = []

    def scores(self, frames, prompts, size, on_frame):
        self.prompts = list(prompts)
        y, x = np.mgrid[: size[1], : size[0]] + 0.5
        at = [(p.box[:2] + p.box[2:]) / 2 * size / [400, 300] for p in prompts]
        return np.stack([np.tile(60.0 - np.hypot(x - c[0], y - c[1]), (4, 1, 1)) for c in at]).astype(np.float16)


def test_everybody_has_a_mask_of_his_own(tmp_path, monkeypatch):
    config = _folder_of_tram(tmp_path, 2, 4)
    monkeypatch.setattr(NetworkFrontend, "_depth", lambda self, source, size: np.full((4, size[1], size[0]), 3.0))
    seeing(monkeypatch, np.zeros((4, 300, 400, 3), np.uint8))
    source = FrameSource(str(tmp_path), 30.0, 4, 1, 400, 300, 400, 300, 400.0, "given")
    frontend = NetworkFrontend({**config, "masks": {"sam2": "any"}, "up": [0, -1, 0]})
    tracker = frontend._models["masks"] = Scores()
    observed = frontend.observe(source, (1.8, 1.7), lambda: None)
    for k, prompt in enumerate(tracker.prompts):
        xy = observed.people[k].xy_px[prompt.frame]
        np.testing.assert_allclose(prompt.box, np.clip([*xy.min(axis=0), *xy.max(axis=0)], 0, [400, 300, 400, 300]))
        assert len(prompt.points) >= 4 and len(prompt.others) >= 4
        assert all(np.linalg.norm(xy - point, axis=1).min() < 1e-9 for point in prompt.points)
    middle = [(p.box[0] + p.box[2]) / 2 for p in tracker.prompts]
    border = int(sum(middle) / 2 * observed.mask.shape[2] / 400)  # both discs reach beyond it
    row = observed.mask[0, observed.mask.shape[1] // 2]
    assert set(row[: border - 1]) <= {0, 1} and set(row[border + 2 :]) <= {0, 2} and {1, 2} <= set(row)


def test_masks_of_tracks_by_saved_weights(tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = _folder_of_tram(tmp_path, 2, 4)
    tiny_sam2(transformers, tmp_path / "sam2")
    monkeypatch.setattr(NetworkFrontend, "_depth", lambda self, source, size: np.full((4, size[1], size[0]), 3.0))
    pictures = np.random.default_rng(0).integers(0, 255, (4, 300, 400, 3), np.uint8)
    seeing(monkeypatch, pictures)
    source = FrameSource(str(tmp_path), 30.0, 4, 1, 400, 300, 400, 300, 400.0, "given")
    frontend = NetworkFrontend({**config, "masks": {"sam2": str(tmp_path / "sam2")}, "up": [0, -1, 0]})
    observed = frontend.observe(source, (1.8, 1.7), lambda: None)
    assert observed.mask.shape == observed.depth.shape and set(np.unique(observed.mask)) <= {0, 1, 2}


@settings(max_examples=40, deadline=None)
@given(arrays(np.float16, (3, 2, 5, 4), elements=st.floats(-4, 4, width=16)))
def test_what_several_claim_is_of_the_surest(scores):
    masks = labels.parted(scores)
    assert masks.sum(axis=0).max() <= 1
    label = labels.labelled(list(masks))
    assert ((label == 0) == (scores <= 0).all(axis=0)).all()
    for t, i, j in np.argwhere(label > 0):
        assert scores[label[t, i, j] - 1, t, i, j] == scores[:, t, i, j].max() > 0


def test_a_prompt_comes_from_where_the_person_is_seen_best():
    boxes = np.tile([[100.0, 50, 200, 250], [300.0, 50, 400, 250]], (4, 1, 1)).swapaxes(0, 1)
    boxes[:, 2] = np.nan
    boxes[0, 3], boxes[1, 3] = [50, 0, 250, 300], [60, 0, 260, 300]  # larger, but one behind the other
    xy = np.stack([np.tile((b[:, None, :2] + b[:, None, 2:]) / 2, (1, 17, 1)) for b in boxes])
    sure = np.full((2, 4, 17), 0.9)
    sure[:, 1] = 0.5
    prompt = labels.prompt(boxes, xy, sure, 1)
    assert prompt.frame == 0 and (prompt.points == [350, 150]).all() and (prompt.others == [150, 150]).all()
    alone = labels.prompt(boxes[1:], xy[1:], sure[1:], 0)
    assert alone.frame == 3 and not len(alone.points) and not len(alone.others)
    boxes[1] = np.nan
    with pytest.raises(VmError, match="person 2 is in no frame's picture"):
        labels.prompt(boxes, xy, sure, 1)
