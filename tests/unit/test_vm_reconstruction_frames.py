"""Videos as people bring them: cut, of one frame, very large; every case is named."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from vm_core.errors import VmError
from vm_reconstruction.stages import frames, shots
from vm_reconstruction.stages.frames import FrameSource, read_frames


def scene(seed: int, shift: int = 0) -> np.ndarray:
    image = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), np.uint8)
    return np.roll(cv2.resize(image, (320, 240), interpolation=cv2.INTER_NEAREST), shift, axis=1)


def write(path: Path, pictures: list[np.ndarray], size: tuple[int, int] = (320, 240)) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, size)
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path


def test_a_cut_is_found_and_the_longest_shot_used(tmp_path, capsys):
    video = write(tmp_path / "a.avi", [*(scene(0, t) for t in range(20)), *(scene(1, t) for t in range(30))])
    source = frames.run(video, tmp_path, None)
    assert (source.first, source.num_frames) == (20, 30)
    assert "the video is cut into 2 shots (0.0-0.7 s, 0.7-1.7 s); shot 2 is used" in capsys.readouterr().err
    used = list(read_frames(FrameSource.load(tmp_path / "stages" / "frames.json")))
    assert len(used) == 30 and np.abs(used[0].astype(int) - scene(1)).mean() < 10
    source = frames.run(video, tmp_path, None, shot=1)
    assert (source.first, source.num_frames) == (0, 20) and len(list(read_frames(source))) == 20
    with pytest.raises(VmError, match=r"--shot 3: the video has 2 shot"):
        frames.run(video, tmp_path, None, shot=3)


def test_fast_pans_and_flicker_are_no_cuts():
    pan = [shots.thumbnail(scene(0, 12 * t)) for t in range(40)]
    assert shots.find_shots(pan) == [(0, 40)]
    flash = [shots.thumbnail(scene(0) if t != 20 else np.full((240, 320, 3), 255, np.uint8)) for t in range(40)]
    assert shots.find_shots(flash) == [(0, 40)]


def test_one_frame_is_a_video_too(tmp_path):
    source = frames.run(write(tmp_path / "a.avi", [scene(0)]), tmp_path, None)
    assert source.num_frames == 1 and len(list(read_frames(source))) == 1


def test_4k_is_worked_on_small(tmp_path):
    video = write(tmp_path / "a.avi", [np.full((2160, 3840, 3), 90, np.uint8)] * 3, (3840, 2160))
    source = frames.run(video, tmp_path, None)
    assert (source.width, source.height) == (960, 540) and next(iter(read_frames(source))).shape == (540, 960, 3)
