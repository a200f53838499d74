"""Where the robot's feet go: planted while the person's are, above every surface while they swing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter1d, maximum_filter1d

from vm_core import g1
from vm_core.frames import quat_from_matrix, quat_rotate
from vm_core.scene_asset import SceneAsset
from vm_reconstruction.human_motion import HumanMotion

SOLE_CORNERS = g1.SOLE_POINTS - np.array([0.0, 0.0, g1.SOLE_SPHERE_RADIUS_M])
CONTACT_THRESHOLD = 0.5
MIN_STANCE_S = 0.1
BLEND_S = 0.12  # over which a swinging foot leaves and reaches its planted pose
CLEARANCE_M = 0.004
STEEP_LEVEL = (0.35, 0.7)  # horizontal share of a sole's direction, below which its yaw is not taken from it
LIFT_SPREAD_S = 0.14  # over which a swinging foot rises ahead of an edge


@dataclass
class FootPath:
    """Target of one ankle-roll link: position (T, 3) [m], orientation (T, 4) wxyz, planted (T,) bool.

    firmness (T,): 1 while planted, falling to 0 in the swing: how much the target matters.
    """

    pos_world: np.ndarray
    quat_wxyz: np.ndarray
    planted: np.ndarray
    firmness: np.ndarray


def foot_path(motion: HumanMotion, side: str, scale: float, scene: SceneAsset) -> FootPath:
    """The robot foot's path for one side of the person.

    Args:
        motion: the person.
        side: left or right.
        scale: factor on the person's positions.
        scene: at the scale of the targets.
    """
    heel, toe = scale * motion.joint(f"{side}_heel"), scale * motion.joint(f"{side}_toe")
    center = 0.5 * (heel + toe)
    foot_quat = motion.joint_quat_wxyz_world[:, motion.joint_names.index(f"{side}_ankle")]
    left = quat_rotate(foot_quat, np.broadcast_to([0.0, 1.0, 0.0], heel.shape))
    yaw, pitch = _sole_angles(toe - heel, left)
    planted = long_runs(
        motion.contact[:, motion.contact_names.index(f"{side}_foot")] > CONTACT_THRESHOLD, MIN_STANCE_S * motion.fps
    )
    _plant(center, yaw, pitch, planted, scene, BLEND_S * motion.fps)
    quat = _quat(yaw, pitch)
    pos = center - quat_rotate(quat, np.broadcast_to(g1.SOLE_CENTER, center.shape))
    pos[:, 2] += _lift(pos, quat, planted, scene, motion.fps)
    firmness = _smooth(1.0 - _steps_away(planted) / (BLEND_S * motion.fps))
    return FootPath(pos, quat, planted, firmness)


def _sole_angles(forward: np.ndarray, left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Yaw and pitch (T,) [rad] of soles that point forward (T, 3); a steep sole's yaw comes from its left (T, 3).

    A foot whose toes point straight down has no heading of its own; its pitch may pass 90 degrees.
    """
    forward = forward / np.maximum(np.linalg.norm(forward, axis=-1, keepdims=True), 1e-9)
    level = np.linalg.norm(forward[:, :2], axis=-1, keepdims=True)
    weight = _smooth((level - STEEP_LEVEL[0]) / (STEEP_LEVEL[1] - STEEP_LEVEL[0]))
    across = np.column_stack([left[:, 1], -left[:, 0]])
    heading = weight * forward[:, :2] / np.maximum(level, 1e-9) + (1.0 - weight) * across
    yaw = np.unwrap(np.arctan2(heading[:, 1], heading[:, 0]))
    ahead = forward[:, 0] * np.cos(yaw) + forward[:, 1] * np.sin(yaw)
    return yaw, np.unwrap(np.arctan2(-forward[:, 2], ahead))


def _quat(yaw: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    zero = np.zeros_like(yaw)
    rows = [np.stack(r, axis=-1) for r in ((cy * cp, -sy, cy * sp), (sy * cp, cy, sy * sp), (-sp, zero, cp))]
    return quat_from_matrix(np.stack(rows, axis=-2))


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Start and end (exclusive) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return list(zip(edges[::2], edges[1::2], strict=True))


def long_runs(flags: np.ndarray, min_frames: float) -> np.ndarray:
    """The flags without runs shorter than `min_frames`."""
    kept = np.zeros_like(flags)
    for start, end in runs(flags):
        kept[start:end] = end - start >= min_frames
    return kept


def _plant(
    center: np.ndarray, yaw: np.ndarray, pitch: np.ndarray, planted: np.ndarray, scene: SceneAsset, blend: float
) -> None:
    """Makes each stance one pose, flat on its surface, and fades the difference out into the swings around it."""
    shift = np.zeros((len(center), 5))
    now = np.column_stack([center, yaw, pitch])
    held = np.zeros(len(center), dtype=bool)
    for start, end in runs(planted):
        pose = np.median(now[start:end], axis=0)
        pose[2] = _support_height(pose, scene)
        pose[4] = 0.0
        shift[start:end] = pose - now[start:end]
        held[start:end] = True
    now += _faded(shift, held, blend)
    center[:], yaw[:], pitch[:] = now[:, :3], now[:, 3], now[:, 4]


def _support_height(pose: np.ndarray, scene: SceneAsset) -> float:
    """The surface (z) under the sole of a planted pose x, y, z, yaw that is nearest to its height.

    A foot may stand on an edge with its middle beyond it.
    """
    c, s = np.cos(pose[3]), np.sin(pose[3])
    offsets = np.concatenate([[[0.0, 0.0]], (SOLE_CORNERS - g1.SOLE_CENTER)[:, :2]])
    under = scene.height_at(pose[:2] + offsets @ np.array([[c, s], [-s, c]]))
    return float(under[np.argmin(np.abs(under - pose[2]))])


def _faded(shift: np.ndarray, held: np.ndarray, blend: float) -> np.ndarray:
    """Shifts at held frames, decaying to zero within two times `blend` frames on both sides."""
    if not held.any():
        return shift
    frames = np.arange(len(shift))
    at = np.flatnonzero(held)
    after = at[np.clip(np.searchsorted(at, frames), 0, len(at) - 1)]
    before = at[np.clip(np.searchsorted(at, frames, side="right") - 1, 0, len(at) - 1)]
    away = [np.abs(frames - near).astype(float) for near in (before, after)]
    # in a gap shorter than both fades the one passes into the other: beside a stance only that stance counts
    share = _smooth(away[1] / np.maximum(away[0] + away[1], 1.0))
    weights = [_smooth(1.0 - steps / max(blend * 2, 1.0)) for steps in away]
    faded = (share * weights[0])[:, None] * shift[before] + ((1.0 - share) * weights[1])[:, None] * shift[after]
    return np.where(held[:, None], shift, faded)


def _smooth(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x)


def _lift(pos: np.ndarray, quat: np.ndarray, planted: np.ndarray, scene: SceneAsset, fps: float) -> np.ndarray:
    """How far (T,) [m] swinging feet must rise so that no corner of the sole is below a surface; smooth in time."""
    corners = pos[:, None] + quat_rotate(quat[:, None], SOLE_CORNERS[None])
    surface = scene.height_at(corners.reshape(-1, 3)[:, :2]).reshape(corners.shape[:2])
    needed = np.where(planted, 0.0, np.maximum(surface + CLEARANCE_M - corners[..., 2], 0.0).max(axis=-1))
    width = max(int(LIFT_SPREAD_S * fps), 1)
    smooth = gaussian_filter1d(maximum_filter1d(needed, 2 * width + 1), width / 2)
    # a planted foot is not lifted, so the lift grows from nothing over the first frames of the swing
    return np.where(planted, 0.0, np.maximum(smooth * _smooth(_steps_away(planted) / (2 * width)), needed))


def _steps_away(planted: np.ndarray) -> np.ndarray:
    """Frames (T,) to the nearest planted one."""
    return np.asarray(distance_transform_edt(~planted)) if planted.any() else np.full(len(planted), np.inf)


def sole_corners_world(ankle_pos: np.ndarray, ankle_quat: np.ndarray) -> np.ndarray:
    """Lowest points (T, 4, 3) [m] of the sole's contact spheres for ankle-roll poses (T, 3), (T, 4)."""
    return ankle_pos[:, None] + quat_rotate(ankle_quat[:, None], SOLE_CORNERS[None])
