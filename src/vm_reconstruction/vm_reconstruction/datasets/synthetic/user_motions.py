"""Motions that users bring (BVH, AMASS and whatever else `inputs` reads), checked and laid out for a video."""

from __future__ import annotations

import sys
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vm_core.errors import VmError
from vm_core.scene_asset import SEAT, SceneAsset
from vm_reconstruction.body_model import check_height, segment_quats
from vm_reconstruction.datasets.synthetic import bodies
from vm_reconstruction.datasets.synthetic.driven_body import leg_length
from vm_reconstruction.datasets.synthetic.scenes import TrueScene
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.inputs.read import read_motion
from vm_reconstruction.progress import warn
from vm_reconstruction.stages.contacts import foot_contacts, seat_contact
from vm_reconstruction.stages.scene import scene_of
from vm_reconstruction.stages.stances import intervals

SHORTEST_S = 1.0
LEVEL_SLOPE = 0.01  # of a scene's ground that counts as the set's level floor
RAISED_M, RAISED_S = 0.12, 0.4  # both feet so far over the floor for so long, one of them at rest: that is no jump
WAY_M = 0.5  # who gets about less has no way; his facing counts


@dataclass(frozen=True)
class UserMotion:
    """One motion at its video's rate on the set's floor z = 0.

    Attributes:
        name: of the video's folder.
        path: the file.
        seed: of the body, the camera and the room.
        motion: what it tells.
        scene: what is stood or sat on.
    """

    name: str
    path: Path
    seed: int
    motion: HumanMotion
    scene: TrueScene

    def person(self) -> tuple[int, float, int]:
        """Phenotype, height [m] that makes the body's legs as long as the motion's, clothes' seed."""
        rng = np.random.default_rng(self.seed)
        phenotype, clothes = int(rng.integers(bodies.PHENOTYPE_COUNT)), int(rng.integers(1 << 30))
        one = bodies.load_body(phenotype, 1.0, clothes).skeleton
        share = one.length("left_knee", "left_hip") + one.length("left_ankle", "left_knee")
        height = leg_length(self.motion) / share
        check_height(height)
        return phenotype, height, clothes


def read_all(
    paths: tuple[Path, ...], body_model: Path | None, scene: Path | None, fps: float, seconds: float, seed: int
) -> list[UserMotion]:
    """All motions, named after their files.

    Raises:
        VmError: one cannot be used, or several, after a line on each.
    """
    found, bad = [], []
    for path, name in zip(paths, _names(paths), strict=True):
        try:
            found.append(_read(path, name, body_model, scene, fps, seconds, zlib.crc32(f"{seed}/{name}".encode())))
            found[-1].person()
        except VmError as error:
            bad.append(str(error) if str(path) in str(error) else f"{path}: {error}")
    if len(bad) > 1:
        tqdm.write("\n".join(f"error: {line}" for line in bad), file=sys.stderr)
        raise VmError(f"{len(bad)} of {len(paths)} motions cannot be used; nothing was made")
    if bad:
        raise VmError(bad[0])
    return found


def _names(paths: tuple[Path, ...]) -> list[str]:
    """motion_STEM; a second file of the same stem gets a number."""
    stems = ["".join(c if c.isalnum() or c in "-_" else "_" for c in path.stem) for path in paths]
    earlier = [stems[:k].count(stem) for k, stem in enumerate(stems)]
    return [f"motion_{stem}" + (f"_{k + 1}" if k else "") for stem, k in zip(stems, earlier, strict=True)]


def _read(
    path: Path, name: str, body_model: Path | None, scene: Path | None, fps: float, seconds: float, seed: int
) -> UserMotion:
    given, asset = read_motion(path, scene, body_model=body_model)
    if given.duration_s < SHORTEST_S:
        raise VmError(
            f"{given.num_frames} frames at {given.fps:g} a second are {given.duration_s:.2f} s; "
            f"expected at least {SHORTEST_S:g} s"
        )
    if given.duration_s > seconds:
        warn(f"{path}: the first {seconds:g} s of {given.duration_s:.1f} s are used (--motion-seconds)")
    motion = at_rate(given, fps, seconds)
    if scene is not None or asset.boxes:
        motion, asset = _on_floor(motion, asset)
        return UserMotion(name, path, seed, motion, TrueScene(asset.boxes))
    motion = across_the_view(motion)
    _check_floor(motion)
    seats = tuple(box for box in scene_of(motion).boxes if box.label == SEAT)
    return UserMotion(name, path, seed, motion, TrueScene(seats))


def at_rate(motion: HumanMotion, fps: float, seconds: float) -> HumanMotion:
    """The first `seconds` at another number of frames a second; points interpolated, contacts found anew."""
    count = int(min(motion.duration_s, seconds) * fps + 1e-6) + 1
    place = np.arange(count) * motion.fps / fps
    flat = motion.joint_pos_world.reshape(motion.num_frames, -1)
    joints = np.stack([np.interp(place, np.arange(len(flat)), column) for column in flat.T], axis=1)
    return _of_joints(motion, joints.reshape(count, -1, 3), fps)


def across_the_view(motion: HumanMotion) -> HumanMotion:
    """Turned and shifted so that the way, or where he faces who makes none, is along x from about the origin."""
    pelvis = motion.joint("pelvis")[:, :2]
    middle = 0.5 * (pelvis.min(axis=0) + pelvis.max(axis=0))
    axis = np.linalg.svd(pelvis - pelvis.mean(axis=0), full_matrices=False)[2][0]
    if np.ptp((pelvis - middle) @ axis) < WAY_M:
        left = np.mean(motion.joint("left_hip") - motion.joint("right_hip"), axis=0)[:2]
        axis = np.array([left[1], -left[0]])
    elif (pelvis[-1] - pelvis[0]) @ axis < 0:
        axis = -axis
    c, s = axis / max(float(np.linalg.norm(axis)), 1e-9)
    turn = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    return _of_joints(motion, (motion.joint_pos_world - [*middle, 0.0]) @ turn.T, motion.fps)


def _of_joints(motion: HumanMotion, joints: np.ndarray, fps: float) -> HumanMotion:
    contact = np.column_stack([*foot_contacts(joints, fps), seat_contact(joints, fps)])
    return HumanMotion(
        fps, motion.height_m, joints, segment_quats(joints), contact, np.ones(len(joints)), details=motion.details
    )


def _on_floor(motion: HumanMotion, asset: SceneAsset) -> tuple[HumanMotion, SceneAsset]:
    """Both shifted so that the scene's ground is the set's floor."""
    a, b, c = asset.ground
    if np.hypot(a, b) > LEVEL_SLOPE:
        raise VmError(f"its scene's ground rises by {np.hypot(a, b):.3f} a metre; expected a level one")
    boxes = tuple(replace(o, center_world=(*o.center_world[:2], o.center_world[2] - c)) for o in asset.boxes)
    shifted = _of_joints(motion, motion.joint_pos_world - [0.0, 0.0, c], motion.fps)
    return shifted, replace(asset, boxes=boxes, ground=(0.0, 0.0, 0.0))


def _check_floor(motion: HumanMotion) -> None:
    """Raises VmError where somebody stands on what a level floor does not have."""
    soles = np.stack([motion.joint(f"{side}_{part}")[:, 2] for side in ("left", "right") for part in ("heel", "toe")])
    raised = (soles.min(axis=0) > RAISED_M) & (motion.contact[:, :2].max(axis=1) > 0.5) & ~motion.touches("seat")
    for start, end in intervals(raised):
        if end - start > RAISED_S * motion.fps:
            height = float(np.median(soles.min(axis=0)[start:end]))
            raise VmError(
                f"the feet stand {height:.2f} m over the floor from {start / motion.fps:.1f} to {end / motion.fps:.1f} "
                "s; give what they stand on with --scene"
            )
