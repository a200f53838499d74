"""Where and when somebody in a clip sat: the seat in front of which a robot shall stand, and the times of its moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core.errors import VmError
from vm_core.frames import wrap_angle, yaw_from_quat
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SEAT, SceneAsset, SceneBox

UP_SHARE = 0.95
"""Of the greatest pelvis height: above it a person stands."""


@dataclass(frozen=True)
class SeatPlace:
    """A place to sit.

    Attributes:
        feet_xy: (2,) middle between the feet [m], in the scene's frame.
        ground_z: height there [m].
        heading: away from the seat [rad].
        edge_m: from the feet back to the seat's edge.
        height_m: of the seat above the ground.
    """

    feet_xy: np.ndarray
    ground_z: float
    heading: float
    edge_m: float
    height_m: float


@dataclass(frozen=True)
class SitTimes:
    """How long the person took to sit down, sat, and took to get up [s]."""

    down_s: float
    seated_s: float
    up_s: float


def sits(clip: MotionClip) -> bool:
    """Whether anybody ever does."""
    return SEAT in clip.contact_names and bool((clip.contact[:, clip.contact_names.index(SEAT)] > 0.5).any())


def find_seat(scene: SceneAsset, clip: MotionClip, edge_m: float) -> SeatPlace:
    """The seat that the clip's person sat on, and where the feet belong.

    Args:
        scene: with a box labelled `seat`.
        clip: whose contact `seat` says when.
        edge_m: how far the feet's middle is in front of the seat's edge.

    Raises:
        VmError: nobody sits, or there is no seat.
    """
    first, last = _seated(clip)
    middle = (first + last) // 2
    seats = [box for box in scene.boxes if box.label == SEAT]
    if not seats:
        raise VmError(f"the scene's boxes are {', '.join(b.label for b in scene.boxes) or 'none'}; expected a {SEAT!r}")
    pelvis_xy = clip.root_pos_world[middle, :2]
    box = min(seats, key=lambda one: float(np.linalg.norm(np.array(one.center_world[:2]) - pelvis_xy)))
    heading, reach = _side_towards(box, float(yaw_from_quat(clip.root_quat_wxyz[middle])))
    ahead = np.array([np.cos(heading), np.sin(heading)])
    feet = np.array(box.center_world[:2]) + (reach + edge_m) * ahead
    ground = float(scene.ground_height_at(feet[None])[0])
    return SeatPlace(feet, ground, heading, edge_m, box.top - ground)


def sit_times(clip: MotionClip) -> SitTimes:
    """When the clip's person sat.

    Raises:
        VmError: nobody sits.
    """
    first, last = _seated(clip)
    height = clip.root_pos_world[:, 2]
    up = np.flatnonzero(height > UP_SHARE * height.max())
    before, after = up[up < first], up[up > last]
    down = first - before[-1] if len(before) else first
    rise = after[0] - last if len(after) else clip.num_frames - 1 - last
    return SitTimes(float(down / clip.fps), float((last - first) / clip.fps), float(rise / clip.fps))


def _seated(clip: MotionClip) -> tuple[int, int]:
    if SEAT not in clip.contact_names:
        raise VmError(f"the clip's contacts are {', '.join(clip.contact_names)}; expected one named {SEAT!r}")
    seated = np.flatnonzero(clip.contact[:, clip.contact_names.index(SEAT)] > 0.5)
    if not len(seated):
        raise VmError("nobody sits in this clip: its contact 'seat' is never made")
    return int(seated[0]), int(seated[-1])


def _side_towards(box: SceneBox, yaw: float) -> tuple[float, float]:
    """Direction [rad] out of the side that faces most towards `yaw`, and the distance of that side from the centre."""
    sides = [(box.yaw + 0.5 * np.pi * k, box.half_size[k % 2]) for k in range(4)]
    heading, reach = min(sides, key=lambda side: abs(float(wrap_angle(np.array(side[0] - yaw)))))
    return float(wrap_angle(np.array(heading))), reach
