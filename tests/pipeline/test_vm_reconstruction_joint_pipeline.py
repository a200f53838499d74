"""vm-reconstruct with the joint solver: the oracle drives all of it, truth never leaks, front-ends may fail."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from vm_core.errors import VmError
from vm_reconstruction import pipeline
from vm_reconstruction.configuration import ReconstructionConfig
from vm_reconstruction.datasets.make_dataset import DatasetConfig, make_dataset
from vm_reconstruction.datasets.synthetic.video_truth import VideoTruth
from vm_reconstruction.frontends.noisy_oracle import observe
from vm_reconstruction.frontends.oracle_noise import OracleNoise
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.manifest import content_hash
from vm_reconstruction.stages.gaps import tell_gaps
from vm_reconstruction.stages.joint import tell_unseen_ground
from vm_reconstruction.stages.observe import checked

RESULTS = ("human.npz", "stages/body.npz", "stages/points.npz", "stages/scene", "people", "surroundings")


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """A synthetic video; its pictures are grey, for the oracle looks at none."""
    folder = make_dataset(DatasetConfig(tmp_path_factory.mktemp("set"), videos=1, pictures=False))[0]
    truth = VideoTruth.load(folder)
    writer = cv2.VideoWriter(str(folder / "video.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), truth.people[0].fps, (160, 90))
    for _ in truth.T_world_camera:
        writer.write(np.full((90, 160, 3), 90, np.uint8))
    writer.release()
    return folder / "video.mp4"


def config(video: Path, out: Path, **changes) -> ReconstructionConfig:
    height = HumanMotion.load(video.parent / "truth" / "person_1.npz").height_m
    base = ReconstructionConfig(video, out, height, solver="joint", frontend="oracle", until="scene")
    return replace(base, **changes)


def test_the_same_results_with_the_truth_deleted(video, tmp_path):
    with_truth = pipeline.run(config(video, tmp_path / "a", until="surroundings"))
    asked = config(video, tmp_path / "b", until="observe")
    pipeline.run(asked)
    copy = tmp_path / "kept"
    shutil.move(str(video.parent / "truth"), copy)
    try:
        without = pipeline.run(replace(asked, until="surroundings"))
    finally:
        shutil.move(str(copy), video.parent / "truth")
    for name in RESULTS:
        assert content_hash(with_truth / name) == content_hash(without / name) != "absent", name
    truth = VideoTruth.load(video.parent).people[0]
    found = HumanMotion.load(without / "human.npz")
    ways = [np.linalg.norm(np.diff(m.joint("pelvis")[:: int(m.fps)], axis=0), axis=1).sum() for m in (truth, found)]
    assert abs(ways[1] / ways[0] - 1.0) < 0.1  # it is metric
    record = json.loads((without / "stages" / "joint.json").read_text())
    assert 0.0 < record["scale_std"] < 0.1
    assert len(np.load(without / "stages" / "points.npz")["points"]) > 1000


def test_a_file_of_observations_is_as_good(video, tmp_path):
    observe(VideoTruth.load(video.parent), OracleNoise(), 0).save(tmp_path / "seen.npz")
    out = pipeline.run(config(video, tmp_path / "a", frontend=str(tmp_path / "seen.npz"), until="joint"))
    assert HumanMotion.load(out / "human.npz").num_frames > 50


class Broken:
    identity = {"broken": True}

    def __init__(self, error: Exception | None = None, frames: int = 0):
        self.error, self.frames = error, frames

    def observe(self, source, heights_m, on_frame):
        if self.error:
            raise self.error
        observed = observe(VideoTruth.load(Path(source.path).parent), OracleNoise(), 0)
        cut = {n: getattr(observed, n)[: self.frames] for n in ("R_world_camera", "camera_center", "depth", "mask")}
        return replace(observed, **cut)


@pytest.mark.parametrize(
    ("frontend", "message"),
    [
        (Broken(RuntimeError("out of memory")), "front-end Broken failed on .*RuntimeError: out of memory"),
        (Broken(frames=7), "front-end Broken told of 7 frames"),
    ],
)
def test_a_frontend_that_fails_is_named(video, tmp_path, frontend, message):
    with pytest.raises(VmError, match=message):
        pipeline.run(config(video, tmp_path / "a"), frontend)


def test_values_that_are_no_numbers_are_named(video, capsys):
    observed = observe(VideoTruth.load(video.parent), OracleNoise(), 0)
    depth = observed.depth.copy()
    depth[3, 2, 2], depth[5, 0, 0] = np.nan, -1.0
    repaired = checked(replace(observed, depth=depth), "Mine")
    assert repaired.depth[3, 2, 2] == 0 and repaired.depth[5, 0, 0] == 0
    assert "front-end Mine gave depth that is no distance in 2 of" in capsys.readouterr().err
    center = observed.camera_center.copy()
    center[7] = np.nan
    with pytest.raises(VmError, match="front-end Mine gave camera_center that is not finite in frame 7"):
        checked(replace(observed, camera_center=center), "Mine")


def test_people_who_are_away_for_a_while_are_told(capsys):
    away = np.ones(60, bool)
    away[5:8] = away[20:40] = False
    tell_gaps(away, 30.0, "nothing of person 2")
    told = capsys.readouterr().err
    assert told.count("warning") == 1 and "nothing of person 2 is seen from 0.7 to 1.3 s" in told


def test_a_ground_that_is_not_in_view_is_told(video, capsys):
    person = VideoTruth.load(video.parent).people[0]
    grid = np.stack(np.meshgrid(np.arange(-4, 4, 0.1), np.arange(-4, 4, 0.1)), axis=-1).reshape(-1, 2)
    tell_unseen_ground(person, np.column_stack([grid, np.zeros(len(grid))]), "person 1")
    assert not capsys.readouterr().err
    for nothing_below in (np.column_stack([grid, np.full(len(grid), 2.0)]), np.zeros((0, 3))):
        tell_unseen_ground(person, nothing_below, "person 1")
        assert "the ground under person 1 is not in view" in capsys.readouterr().err


def test_what_cannot_be_asked_for(video, tmp_path):
    with pytest.raises(VmError, match="--solver joint needs a front-end"):
        config(video, tmp_path, frontend="")
    with pytest.raises(VmError, match="no front-end 'magic'"):
        pipeline.run(config(video, tmp_path / "a", frontend="magic"))
    with pytest.raises(VmError, match="1 people in the video and 2 heights"):
        pipeline.run(config(video, tmp_path / "b", other_heights_m=(1.7,)))
    with pytest.raises(VmError, match="no stage 'landmarks'; the stages are: frames, observe"):
        config(video, tmp_path, until="landmarks")
