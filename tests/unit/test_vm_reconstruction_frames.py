"""Videos as people bring them: cut, of one frame, very large; every case is named."""

import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vm_core.errors import VmError
from vm_reconstruction.stages import frames, shots, timing
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


def write_timed(path: Path, pictures: list[np.ndarray], times_ms: np.ndarray) -> Path:
    """An mp4 whose frames have these times."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=1000)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for picture, time_ms in zip(pictures, times_ms, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts = int(time_ms)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def bar(x: float) -> np.ndarray:
    """A white bar at column x."""
    image = np.zeros((120, 320, 3), np.uint8)
    image[:, round(x) : round(x) + 16] = 255
    return image


def test_uneven_frame_times_become_even(tmp_path, capsys):
    rng = np.random.default_rng(0)
    times_ms = np.cumsum(rng.choice([33, 33, 33, 50, 66], 90)).astype(float)
    video = write_timed(tmp_path / "a.mp4", [bar(0.06 * t) for t in times_ms - times_ms[0]], times_ms)
    source = frames.run(video, tmp_path, None)
    assert "uneven times, every 33 to 66 ms" in capsys.readouterr().err
    source = FrameSource.load(tmp_path / "stages" / "frames.json")
    used = list(read_frames(source))
    assert len(used) == source.num_frames == len(source.picks)
    assert source.num_frames / source.fps == pytest.approx(1e-3 * (times_ms[-1] - times_ms[0]), rel=0.02)
    where = np.array([np.flatnonzero(f[60, :, 0] > 128).mean() for f in used])
    wanted = where[0] + 60.0 * np.arange(len(used)) / source.fps  # 60 px a second, whatever the frames' times
    assert np.abs(where - wanted).max() < 0.06 * 33 + 1.5


def test_even_times_are_left_alone(tmp_path, capsys):
    times_ms = 33.0 * np.arange(150)
    times_ms[20] += 15.0  # one slip
    source = frames.run(write_timed(tmp_path / "a.mp4", [bar(t / 20) for t in times_ms], times_ms), tmp_path, None)
    assert source.picks == () and "uneven" not in capsys.readouterr().err


@given(st.lists(st.integers(5, 400), min_size=12, max_size=80), st.floats(5.0, 60.0))
def test_each_moment_gets_the_nearest_frame(intervals, fps):
    times_ms = np.cumsum(intervals).astype(float)
    picks = timing.even_picks(times_ms, fps)
    moments = times_ms[0] + np.arange(len(picks)) * 1000.0 / fps
    nearest = np.abs(times_ms[:, None] - moments).min(axis=0)
    np.testing.assert_allclose(np.abs(times_ms[picks] - moments), nearest)
    assert moments[-1] <= times_ms[-1] + 1e-6 < moments[-1] + 1000.0 / fps + 1e-3


def test_a_rotation_tag_is_obeyed(tmp_path):
    flat = write_timed(tmp_path / "flat.mp4", [bar(20.0)] * 12, 33.0 * np.arange(12))
    tagged = tmp_path / "tagged.mp4"
    data = flat.read_bytes()
    place = data.index(b"tkhd") + 4 + 40  # version 0: the matrix follows 40 bytes
    quarter = np.array([0, 0x10000, 0, -0x10000, 0, 0, 120 << 16, 0, 0x40000000], ">i4").tobytes()
    tagged.write_bytes(data[:place] + quarter + data[place + 36 :])
    source = frames.run(tagged, tmp_path, None)
    assert (source.width, source.height) == (120, 320)
    picture = next(iter(read_frames(source)))
    rows = np.flatnonzero(picture[:, 60, 0] > 128)
    assert (rows.min(), rows.max()) == pytest.approx((20, 35), abs=2)


def test_twenty_thousand_frames_need_little_memory(tmp_path):
    pictures = [cv2.resize(bar(x), (64, 48)) for x in range(100)]
    video = write(tmp_path / "a.avi", [pictures[99 - abs(t // 10 % 198 - 99)] for t in range(20_000)], (64, 48))
    command = (
        "import resource, sys; from pathlib import Path; from vm_reconstruction.stages import frames;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        f"source = frames.run(Path({str(video)!r}), Path({str(tmp_path)!r}), None);"
        "count = sum(1 for _ in frames.read_frames(source));"
        "print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    count, grown_kib = (int(word) for word in done.stdout.split())
    assert count == 20_000
    assert grown_kib < 200 * 1024  # 64x48 alone would be 184 MB as pictures, 20,000 of 960x540 31 GB
