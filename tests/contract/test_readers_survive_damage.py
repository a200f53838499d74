"""A fuzz of every file reader: whatever is cut, flipped or replaced, the file is read or refused in one line.

The ONNX file, the policy contract, deploy.yaml and the LiDAR message are fuzzed beside their other unit tests.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vm_core import g1, unitree_cdr
from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_reconstruction.body_model import rest_positions, segment_quats
from vm_reconstruction.datasets.climb_mocap import read_boxes, read_motion
from vm_reconstruction.evaluate import load_truth
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.stages import frames
from vm_sim.lidar import load_pattern
from vm_sim.robot_log import NUM_QPOS, RobotLog

Writer, Reader = Callable[[Path], None], Callable[[Path], object]
SCENE = SceneAsset(boxes=(SceneBox((1.0, 0.0, 0.1), (0.5, 0.4, 0.1), 0.3, "step"),), details={"a": 1})
EXAMPLES = settings(max_examples=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(10**400) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
arrays = st.sampled_from(
    [np.array("text"), np.zeros(0), np.full((2, 3), np.nan), np.zeros((3, 29), int), np.ones((1, 4, 3), complex)]
)


def write_clip(path: Path) -> None:
    upright = np.tile([1.0, 0.0, 0.0, 0.0], (3, 1))
    MotionClip(50.0, g1.MOTOR_NAMES, np.zeros((3, 29)), np.zeros((3, 3)), upright).save(path)


def write_log(path: Path) -> None:
    RobotLog(np.arange(3.0), np.zeros((3, NUM_QPOS))).save(path)


def write_motion(path: Path) -> None:
    rest = np.tile(rest_positions(1.75), (3, 1, 1))
    HumanMotion(30.0, 1.75, rest, segment_quats(rest), np.zeros((3, 3)), np.ones(3)).save(path)


def write_truth(path: Path) -> None:
    write_motion(path)
    with np.load(path) as content:
        np.savez(path, boxes=np.array(json.dumps([vars(SCENE.boxes[0])])), **content)


def write_pattern(path: Path) -> None:
    np.savez(path, azimuth_deg=np.zeros(9), elevation_deg=np.zeros(9))


def write_skeleton(path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, np.random.default_rng(0).normal(size=(4, 53, 3)))


def write_boxes(path: Path) -> None:
    vertices, faces = SceneAsset(boxes=SCENE.boxes).mesh()
    lines = [f"v {x} {y} {z}" for x, y, z in vertices[4:]]
    path.write_text("\n".join([*lines, *(f"f {a - 3} {b - 3} {c - 3}" for a, b, c in faces[2:])]))


def write_video(path: Path) -> None:
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (96, 64))
    for value in range(8):
        video.write(np.full((64, 96, 3), 20 * value, np.uint8))
    video.release()


def write_image(path: Path) -> None:
    cv2.imwrite(str(path), np.full((64, 96, 3), 99, np.uint8))


def read_video(path: Path) -> None:
    with tempfile.TemporaryDirectory() as out:
        for _ in frames.read_frames(frames.run(path, Path(out), None)):
            pass


def read_scene(path: Path) -> SceneAsset:
    """The scene folder of which `path` is one file; the other file is sound."""
    content = path.read_bytes()
    SCENE.save(path.parent)
    path.write_bytes(content)
    return SceneAsset.load(path.parent)


def write_scene_file(path: Path) -> None:
    SCENE.save(path.parent)


NPZ: dict[str, tuple[Writer, Reader]] = {
    "clip.npz": (write_clip, MotionClip.load),
    "robot_log.npz": (write_log, RobotLog.load),
    "human.npz": (write_motion, HumanMotion.load),
    "truth.npz": (write_truth, load_truth),
    "pattern.npz": (write_pattern, load_pattern),
    "terrain.npz": (write_scene_file, read_scene),
}
FILES: dict[str, tuple[Writer, Reader]] = {
    **NPZ,
    "scene.json": (write_scene_file, read_scene),
    "joint_positions.npy": (write_skeleton, lambda path: read_motion(path, SCENE)),
    "boxes.obj": (write_boxes, read_boxes),
    "video.mp4": (write_video, read_video),
    "picture.png": (write_image, lambda path: read_video(path.parent)),
    "picture.jpg": (write_image, lambda path: read_video(path.parent)),
}


def refused_or_read(read: Reader, path: Path) -> None:
    try:
        read(path)
    except VmError as error:
        assert str(error) and "\n" not in str(error)


class Sound(dict[str, bytes]):
    """The bytes of a sound file of each kind."""

    def __repr__(self) -> str:  # else each failure shows all of them
        return f"Sound({', '.join(self)})"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """Each reader reads its own."""
    found = Sound()
    for name, (write, read) in FILES.items():
        path = tmp_path_factory.mktemp("whole") / "folder" / name
        path.parent.mkdir()
        write(path)
        found[name] = path.read_bytes()
        read(path)
    return found


def reads(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "folder" / name
        path.parent.mkdir()
        path.write_bytes(content)
        refused_or_read(FILES[name][1], path)


@pytest.mark.parametrize("name", FILES)
@EXAMPLES
@given(at=st.floats(0.0, 1.0), value=st.binary(min_size=1, max_size=4), junk=st.binary(max_size=200))
def test_cut_flipped_and_foreign_files(name: str, whole: Sound, at: float, value: bytes, junk: bytes) -> None:
    content = whole[name]
    place = int(at * (len(content) - 1))
    reads(name, content[:place])
    reads(name, content[:place] + value + content[place + len(value) :])
    reads(name, junk)


@pytest.mark.parametrize("name", NPZ)
@EXAMPLES
@given(pick=st.integers(0, 99), array=arrays, values=json_values)
def test_foreign_arrays_and_headers(name: str, whole: Sound, pick: int, array: np.ndarray, values: object) -> None:
    with np.load(io.BytesIO(whole[name])) as content:
        sound = dict(content)
    for changed in ({sorted(sound)[pick % len(sound)]: array}, _with_header(sound, pick, values)):
        stream = io.BytesIO()
        np.savez(stream, **{**sound, **changed})
        reads(name, stream.getvalue())


def _with_header(sound: dict[str, np.ndarray], pick: int, value: object) -> dict[str, np.ndarray]:
    """One value of the JSON header replaced, in the form in which the file has it (text or bytes)."""
    if "header" not in sound:
        return {}
    kept = sound["header"]
    header = json.loads(kept.tobytes() if kept.ndim else str(kept))
    header[sorted(header)[pick % len(header)]] = value
    text = json.dumps(header)
    return {"header": np.frombuffer(text.encode(), np.uint8) if kept.ndim else np.array(text)}


@EXAMPLES
@given(pick=st.integers(0, 99), value=json_values)
def test_foreign_values_in_a_scene(whole: Sound, pick: int, value: object) -> None:
    header = json.loads(whole["scene.json"])
    box = header["boxes"][0]
    for target in (header, box):
        kept = dict(target)
        target[sorted(target)[pick % len(target)]] = value
        reads("scene.json", json.dumps(header).encode())
        target.clear()
        target.update(kept)


@pytest.mark.parametrize("name", ["scene.json", "clip.npz"])
def test_endless_nesting_is_refused(name: str, whole: Sound) -> None:
    reads(name, b"[" * 200_000)


@EXAMPLES
@given(data=st.binary(max_size=300) | st.integers(0, 3000).map(bytes), opening=st.booleans())
def test_foreign_robot_messages(data: bytes, opening: bool) -> None:
    for parse in (unitree_cdr.parse_low_state, unitree_cdr.parse_low_cmd):
        try:
            parse(unitree_cdr.CDR_LITTLE_ENDIAN + data if opening else data)
        except VmError as error:
            assert "expected" in str(error) and "\n" not in str(error)
