"""The folder of motions that `vm-make-motions` writes, as trainings read it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import BESIDE_CLIP, SceneAsset
from vm_training.motions.footsteps import Gait
from vm_training.motions.seats import SitTimeline

CLIP_FILE, SCENE_FOLDER, MOTION_FILE = "clip.npz", BESIDE_CLIP, "motion.json"


@dataclass(frozen=True)
class Motion:
    """A clip in its scene.

    Attributes:
        name: folder's name.
        kind: of course.
        clip: with feed-forward targets.
        scene: what it walks on.
        gait: how it steps.
        timeline: what is asked for when, at a seat; None for a walk.
    """

    name: str
    kind: str
    clip: MotionClip
    scene: SceneAsset
    gait: Gait
    timeline: SitTimeline | None = None


def motion_names(folder: Path) -> list[str]:
    """Names of the feasible motions of a folder, in order.

    Raises:
        VmError: no such folder, or nothing feasible in it.
    """
    names = sorted(path.parent.name for path in folder.glob(f"*/{MOTION_FILE}") if (path.parent / CLIP_FILE).is_file())
    if not names:
        raise VmError(f"{folder}: no motions; expected a folder that vm-make-motions wrote")
    return names


def load_motion(folder: Path, name: str) -> Motion:
    """Reads one motion.

    Raises:
        VmError: something of it is missing or damaged.
    """
    path = folder / name
    try:
        record = json.loads((path / MOTION_FILE).read_text())
        kind, gait, times = str(record["kind"]), Gait(**record["gait"]), record.get("timeline")
        timeline = SitTimeline(**times) if times else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VmError(f"{path / MOTION_FILE}: no readable record of a motion ({error})") from None
    return Motion(name, kind, MotionClip.load(path / CLIP_FILE), SceneAsset.load(path / SCENE_FOLDER), gait, timeline)
