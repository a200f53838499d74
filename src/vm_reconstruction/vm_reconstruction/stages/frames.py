"""Stage 1: what the video is. Frames are never copied to disk; every later stage reads them through `read_frames`."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_reconstruction.progress import warn
from vm_reconstruction.stages import shots, timing

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
MAX_SIDE_PX = 960  # the working image; MediaPipe looks at 256 px, background features gain nothing beyond this
MAX_FPS = 30.5
FOLDER_FPS = 30.0
# Main cameras of phones: 24-28 mm equivalent (66-74 deg on the long side), less 5-15 % that stabilisation crops.
ASSUMED_FOV_DEG = 62.0


@dataclass(frozen=True)
class FrameSource:
    """The video as all stages see it.

    Attributes:
        path: video file or folder of images (absolute).
        fps: frames a second after `stride`.
        num_frames: number of frames that are used.
        stride: every stride-th frame of the file is used.
        width, height: working image [px]; landmarks, masks and focal length are in these pixels.
        source_width, source_height: the file's own size [px].
        focal_px: focal length [px of the working image], the same in x and y, principal point in the middle.
        focal_source: where the focal length comes from, in words.
        first: frames of the file before the shot that is used.
        picks: for a file of uneven frame times, which of its frames is used at each moment; empty: every `stride`-th.
    """

    path: str
    fps: float
    num_frames: int
    stride: int
    width: int
    height: int
    source_width: int
    source_height: int
    focal_px: float
    focal_source: str
    first: int = 0
    picks: tuple[int, ...] = ()

    @classmethod
    def load(cls, path: Path) -> FrameSource:
        """Reads stages/frames.json."""
        fields = json.loads(path.read_text())
        return cls(**fields | {"picks": tuple(fields.get("picks", ()))})

    def save(self, path: Path) -> None:
        """Writes stages/frames.json."""
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1))


def run(
    video: Path, out: Path, fov_deg: float | None, fps: float | None = None, shot: int | None = None
) -> FrameSource:
    """Looks at the video and writes stages/frames.json.

    Args:
        video: a video file or a folder of images, in the order of their names.
        out: the result's folder.
        fov_deg: angle of view along the longer image side [deg]; None: from metadata, else assumed.
        fps: overrides the file's own rate.
        shot: which shot of a cut video, from 1; None: the longest.
    """
    probe = _probe(video)
    width, height = probe.width, probe.height
    first, end = _choose(probe.shots, shot, probe.fps)
    picks = () if fps else _even(probe.times_ms, first, end)
    rate = fps or (_even_fps(probe.times_ms[first:end]) if picks else probe.fps)
    stride = 1 if picks else max(1, round(rate / MAX_FPS + 0.2))
    count = len(picks) or end - first
    scale = min(1.0, MAX_SIDE_PX / max(width, height))
    work_width, work_height = round(width * scale), round(height * scale)
    focal, focal_source = _focal(video, max(work_width, work_height), fov_deg)
    source = FrameSource(
        path=str(video.resolve()),
        fps=rate / stride,
        num_frames=-(-count // stride),
        stride=stride,
        width=work_width,
        height=work_height,
        source_width=width,
        source_height=height,
        focal_px=focal,
        focal_source=focal_source,
        first=first,
        picks=picks,
    )
    source.save(out / "stages" / "frames.json")
    return source


def read_frames(source: FrameSource) -> Iterator[np.ndarray]:
    """Yields the used frames, (height, width, 3) uint8 BGR at the working size."""
    raw = _folder_frames(Path(source.path)) if Path(source.path).is_dir() else _video_frames(Path(source.path))
    times_used = Counter(
        source.picks or range(source.first, source.first + source.num_frames * source.stride, source.stride)
    )
    for index, frame in enumerate(itertools.islice(raw, max(times_used) + 1)):
        if times_used[index]:
            small = cv2.resize(frame, (source.width, source.height), interpolation=cv2.INTER_AREA)
            for _ in range(times_used[index]):
                yield small.copy()


@dataclass(frozen=True)
class _Probe:
    """What a first look at the file tells: rate, shots [first, end), size [px], times of the frames [ms]."""

    fps: float
    shots: list[tuple[int, int]]
    width: int
    height: int
    times_ms: np.ndarray


def _even(times_ms: np.ndarray, first: int, end: int) -> tuple[int, ...]:
    """Frames of the file at even times, if its own are not; says so."""
    times_ms = times_ms[first:end]
    if not timing.is_uneven(times_ms):
        return ()
    fps = _even_fps(times_ms)
    shortest, longest = np.diff(times_ms).min(), np.diff(times_ms).max()
    warn(
        f"the frames come at uneven times, every {shortest:.0f} to {longest:.0f} ms; "
        f"they are taken at {fps:.4g} a second"
    )
    return tuple(int(first + index) for index in timing.even_picks(times_ms, fps))


def _even_fps(times_ms: np.ndarray) -> float:
    return min(1000.0 / float(np.median(np.diff(times_ms))), FOLDER_FPS)


def _choose(found: list[tuple[int, int]], shot: int | None, fps: float) -> tuple[int, int]:
    """The shot's [first, end) in frames of the file; says so when there are several."""
    if shot is not None:
        if not 1 <= shot <= len(found):
            raise VmError(f"--shot {shot}: the video has {len(found)} shot(s)")
        return found[shot - 1]
    best = int(np.argmax([end - first for first, end in found]))
    if len(found) > 1:
        times = ", ".join(f"{first / fps:.1f}-{end / fps:.1f} s" for first, end in found)
        warn(f"the video is cut into {len(found)} shots ({times}); shot {best + 1} is used, --shot N takes another")
    return found[best]


def _probe(video: Path) -> _Probe:
    if not video.exists():
        raise VmError(f"no video at {video}; expected a video file or a folder of images")
    if video.is_dir():
        images = _image_paths(video)
        if not images:
            raise VmError(f"{video} has no images; expected files ending in {', '.join(IMAGE_SUFFIXES)}")
        height, width = _read_image(images[0]).shape[:2]
        return _Probe(FOLDER_FPS, [(0, len(images))], width, height, np.zeros(len(images)))
    capture = cv2.VideoCapture(str(video))
    rate = capture.get(cv2.CAP_PROP_FPS) if capture.isOpened() else 0.0
    if not capture.isOpened():
        raise VmError(f"{video} is not a video that can be read; expected mp4, mov, mkv, avi or a folder of images")
    announced = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    capture.release()
    small, shape, times_ms = [], (0, 0), []
    for frame in _video_frames(video, times_ms):  # the container's own count is wrong for cut or variable-rate files
        shape = frame.shape[:2]
        small.append(shots.thumbnail(frame))
    count = len(small)
    if count == 0:
        raise VmError(f"{video} has zero frames that can be decoded; expected at least one")
    if count < 0.9 * announced:
        warn(f"{video} announces {announced:.0f} frames, {count} can be decoded; it may be cut off or damaged")
    if not 1.0 <= rate <= 1000.0:
        raise VmError(f"{video} says {rate} frames a second; expected 1 to 1000 (give --fps)")
    return _Probe(rate, shots.find_shots(small), shape[1], shape[0], np.array(times_ms))


def _video_frames(path: Path, times_ms: list[float] | None = None) -> Iterator[np.ndarray]:
    """The file's frames; their times are added to the list."""
    capture = cv2.VideoCapture(str(path))  # turns frames upright by the file's rotation tag
    try:
        while True:
            try:
                good, frame = capture.read()
            except cv2.error as error:
                raise VmError(f"{path} cannot be decoded ({error.err}); it may be damaged") from None
            if not good:
                return
            if times_ms is not None:
                times_ms.append(capture.get(cv2.CAP_PROP_POS_MSEC))
            yield frame
    finally:
        capture.release()


def _folder_frames(folder: Path) -> Iterator[np.ndarray]:
    shape = None
    for path in _image_paths(folder):
        frame = _read_image(path)
        shape = shape or frame.shape
        if frame.shape != shape:
            raise VmError(f"{path} is {frame.shape[1]}x{frame.shape[0]}; expected {shape[1]}x{shape[0]} as the first")
        yield frame


def _image_paths(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))


def _read_image(path: Path) -> np.ndarray:
    try:
        image = cv2.imread(str(path))
    except cv2.error:  # a damaged header may announce more pixels than can be
        image = None
    if image is None:
        raise VmError(f"{path} is not an image that can be read; expected {', '.join(IMAGE_SUFFIXES)}")
    return image


def _focal(video: Path, long_side_px: int, fov_deg: float | None) -> tuple[float, str]:
    if fov_deg is not None:
        if not 10.0 <= fov_deg <= 150.0:
            raise VmError(f"--fov {fov_deg}: expected the angle along the longer image side, 10 to 150 degrees")
        return _focal_of_fov(long_side_px, fov_deg), f"given field of view {fov_deg:g} deg"
    equivalent = _focal_35mm(video)
    if equivalent is not None:
        return long_side_px * equivalent / 36.0, f"metadata: {equivalent:g} mm (35 mm equivalent)"
    return _focal_of_fov(long_side_px, ASSUMED_FOV_DEG), f"assumed field of view {ASSUMED_FOV_DEG:g} deg (no metadata)"


def _focal_of_fov(long_side_px: int, fov_deg: float) -> float:
    return float(0.5 * long_side_px / np.tan(np.radians(fov_deg) / 2.0))


def _focal_35mm(video: Path) -> float | None:
    """The 35 mm equivalent focal length [mm] from EXIF or the container's tags, where a camera wrote it."""
    try:
        values = _exif_focal(_image_paths(video)[0]) if video.is_dir() else _container_focal(video)
    except Exception:  # foreign metadata may be broken in any way; it is then as good as absent
        return None
    return next((value for value in values if 8.0 <= value <= 400.0), None)


def _exif_focal(image: Path) -> list[float]:
    from PIL import Image

    focal_35mm_tag, exif_folder_tag = 41989, 34665
    with Image.open(image) as opened:
        value = opened.getexif().get_ifd(exif_folder_tag).get(focal_35mm_tag)
    return [] if value is None else [float(value)]


def _container_focal(video: Path) -> list[float]:
    import av

    with av.open(str(video)) as container:
        tags = dict(container.metadata)
        for stream in container.streams:
            tags |= stream.metadata
    return [float(v) for k, v in tags.items() if "focal" in k.lower() and "35" in k]
