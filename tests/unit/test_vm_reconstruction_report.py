"""The report from a small run: one page, nothing loaded from outside, warnings where they belong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import av
import numpy as np
import pytest

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_reconstruction import report
from vm_reconstruction.demo.make_demo_video import DEMO_FOLDER, TRUTH_NAME, VIDEO_NAME
from vm_reconstruction.evaluate import load_truth
from vm_reconstruction.render.overlay import BOX, Overlay, box_corners, project
from vm_reconstruction.report import figures
from vm_reconstruction.stages import frames
from vm_reconstruction.stages.body import BodyTrack
from vm_reconstruction.stages.camera import CameraMotion

VIDEO, TRUTH_FILE = DEMO_FOLDER / VIDEO_NAME, DEMO_FOLDER / TRUTH_NAME
FRAMES = 12


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose result is the demo's truth, cut to its first frames."""
    out = tmp_path_factory.mktemp("run")
    short = out / "short.mp4"
    with av.open(str(VIDEO)) as source, av.open(str(short), "w") as target:
        stream = target.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for index, frame in enumerate(source.decode(video=0)):
            if index == FRAMES:
                break
            target.mux(stream.encode(av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"), format="rgb24")))
        target.mux(stream.encode(None))
    motion, boxes = load_truth(TRUTH_FILE)
    frames.run(short, out, None)
    with np.load(TRUTH_FILE, allow_pickle=False) as data:
        K, poses = data["camera_matrix"], data["T_world_camera"][:FRAMES]
    cut = {name: getattr(motion, name)[:FRAMES] for name in ("joint_pos_world", "joint_quat_wxyz_world", "contact")}
    type(motion)(motion.fps, motion.height_m, confidence=np.ones(FRAMES), **cut).save(out / "human.npz")
    turns = poses[:, :3, :3].transpose(0, 2, 1) @ poses[0, :3, :3]
    CameraMotion(K, turns, np.full(FRAMES, 5.0), np.full(FRAMES, 100), "assumed 62 deg").save(out / "stages/camera.npz")
    BodyTrack(
        cut["joint_pos_world"], poses, K, np.ones(FRAMES), np.ones(FRAMES), np.ones(3), np.array([5.0, 1.0])
    ).save(out / "stages/body.npz")
    SceneAsset(boxes=tuple(boxes)).save(out / "stages/scene")
    return out


def test_page_is_self_contained(run_folder: Path) -> None:
    page = report.run_stage(run_folder, run_folder / "short.mp4").read_text()
    assert "data:video/mp4;base64," in page and page.count("<svg") == 4
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert "step 2" in page and "$" not in re.sub(r"base64,[^\"]*", "", page)
    with av.open(str(run_folder / "overlay.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == FRAMES


def test_warnings_name_the_assumed_focal(run_folder: Path) -> None:
    said = " ".join(figures.warnings(figures.RunFiles.load(run_folder)))
    assert "The focal length is assumed" in said


def test_missing_stage_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(VmError, match=r"stages/frames\.json"):
        report.run_stage(tmp_path, tmp_path / "none.mp4")


def test_box_is_drawn_where_it_projects(run_folder: Path) -> None:
    run = figures.RunFiles.load(run_folder)
    overlay = Overlay(run.motion, run.track, run.scene, None)
    image = overlay.draw(np.zeros((480, 640, 3), np.uint8), 0)
    assert run.scene is not None
    corners = project(box_corners(run.scene.boxes[0]), run.track.K, run.track.T_world_camera[0])
    x, y = np.rint(corners[1, :2]).astype(int)
    assert (np.abs(image[y - 2 : y + 3, x - 2 : x + 3].astype(int) - BOX).sum(axis=-1) < 60).any()


def test_points_behind_the_camera_do_not_break_the_overlay(run_folder: Path) -> None:
    run = figures.RunFiles.load(run_folder)
    track = BodyTrack(**{**run.track.__dict__, "T_world_camera": np.tile(np.eye(4), (FRAMES, 1, 1))})
    Overlay(run.motion, track, run.scene, None).draw(np.zeros((480, 640, 3), np.uint8), 0)


def test_what_the_stages_warned_of_stands_on_the_page(run_folder: Path) -> None:
    record = {"warnings": ["nobody is seen from 0.6 to 1.3 s; the motion there is a guess"]}
    content = {"format": "vm_reconstruction_manifest", "version": 1, "stages": {"landmarks": record}}
    (run_folder / "manifest.json").write_text(json.dumps(content))
    told = figures.warnings(figures.RunFiles.load(run_folder))
    (run_folder / "manifest.json").unlink()
    assert told[0] == "Nobody is seen from 0.6 to 1.3 s; the motion there is a guess."
