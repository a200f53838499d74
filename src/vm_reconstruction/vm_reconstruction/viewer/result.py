"""What a viewer shows of a result folder; every part may be missing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import trimesh

from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.stages.body import BodyTrack
from vm_reconstruction.stages.frames import FrameSource, read_frames

PICTURE_PX = 240  # longer side of the pictures on the video plane
MOST_POINTS = 60_000


@dataclass(frozen=True)
class Result:
    """One folder of vm-reconstruct or vm-retarget.

    Attributes:
        name: of the folder.
        people: motions; the first one's frames are the timeline.
        scene: at the people's size; robot_scene: at the robot's.
        pictures: (T, h, w, 3) uint8 RGB, or None.
        points: (N, 3) float32 [m, world], empty when there are none.
        mesh: of all that depth showed of the place, or None.
    """

    name: str
    fps: float
    frames: int
    people: tuple[HumanMotion, ...]
    scene: SceneAsset | None
    track: BodyTrack | None
    clip: MotionClip | None
    robot_scene: SceneAsset | None
    pictures: np.ndarray | None
    points: np.ndarray
    mesh: trimesh.Trimesh | None = None

    @classmethod
    def load(cls, folder: Path, pictures: bool = True) -> Result:
        """Reads what is there.

        Raises:
            VmError: no folder, or neither a person nor a robot's clip in it.
        """
        people = [folder / "human.npz", *sorted((folder / "people").glob("person_*.npz"))[1:]]
        people = tuple(HumanMotion.load(path) for path in people if path.is_file())
        clip = MotionClip.load(folder / "clip.npz") if (folder / "clip.npz").is_file() else None
        if not people and clip is None:
            raise VmError(f"{folder} has neither human.npz nor clip.npz; expected a result folder of vm-reconstruct")
        scene, robot_scene = (
            SceneAsset.load(path) if path.is_dir() else None for path in (folder / "stages" / "scene", folder / "scene")
        )
        track_file, points_file = folder / "stages" / "body.npz", folder / "stages" / "points.npz"
        lead = people[0] if people else clip
        assert lead is not None
        points = np.zeros((0, 3), np.float32)
        if points_file.is_file():
            with np.load(points_file, allow_pickle=False) as data:
                points = data["points"]
            points = points[:: max(1, len(points) // MOST_POINTS)]
        return cls(
            name=folder.resolve().name,
            fps=lead.fps,
            frames=lead.num_frames,
            people=people,
            scene=scene,
            track=BodyTrack.load(track_file) if track_file.is_file() else None,
            clip=clip,
            robot_scene=robot_scene,
            pictures=_pictures(folder) if pictures and track_file.is_file() else None,
            points=points,
            mesh=_mesh(folder / "surroundings" / "mesh.ply"),
        )


def _mesh(path: Path) -> trimesh.Trimesh | None:
    if not path.is_file():
        return None
    loaded = trimesh.load(path, force="mesh", process=False)
    return loaded if isinstance(loaded, trimesh.Trimesh) and len(loaded.faces) else None


def _pictures(folder: Path) -> np.ndarray | None:
    """Small pictures of the video, where it still lies where it was."""
    try:
        source = FrameSource.load(folder / "stages" / "frames.json")
    except (OSError, ValueError, TypeError, json.JSONDecodeError):
        return None
    if not Path(source.path).exists():
        return None
    scale = min(1.0, PICTURE_PX / max(source.width, source.height))
    size = (max(1, round(source.width * scale)), max(1, round(source.height * scale)))
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA)[..., ::-1] for frame in read_frames(source)])
