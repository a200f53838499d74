"""Many videos: bad ones fail alone, dying workers are replaced, a killed batch goes on, flags point at what is odd."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_vm_reconstruction_report import run_folder  # noqa: F401  (a fixture)

from vm_core.errors import VmError
from vm_reconstruction.batch import run as batch_run
from vm_reconstruction.batch.plan import Job, find_jobs
from vm_reconstruction.batch.summary import summarize
from vm_reconstruction.batch.worker import Outcome, Settings

ray = pytest.importorskip("ray", reason="ray is not installed (pip install ray==2.60.0)")


def write_video(path: Path, frames: int = 12) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (64, 48))
    for _ in range(frames):
        writer.write(np.full((48, 64, 3), 90, np.uint8))
    writer.release()


def batch(folder: Path, out: Path, *more: str) -> subprocess.CompletedProcess:
    command = [str(Path(sys.executable).parent / "vm-reconstruct"), "batch", str(folder), "--out", str(out)]
    command += ["--height", "1.75", "--until", "frames", "--workers", "2", *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)


def test_a_bad_video_fails_alone_and_a_second_run_redoes_nothing(tmp_path):
    folder, out = tmp_path / "videos", tmp_path / "out"
    write_video(folder / "a.mp4")
    write_video(folder / "deep" / "b.mp4", 20)
    (folder / "bad.mov").write_text("no video")
    done = batch(folder, out)
    assert done.returncode == 1, done.stderr
    rows = {row["name"]: row for row in json.loads((out / "summary.json").read_text())}
    assert {name: row["state"] for name, row in rows.items()} == {"a": "done", "bad": "failed", "deep__b": "done"}
    assert "is not a video that can be read" in rows["bad"]["error"] and "bad" in done.stdout
    assert "is not a video" in (out / "bad" / "log.txt").read_text()
    assert len(list(csv.DictReader((out / "summary.csv").open()))) == 3
    first = (out / "deep__b" / "stages" / "frames.json").stat().st_mtime_ns
    again = batch(folder, out)
    assert again.returncode == 1 and (out / "deep__b" / "stages" / "frames.json").stat().st_mtime_ns == first
    assert (out / "deep__b" / "log.txt").read_text().count("---") == 2


class Fragile:
    """A worker that is killed on its first try of one video, and always on another's."""

    def __init__(self, settings):
        self.out = settings.out

    def run(self, job):
        tried = self.out / job.name
        if job.name == "always" or (job.name == "once" and not tried.exists()):
            tried.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return Outcome(job.name, 0.1)


def test_workers_that_die_are_replaced_and_their_videos_tried_again(tmp_path, monkeypatch):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(batch_run, "Worker", Fragile)
    jobs = [Job(name, Path(name), (1.75,)) for name in ("fine", "once", "always", "last")]
    settings = Settings(tmp_path, "robot", "single", "", "frames")
    outcomes = {o.name: o.error for o in batch_run.run_jobs(jobs, settings, 2, 1, None)}
    assert set(outcomes) == {"fine", "once", "always", "last"}
    assert not outcomes["fine"] and not outcomes["once"] and not outcomes["last"]
    assert outcomes["always"].startswith("the worker died")


def test_heights_by_video(tmp_path):
    write_video(tmp_path / "a.mp4")
    write_video(tmp_path / "b.mp4")
    with pytest.raises(VmError, match="no height for a.mp4"):
        find_jobs(tmp_path, None)
    (tmp_path / "heights.json").write_text('{"a.mp4": 1.6, "b.mp4": [1.7, 1.9]}')
    assert [job.heights_m for job in find_jobs(tmp_path, None)] == [(1.6,), (1.7, 1.9)]
    (tmp_path / "heights.json").write_text('{"c.mp4": 1.6}')
    with pytest.raises(VmError, match="names 'c.mp4', which is no video"):
        find_jobs(tmp_path, 1.75)
    with pytest.raises(VmError, match="holds no videos"):
        find_jobs(Path(__file__).parent, 1.75)


def test_flags_point_at_what_is_odd(run_folder):  # noqa: F811
    row = summarize(Outcome(run_folder.name, 3.0), run_folder.parent)
    assert row.state == "done" and row.frames is not None and row.boxes == 3
    assert "short" in row.flags and "skates" not in row.flags
    (run_folder / "stages" / "retarget.json").write_text('{"stance_skate_mean_m_s": 0.2, "penetration_max_m": 0.0}')
    assert "skates" in summarize(Outcome(run_folder.name, 3.0), run_folder.parent).flags
    assert summarize(Outcome("x", 1.0, "out of memory"), run_folder.parent).flags == ("failed",)
