"""The order of stages: resume after a kill, redo only what changed, one line for what cannot be used."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from vm_core.errors import VmError
from vm_reconstruction import pipeline
from vm_reconstruction.configuration import STAGE_NAMES, ReconstructionConfig
from vm_reconstruction.frontends.mediapipe_pose import LANDMARK_NAMES
from vm_reconstruction.frontends.pose_frontend import PoseLandmarks
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.manifest import Manifest, content_hash
from vm_reconstruction.stages.body import BodyTrack
from vm_reconstruction.stages.frames import FrameSource

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("VM_SHARED_DATA", ROOT.parent / "shared" / "data"))


class KnownPerson:
    """A pose model for tests: a standing person 4 m away, as a camera of the assumed focal length sees it."""

    def __init__(self, share: float = 1.0, people: int = 1, lower_px: float = 0.0, away: range = range(0)):
        self.share, self.people, self.lower_px, self.away, self.calls = share, people, lower_px, away, 0

    def landmarks(self, frames, width, height, static, on_frame):
        self.calls += 1
        count = len(list(frames))
        found = (np.arange(count) < self.share * count) & ~np.isin(np.arange(count), self.away)
        if static and self.people < 2:
            found[:] = False
        focal = 0.5 * max(width, height) / np.tan(np.radians(31.0))
        world = np.tile(_standing(), (count, 1, 1))
        place = world + np.array([0.0, 0.0, 4.0])
        xy = place[..., :2] / place[..., 2:] * focal + np.array([width / 2, height / 2 + self.lower_px])
        size = (width // 4, height // 4)
        masks = np.packbits(np.zeros((count, size[0] * size[1]), bool), axis=1)
        return PoseLandmarks(LANDMARK_NAMES, xy, world, np.ones((count, 33)) * found[:, None], found, masks, size)


def _standing() -> np.ndarray:
    from vm_reconstruction.body_model import rest_positions
    from vm_reconstruction.human_motion import JOINT_NAMES, joint_index

    rest = rest_positions(1.75)
    points = []
    for name in LANDMARK_NAMES:
        joint = name.replace("foot_index", "toe")
        known = joint in JOINT_NAMES
        points.append(rest[joint_index(joint if known else "head")])
    points = np.array(points) - rest[joint_index("pelvis")]
    return np.stack([points[:, 1] * -1.0, -points[:, 2], -points[:, 0]], axis=1)


@pytest.fixture
def video(tmp_path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    texture = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(texture, (0, 0), 2)
    for index in range(20):
        cv2.imwrite(str(folder / f"{index:03d}.png"), image)
    return folder


def config(video: Path, out: Path, **changes) -> ReconstructionConfig:
    return ReconstructionConfig(**{"video": video, "out": out, "height_m": 1.75, "until": "scene"} | changes)


def run_counting(monkeypatch, settings, frontend) -> list[str]:
    ran: list[str] = []
    record = Manifest.record
    monkeypatch.setattr(Manifest, "record", lambda self, name, *a: (ran.append(name), record(self, name, *a))[1])
    pipeline.run(settings, frontend)
    monkeypatch.undo()
    return ran


def test_rerun_does_only_what_changed(video, tmp_path, monkeypatch):
    out, names = tmp_path / "out", list(STAGE_NAMES["single"][:6])
    assert run_counting(monkeypatch, config(video, out), KnownPerson()) == names
    assert run_counting(monkeypatch, config(video, out), KnownPerson()) == []
    assert run_counting(monkeypatch, config(video, out, height_m=1.6), KnownPerson()) == names[3:]
    (out / "human.npz").write_bytes(b"damaged")
    assert run_counting(monkeypatch, config(video, out, height_m=1.6), KnownPerson()) == ["contacts"]
    image = next(video.glob("*.png"))
    cv2.imwrite(str(image), 255 - cv2.imread(str(image)))
    assert run_counting(monkeypatch, config(video, out, height_m=1.6), KnownPerson())[:3] == names[:3]


def test_killed_run_goes_on(video, tmp_path, monkeypatch):
    out, frontend = tmp_path / "out", KnownPerson()
    monkeypatch.setattr(pipeline.body, "run", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(config(video, out), frontend)
    monkeypatch.undo()
    calls = frontend.calls
    assert not (out / "human.npz").exists()
    assert run_counting(monkeypatch, config(video, out), frontend) == ["body", "contacts", "scene"]
    assert frontend.calls == calls


def test_manifest_survives_damage(tmp_path):
    path = tmp_path / "manifest.json"
    for text in ("", "[]", "{", json.dumps({"format": "x", "version": 1, "stages": {}})):
        path.write_text(text)
        assert Manifest.load(path).stages == {}
    assert content_hash(tmp_path / "none") == "absent"


def test_nobody_two_people_and_bad_files(video, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(VmError, match="nobody in view"):
        pipeline.run(config(video, out), KnownPerson(share=0.1))
    with pytest.raises(VmError, match="two people"):
        pipeline.run(config(video, out), KnownPerson(people=2))
    with pytest.raises(VmError, match="half outside the image in 100% .*expected shoulders to ankles inside"):
        pipeline.run(config(video, out), KnownPerson(lower_px=100.0))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(VmError, match="no images"):
        pipeline.run(config(empty, out), KnownPerson())
    with pytest.raises(VmError, match="no video"):
        pipeline.run(config(tmp_path / "none.mp4", out), KnownPerson())
    with pytest.raises(VmError, match="no stage"):
        config(video, out, until="lunch")


def test_a_person_who_leaves_and_comes_back_is_told_and_kept_in_the_record(video, tmp_path, capsys):
    out, sentence = tmp_path / "out", "nobody is seen from 0.6 to 1.3 s; the motion there is a guess"
    pipeline.run(config(video, out, fps=10.0), KnownPerson(away=range(6, 13)))
    assert sentence in capsys.readouterr().err
    assert sentence in Manifest.load(out / "manifest.json").warnings
    pipeline.run(config(video, out, fps=10.0), KnownPerson(away=range(6, 13)))
    assert sentence in Manifest.load(out / "manifest.json").warnings, "a second run does nothing and keeps it"
    shown = HumanMotion.load(out / "human.npz").confidence
    assert (shown[6:13] < 0.3).all() and (shown[:6] > 0.3).all()


@pytest.mark.parametrize("content", [b"", b"this is text", b"\x00\x00\x00\x18ftypmp42" + bytes(200)])
def test_not_a_video_is_one_line_and_exit_code_2(content, tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    command = [sys.executable, "-m", "vm_reconstruction.command", str(path), "--height", "1.75", "--out"]
    result = subprocess.run([*command, str(tmp_path / "out")], capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert result.stderr.strip().splitlines()[-1].startswith(f"error: {path} is not a video")
    assert "Traceback" not in result.stderr


def test_a_refused_video_loses_nothing(video, tmp_path):
    out, empty = tmp_path / "out", tmp_path / "empty"
    pipeline.run(config(video, out), KnownPerson())
    before = {path: content_hash(out / path) for path in ("config.json", "human.npz", "stages/scene")}
    empty.mkdir()
    for bad, frontend in ((empty, KnownPerson()), (video, KnownPerson(people=2))):
        with pytest.raises(VmError):
            pipeline.run(config(bad, out, fov_deg=70.0), frontend)
    assert {path: content_hash(out / path) for path in before} == before
    assert not list(out.rglob(".*"))


def test_a_file_that_ends_early_is_told(tmp_path, capsys):
    whole, cut = tmp_path / "whole.avi", tmp_path / "cut.avi"
    writer = cv2.VideoWriter(str(whole), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (96, 64))
    for _ in range(40):
        writer.write(np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8))
    writer.release()
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    pipeline.run(config(cut, tmp_path / "out", until="frames"), KnownPerson())
    assert "announces 40 frames" in capsys.readouterr().err


def test_focal_length_is_given_or_said_to_be_assumed(video, tmp_path):
    pipeline.run(config(video, tmp_path / "a", until="frames"), KnownPerson())
    source = FrameSource.load(tmp_path / "a" / "stages" / "frames.json")
    assert "assumed" in source.focal_source
    pipeline.run(config(video, tmp_path / "b", until="frames", fov_deg=90.0), KnownPerson())
    assert FrameSource.load(tmp_path / "b" / "stages" / "frames.json").focal_px == pytest.approx(160.0)


def test_standing_person_stands_on_the_ground(video, tmp_path):
    from vm_reconstruction.human_motion import HumanMotion

    pipeline.run(config(video, tmp_path / "out"), KnownPerson())
    motion = HumanMotion.load(tmp_path / "out" / "human.npz")
    assert motion.joint("pelvis")[:, 2] == pytest.approx(0.53 * 1.75, abs=0.05)
    assert motion.contact[:, :2].all() and not motion.contact[:, 2].any()


def test_the_height_is_a_ruler_and_nothing_else(video, tmp_path):
    tracks = []
    for height_m in (1.5, 2.0):
        out = tmp_path / str(height_m)
        pipeline.run(config(video, out, height_m=height_m, until="body"), KnownPerson())
        tracks.append(BodyTrack.load(out / "stages" / "body.npz"))
    small, tall = tracks
    np.testing.assert_allclose(tall.joint_pos_world, small.joint_pos_world * 2.0 / 1.5, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        tall.T_world_camera[:, :3, 3], small.T_world_camera[:, :3, 3] * 2.0 / 1.5, rtol=1e-9, atol=1e-12
    )
    np.testing.assert_array_equal(tall.T_world_camera[:, :3, :3], small.T_world_camera[:, :3, :3])
    np.testing.assert_allclose(tall.segment_lengths, small.segment_lengths * 2.0 / 1.5, rtol=1e-9, atol=1e-12)


def test_real_phone_video_sits_and_stands(tmp_path):
    from vm_core.scene_asset import SceneAsset
    from vm_reconstruction.frontends.mediapipe_pose import find_python
    from vm_reconstruction.human_motion import HumanMotion

    film = SHARED / "video" / "sitting_standing.mp4"
    if not film.exists():
        pytest.skip(f"{film} is missing")
    try:
        find_python()
    except VmError as error:
        pytest.skip(str(error))
    pipeline.run(config(film, tmp_path / "out"))
    motion = HumanMotion.load(tmp_path / "out" / "human.npz")
    scene = SceneAsset.load(tmp_path / "out" / "stages" / "scene")
    seat = [box for box in scene.boxes if box.label == "seat"]
    assert len(seat) == 1
    ground = scene.ground[0] * seat[0].center_world[0] + scene.ground[1] * seat[0].center_world[1] + scene.ground[2]
    assert 0.25 < seat[0].top - ground < 0.65
    z = motion.joint("pelvis")[:, 2]
    assert z[60:90].mean() - z[140:200].mean() > 0.25 and z[-10:].mean() - z[140:200].mean() > 0.25
    assert motion.contact[140:200, 2].all() and not motion.contact[:80, 2].any() and not motion.contact[-5:, 2].any()
