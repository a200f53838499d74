"""The same motion in its scene mirrored, faster or slower, larger or smaller, at another rate: more clips from one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.retarget.scaling import scale_scene

MIRROR = np.array([1.0, -1.0, 1.0])
MIRROR_QUAT = np.array([1.0, -1.0, 1.0, -1.0])  # of a rotation seen in the mirror y = 0


@dataclass(frozen=True)
class Variant:
    """What to do to a motion and its scene.

    Attributes:
        mirrored: left and right change places.
        speed: the motion takes 1/speed of its time.
        size: factor on all lengths, of the person too.
    """

    mirrored: bool = False
    speed: float = 1.0
    size: float = 1.0

    def __post_init__(self) -> None:
        for name, value in (("--speed", self.speed), ("--size", self.size)):
            if not 0.25 <= value <= 4.0:
                raise VmError(f"{name} {value}: expected 0.25 to 4")

    def apply(self, motion: HumanMotion, scene: SceneAsset) -> tuple[HumanMotion, SceneAsset]:
        """The variant of both; its rate is the motion's own."""
        if self.mirrored:
            motion, scene = mirrored_motion(motion), mirrored_scene(scene)
        if self.size != 1.0:
            positions, height = motion.joint_pos_world * self.size, motion.height_m * self.size
            motion = replace(motion, joint_pos_world=positions, height_m=height)
            scene = scale_scene(scene, self.size)
        if self.speed != 1.0:
            motion = at_rate(replace(motion, fps=motion.fps * self.speed), motion.fps)
        return motion, scene


def at_rate(motion: HumanMotion, fps: float) -> HumanMotion:
    """The motion at another number of frames a second: interpolated, contacts the nearest."""
    count = int(np.floor(motion.duration_s * fps + 1e-6)) + 1
    place = np.minimum(np.arange(count) * motion.fps / fps, motion.num_frames - 1)
    low = np.minimum(place.astype(int), max(motion.num_frames - 2, 0))
    high, share = np.minimum(low + 1, motion.num_frames - 1), place - low
    nearest = np.rint(place).astype(int)
    pos, quat = motion.joint_pos_world, motion.joint_quat_wxyz_world
    sign = np.where(np.sum(quat[low] * quat[high], axis=-1, keepdims=True) < 0.0, -1.0, 1.0)
    turned = quat[low] + share[:, None, None] * (sign * quat[high] - quat[low])
    return replace(
        motion,
        fps=fps,
        joint_pos_world=pos[low] + share[:, None, None] * (pos[high] - pos[low]),
        joint_quat_wxyz_world=turned / np.linalg.norm(turned, axis=-1, keepdims=True),
        contact=motion.contact[nearest],
        confidence=motion.confidence[nearest],
    )


def mirrored_motion(motion: HumanMotion) -> HumanMotion:
    """Seen in the mirror y = 0."""
    joints, contacts = _swapped(motion.joint_names), _swapped(motion.contact_names)
    return replace(
        motion,
        joint_pos_world=motion.joint_pos_world[:, joints] * MIRROR,
        joint_quat_wxyz_world=motion.joint_quat_wxyz_world[:, joints] * MIRROR_QUAT,
        contact=motion.contact[:, contacts],
    )


def mirrored_scene(scene: SceneAsset) -> SceneAsset:
    """Seen in the mirror y = 0; a mesh and a height field that came with it are left behind, boxes and ground stay."""
    boxes = tuple(
        replace(box, center_world=(box.center_world[0], -box.center_world[1], box.center_world[2]), yaw=-box.yaw)
        for box in scene.boxes
    )
    a, b, c = scene.ground
    return replace(scene, boxes=boxes, ground=(a, -b, c))


def _swapped(names: tuple[str, ...]) -> list[int]:
    other = {"left": "right", "right": "left"}
    swapped = []
    for name in names:
        side, _, part = name.partition("_")
        swapped.append(names.index(f"{other[side]}_{part}") if side in other else names.index(name))
    return swapped
