"""Optical motion capture of people who climb boxes (holosoma's `demo_data/climb`, Apache-2.0).

A sequence is a folder with `joint_positions.npy` (T, 53, 3) [m, z up, 120 Hz] and `multi_boxes.obj`, the boxes' mesh
in the same frame. The joints are points of a skeleton, so what lies on the sole is placed by the body's proportions.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_reconstruction.body_model import FOOT, HEEL_BACK, HIP, segment_quats
from vm_reconstruction.human_motion import JOINT_NAMES, HumanMotion
from vm_reconstruction.stages.contacts import foot_contacts, seat_contact
from vm_reconstruction.stages.stillness import MIN_STANCE_S, steady

FPS = 120.0
SEQUENCE_FILES = ("joint_positions.npy", "multi_boxes.obj")
_FINGERS = tuple(f"{finger}{i}" for finger in ("Thumb", "Index", "Middle", "Ring", "Pinky") for i in (1, 2, 3))
SKELETON_NAMES: tuple[str, ...] = (
    *("Hips", "Spine", "Spine1", "Neck", "Head"),
    *(f"Left{part}" for part in ("Shoulder", "Arm", "ForeArm", "Hand", *(f"Hand{f}" for f in _FINGERS))),
    *(f"Right{part}" for part in ("Shoulder", "Arm", "ForeArm", "Hand", *(f"Hand{f}" for f in _FINGERS))),
    *(f"{side}{part}" for side in ("Left", "Right") for part in ("UpLeg", "Leg", "Foot", "ToeBase")),
    *("LeftFootMod", "RightFootMod"),
)
NUM_JOINTS = len(SKELETON_NAMES)
# Of the skeleton's 53 joints, those that a HumanMotion has; fingers, collar bones and the copies of the feet are left.
JOINT_COLUMNS = {
    "pelvis": 0, "spine": 1, "chest": 2, "neck": 3, "head": 4,
    "left_shoulder": 6, "left_elbow": 7, "left_wrist": 8, "right_shoulder": 25, "right_elbow": 26, "right_wrist": 27,
    "left_hip": 43, "left_knee": 44, "left_ankle": 45, "right_hip": 47, "right_knee": 48, "right_ankle": 49,
}  # fmt: skip
TOE_BASES = {"left": 46, "right": 50}
ANKLE_HEIGHT_M, TOE_BASE_HEIGHT_M = 0.09, 0.03  # above the sole: medians of the sequences' flat stances
MAX_CONTACT_HEIGHT_M = 0.06  # of heel or toe over the surface; a foot that hangs still is not planted
_BOX_TOLERANCE_M = 0.002


def load_sequence(folder: Path | str) -> tuple[HumanMotion, SceneAsset]:
    """Reads one sequence.

    Raises:
        VmError: no such folder or file, positions of another shape, a mesh that is not made of upright boxes.
    """
    folder = Path(folder)
    missing = [name for name in SEQUENCE_FILES if not (folder / name).is_file()]
    if missing:
        raise VmError(f"{folder} lacks {' and '.join(missing)}; a climbing sequence has {' and '.join(SEQUENCE_FILES)}")
    scene = read_boxes(folder / SEQUENCE_FILES[1])
    return read_motion(folder / SEQUENCE_FILES[0], scene), scene


def read_motion(path: Path, scene: SceneAsset) -> HumanMotion:
    """The person's joints, soles and contacts; contacts need a surface of the scene under a still heel or toe."""
    try:
        skeleton = np.load(path, allow_pickle=False).astype(np.float64)
    except Exception as error:  # numpy raises whatever its header's parser meets
        raise VmError(f"{path} is no array of joint positions ({type(error).__name__})") from None
    if skeleton.ndim != 3 or skeleton.shape[1:] != (NUM_JOINTS, 3) or not len(skeleton):
        raise VmError(f"{path} has shape {skeleton.shape}; expected (T, {NUM_JOINTS}, 3)")
    joints = np.zeros((len(skeleton), len(JOINT_NAMES), 3))
    for name, column in JOINT_COLUMNS.items():
        joints[:, JOINT_NAMES.index(name)] = skeleton[:, column]
    height_m = _leg(skeleton) / HIP
    for side, column in TOE_BASES.items():
        knee, ankle = (joints[:, JOINT_NAMES.index(f"{side}_{part}")] for part in ("knee", "ankle"))
        heel, toe = sole_points(knee, ankle, skeleton[:, column], FOOT * height_m)
        joints[:, JOINT_NAMES.index(f"{side}_heel")], joints[:, JOINT_NAMES.index(f"{side}_toe")] = heel, toe
    contact = np.column_stack([*_feet_on_surfaces(joints, scene), seat_contact(joints, FPS)])
    source = {"source": f"motion capture, {path.parent.name}"}
    seen = np.ones(len(joints))
    return HumanMotion(FPS, height_m, joints, segment_quats(joints), contact, seen, details=source)


def _leg(skeleton: np.ndarray) -> float:
    """Hip centre to sole of the standing person [m]."""
    bones = np.linalg.norm(np.diff(skeleton[:, [43, 44, 45]], axis=1), axis=-1)
    return float(np.median(bones.sum(axis=1))) + ANKLE_HEIGHT_M


def sole_points(
    knee: np.ndarray, ankle: np.ndarray, toe_base: np.ndarray, foot_m: float
) -> tuple[np.ndarray, np.ndarray]:
    """Heel and toe (T, 3) [m] on the sole, which lies under ankle and toe base in the plane of shank and foot."""
    along = toe_base - ankle
    length = np.linalg.norm(along, axis=-1, keepdims=True)
    along = along / length
    up = (knee - ankle) - along * np.sum((knee - ankle) * along, axis=-1, keepdims=True)
    up /= np.maximum(np.linalg.norm(up, axis=-1, keepdims=True), 1e-6)
    # the line ankle-toe base falls toward the toe by the difference of their heights over the sole
    fall = np.arcsin(np.clip((ANKLE_HEIGHT_M - TOE_BASE_HEIGHT_M) / length, 0.0, 0.9))
    forward = np.cos(fall) * along + np.sin(fall) * up
    normal = np.cos(fall) * up - np.sin(fall) * along
    under_ankle = ankle - ANKLE_HEIGHT_M * normal
    return under_ankle - HEEL_BACK * foot_m * forward, under_ankle + (1.0 - HEEL_BACK) * foot_m * forward


def _feet_on_surfaces(joints: np.ndarray, scene: SceneAsset) -> list[np.ndarray]:
    """(T,) 0/1 for the left and the right foot: still, and heel or toe at a surface of the scene."""
    result = []
    for side, still in zip(("left", "right"), foot_contacts(joints, FPS), strict=True):
        points = [joints[:, JOINT_NAMES.index(f"{side}_{part}")] for part in ("heel", "toe")]
        gaps = [np.abs(point[:, 2] - scene.height_at(point[:, :2])) for point in points]
        near = np.minimum(*gaps) < MAX_CONTACT_HEIGHT_M
        result.append(steady((still > 0.5) & near, MIN_STANCE_S * FPS).astype(float))
    return result


def read_boxes(path: Path) -> SceneAsset:
    """The boxes of a mesh whose connected parts are upright boxes; the ground is z = 0."""
    try:
        mesh = trimesh.load(path, force="mesh", process=False)
        assert isinstance(mesh, trimesh.Trimesh)
        parts = mesh.split(only_watertight=False)
        boxes = tuple(_box(np.unique(part.vertices.round(6), axis=0), path) for part in parts)
    except VmError:
        raise
    except Exception as error:  # trimesh raises whatever its parser meets
        raise VmError(f"{path} is no readable mesh of boxes ({type(error).__name__})") from None
    if not boxes:
        raise VmError(f"{path} holds no boxes")
    return SceneAsset(boxes=boxes, source=f"boxes of {path.parent.name}")


def _box(corners: np.ndarray, path: Path) -> SceneBox:
    """A box (8 corners) turned about z, from the edges at one corner of its bottom."""
    low, high = corners[:, 2].min(), corners[:, 2].max()
    bottom = corners[corners[:, 2] < 0.5 * (low + high), :2]
    if len(corners) != 8 or len(bottom) != 4:
        raise VmError(f"{path}: a part with {len(corners)} corners; expected upright boxes of 8")
    reach = bottom[1:] - bottom[0]
    first, second = reach[np.argsort(np.linalg.norm(reach, axis=-1))[:2]]
    lengths = np.linalg.norm([first, second], axis=-1)
    if abs(first @ second) > _BOX_TOLERANCE_M * lengths.max():
        raise VmError(f"{path}: a part is no upright box")
    center = (*bottom.mean(axis=0), 0.5 * (low + high))
    return SceneBox(
        center_world=tuple(map(float, center)),  # type: ignore[arg-type]
        half_size=(float(lengths[0] / 2), float(lengths[1] / 2), float((high - low) / 2)),
        yaw=float(np.arctan2(first[1], first[0])),
    )
