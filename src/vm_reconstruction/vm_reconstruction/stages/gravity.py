"""Which way is down, and where the ground is: from a person who stands and walks upright on it, and from edges."""

from __future__ import annotations

import numpy as np

from vm_reconstruction.geometry import vertical_lines
from vm_reconstruction.solver.body_problem import POINTS
from vm_reconstruction.stages.camera import CameraMotion

STRAIGHT_COS = -0.85  # both knees straighter than ~148 deg: the person stands or walks
HAND_HELD_ROLL_STD, BODY_STD = np.radians(3.0), np.radians(3.0)
TERRAIN_STD = np.radians(2.0)  # floors are level, lawns nearly
STANCE_STD_M = 0.03
LEVEL_BAND_M = 0.09
FEWEST_UPRIGHT = 5  # frames
SIDEWAYS_DEG = 45.0
MAX_PRIOR_ROLL = np.radians(10.0)  # beyond it somebody tilted the phone on purpose


def vertical(
    points: np.ndarray, weight: np.ndarray, planted: np.ndarray, camera: CameraMotion
) -> tuple[np.ndarray, str]:
    """Up (3) in the first camera's axes from all that tells it, and in words what did and how far they were apart.

    Args:
        points: (T, 17, 3) in the first camera's axes; weight: (T, 17).
        planted: (T-1, 17) as `stillness.planted_points`.
        camera: its rotations, and the background's straight edges.
    """
    body = up_direction(points, weight)
    edges = upright_edges(body, camera)
    blend = vertical_lines.blended(body, BODY_STD, edges)
    up = blend.up
    for _ in range(2):
        up = levelled(up, points, planted, weight, blend.covariance)
    said = f"the upright body and the level phone {100 * (1 - blend.share):.0f} %"
    if edges is None:
        said += "; too few upright edges in view"
    else:
        said += f", {edges.count} upright edges in {edges.frames} frames {100 * blend.share:.0f} % "
        said += f"({blend.off_deg:.1f}° apart)"
    return up, f"{said}; level ground under the feet moved it by {angle_deg(up, blend.up):.1f}°"


def up_direction(points: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Up (3) in the first camera's axes (x right, y down), from points (T, 17, 3) with trust (T, 17).

    The mean axis from the ankles over the hips to the shoulders while both legs are straight (walking people lean a
    little into their way, steps forward and back cancel), blended with the habit that phones are held level.
    """
    p = {name: points[:, i] for i, name in enumerate(POINTS)}
    hips, shoulders, ankles = (0.5 * (p[f"left_{n}"] + p[f"right_{n}"]) for n in ("hip", "shoulder", "ankle"))
    upright = stands_straight(points, weight)
    if upright.sum() < FEWEST_UPRIGHT:
        upright = weight.mean(axis=1) > 0.3
    axes = _unit(hips - ankles) + 0.5 * _unit(shoulders - hips)
    up = _unit(np.median(_unit(axes[upright]), axis=0))
    roll = np.arctan2(up[0], -up[1])
    if abs(roll) < MAX_PRIOR_ROLL:
        kept = roll * HAND_HELD_ROLL_STD**2 / (HAND_HELD_ROLL_STD**2 + BODY_STD**2)
        level = np.hypot(up[0], up[1])
        up = np.array([level * np.sin(kept), -level * np.cos(kept), up[2]])
    return up


def upright_edges(up: np.ndarray, camera: CameraMotion) -> vertical_lines.LineVertical | None:
    """What the background's straight edges say near `up` (3), first camera's axes; None where too few agree."""
    segments, frame = camera.segments_px.reshape(-1, 4), camera.segment_frame
    back = camera.R_cam_first.transpose(0, 2, 1)
    normals = np.einsum("nij,nj->ni", back[frame], vertical_lines.plane_normals(segments, camera.K))
    axis = _unit(back[:, :, 2].mean(axis=0))
    return vertical_lines.vertical(normals, vertical_lines.turn_std(segments), frame, up, axis)


def stands_straight(points: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(T,) bool: frames in which a person who is seen well has both legs straight."""
    p = {name: points[:, i] for i, name in enumerate(POINTS)}
    straight = weight.mean(axis=1) > 0.5
    for side in ("left", "right"):
        knee = p[f"{side}_knee"]
        straight &= _cosine(p[f"{side}_hip"] - knee, p[f"{side}_ankle"] - knee) < STRAIGHT_COS
    return straight


def doubts(points: np.ndarray, weight: np.ndarray, planted: np.ndarray, tilt_deg: np.ndarray) -> list[str]:
    """What makes the vertical or the ground a guess, in sentences.

    Args:
        points, weight, planted: as in `up_direction` and `levelled`.
        tilt_deg: (2,) pitch and roll of the first camera [deg].
    """
    found = []
    if stands_straight(points, weight).sum() < FEWEST_UPRIGHT:
        found.append("the person never stands with straight legs; the vertical is the trunk's and may lean")
    if abs(tilt_deg[1]) > SIDEWAYS_DEG:
        found.append(
            f"the picture is turned by {tilt_deg[1]:.0f} degrees against the person; "
            "a phone video without its rotation tag? Turned upright it is seen better"
        )
    if not len(_stances(points, planted, weight)[0]):
        found.append("no foot is ever seen at rest; where the ground lies is a guess")
    return found


def levelled(
    up: np.ndarray, points: np.ndarray, planted: np.ndarray, weight: np.ndarray, covariance: np.ndarray
) -> np.ndarray:
    """`up` moved toward the normal of the lowest ground that feet stood on.

    People lean by degrees, and so does ground; with both standard deviations and that of the fitted plane known, the
    most likely vertical lies between. Few or close stances leave the plane, and so `up`, where it was.
    `covariance` (3, 3) [rad^2] is that of `up`.
    """
    R = world_from_first(up)
    heights, places = _stances(points @ R.T, planted, weight)
    if len(places) < 4:
        return up
    low = heights < np.sort(heights)[1] + LEVEL_BAND_M
    xy, z = places[low] - places[low].mean(axis=0), heights[low] - heights[low].mean()
    information = xy.T @ xy / STANCE_STD_M**2
    # slope = lean (what the vertical is wrong by) + terrain (std TERRAIN_STD); only the lean is taken out
    lean_cov = R[:2] @ covariance @ R[:2].T
    slope_information = np.linalg.inv(lean_cov + TERRAIN_STD**2 * np.eye(2))
    slope = np.linalg.solve(information + slope_information, xy.T @ z / STANCE_STD_M**2)
    lean = lean_cov @ slope_information @ slope
    return _unit(R.T @ np.array([-lean[0], -lean[1], 1.0]))


def _stances(points: np.ndarray, planted: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Height and place (n), (n, 2) of each heel's and toe's rest."""
    heights, places = [], []
    for name in ("left_heel", "left_toe", "right_heel", "right_toe"):
        column = POINTS.index(name)
        still = (planted[:, column] > 0.5) & (weight[:-1, column] > 0.3)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], still.astype(int), [0]])))
        for start, end in edges.reshape(-1, 2):
            rest = np.median(points[start:end, column], axis=0)
            heights.append(rest[2])
            places.append(rest[:2])
    return np.array(heights), np.array(places).reshape(-1, 2)


def angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    """Between two unit vectors (3)."""
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)))


def world_from_first(up: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) from the first camera's axes to the world: z up, x horizontally where the camera looks."""
    forward = np.array([0.0, 0.0, 1.0])
    x = _unit(forward - up * (forward @ up))
    return np.stack([x, np.cross(up, x), up])


def tilt_deg(up: np.ndarray) -> np.ndarray:
    """Pitch (positive: the camera looks down) and roll [deg]."""
    return np.degrees([np.arcsin(-up[2]), np.arctan2(up[0], -up[1])])


def ground_origin(points_world: np.ndarray, planted: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The origin (3): on the lowest ground that carries a foot, under the person where it is first seen well."""
    soles = [POINTS.index(f"{side}_{part}") for side in ("left", "right") for part in ("heel", "toe")]
    z, still = points_world[:-1, soles, 2], planted[:, soles] > 0.5
    heights = z[still] if still.sum() >= 5 else points_world[:, soles, 2].ravel()
    low = np.percentile(heights, 5)
    first = int(np.argmax(weight.mean(axis=1) > 0.5))
    hips = points_world[first, [POINTS.index("left_hip"), POINTS.index("right_hip")]].mean(axis=0)
    return np.array([hips[0], hips[1], float(np.median(heights[heights < low + 0.06]))])


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sum(_unit(a) * _unit(b), axis=-1)
