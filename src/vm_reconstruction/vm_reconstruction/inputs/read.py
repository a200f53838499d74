"""One door for motions of any kind: what is at a path, and how it becomes a HumanMotion with its scene."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_reconstruction.datasets.climb_mocap import SEQUENCE_FILES, load_sequence, read_boxes
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.inputs.bvh import read_bvh
from vm_reconstruction.inputs.named_joints import flat_scene, motion_of_points, on_ground
from vm_reconstruction.inputs.smpl import read_amass, read_gvhmr
from vm_reconstruction.inputs.tram import read_tram
from vm_reconstruction.inputs.videomimic import KEYPOINTS_FILE, read_videomimic
from vm_reconstruction.stages.scene import scene_of

KINDS = (
    "a result folder of vm-reconstruct, a human.npz, a folder with joint_positions.npy and multi_boxes.obj, a .bvh, "
    "joints (.npz with joint_pos, joint_names, fps), SMPL or SMPL-X parameters (.npz, needs --body-model), "
    "GVHMR's .pt, TRAM's hps_track_0.npy (need --body-model), VideoMimic's result folder or its "
    f"{KEYPOINTS_FILE}"
)


def read_motion(
    path: Path,
    scene: Path | None = None,
    height_m: float | None = None,
    body_model: Path | None = None,
    person: str | None = None,
) -> tuple[HumanMotion, SceneAsset]:
    """The motion at a path and its scene: the given one, that of its folder or of its contacts, else level ground.

    `person` names one of several in a file of VideoMimic.

    Raises:
        VmError: nothing there, nothing of a known kind, or a damaged file.
    """
    if not path.exists():
        raise VmError(f"no motion at {path}; expected {KINDS}")
    motion, own_scene = _read(path, height_m, body_model, person)
    if scene is not None:
        return motion, read_boxes(scene) if scene.suffix == ".obj" else SceneAsset.load(scene)
    if own_scene is not None:
        return motion, own_scene
    return on_ground(motion), flat_scene(path.name)


def _read(
    path: Path, height_m: float | None, model: Path | None, person: str | None
) -> tuple[HumanMotion, SceneAsset | None]:
    if path.suffix == ".h5" or (path / KEYPOINTS_FILE).is_file():
        motion = on_ground(motion_of_points(*read_videomimic(path, person), height_m, path.name))
        return motion, scene_of(motion)
    if path.is_dir():
        if (path / "human.npz").is_file():
            scene = path / "stages" / "scene"
            return HumanMotion.load(path / "human.npz"), SceneAsset.load(scene) if scene.is_dir() else None
        if any((path / name).is_file() for name in SEQUENCE_FILES):
            return load_sequence(path)
        raise VmError(f"{path} holds no motion; expected {KINDS}")
    if path.suffix == ".bvh":
        return motion_of_points(*read_bvh(path), height_m, path.name), None
    if path.suffix == ".pt":
        return motion_of_points(*read_gvhmr(path, _model(path, model)), height_m, path.name), None
    if path.suffix == ".npy":
        motion = on_ground(motion_of_points(*read_tram(path, _model(path, model)), height_m, path.name))
        return motion, scene_of(motion)
    if path.suffix == ".npz":
        return _read_npz(path, height_m, model), None
    raise VmError(f"{path}: no known kind of motion; expected {KINDS}")


def _read_npz(path: Path, height_m: float | None, model: Path | None) -> HumanMotion:
    try:
        with np.load(path, allow_pickle=False) as data:
            names = set(data.files)
            if "joint_names" in names and "joint_pos" in names and "fps" in names:
                joints, fps = np.asarray(data["joint_pos"], np.float64), float(data["fps"])
                return motion_of_points(joints, [str(n) for n in data["joint_names"]], fps, height_m, path.name)
            ours = "header" in names and "human" in json.loads(str(data["header"][()])).get("format", "")
    except VmError:
        raise
    except Exception as error:  # zip and numpy each raise their own kinds
        raise VmError(f"{path} is no .npz of a motion ({type(error).__name__})") from None
    if ours:
        return HumanMotion.load(path)
    if "poses" in names:
        return motion_of_points(*read_amass(path, _model(path, model)), height_m, path.name)
    raise VmError(f"{path} holds {', '.join(sorted(names)[:8])}; expected {KINDS}")


def _model(path: Path, model: Path | None) -> Path:
    if model is None:
        raise VmError(f"{path} has body parameters without the body; give your model file with --body-model")
    return model
