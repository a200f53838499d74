"""The way that a motion goes: a straight line or an arc over a scene, and the level stretches along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import grey_closing

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset, SceneBox

EDGE_M = 0.02  # a change of height between neighbouring samples that counts as an edge
LOW_EDGE_M = 0.004
"""The same where each foot has a surface of its own."""
_SAMPLE_M = 0.001
_GAP_SAMPLES = 41  # gaps narrower than this between neighbouring boxes are no place for a foot


@dataclass(frozen=True)
class Route:
    """Where the middle between the feet goes.

    Attributes:
        start_xy: (2,) [m].
        yaw: direction at the start [rad].
        length_m: along the way.
        curvature: turn to the left a metre of way [rad/m].
    """

    start_xy: tuple[float, float]
    yaw: float
    length_m: float
    curvature: float = 0.0

    def __post_init__(self) -> None:
        if not np.all(np.isfinite([*self.start_xy, self.yaw, self.length_m, self.curvature])) or self.length_m <= 0.0:
            raise VmError(f"{self}: expected finite numbers and a length above 0")

    def yaw_at(self, distance_m: np.ndarray | float) -> np.ndarray:
        """Direction [rad] at distances along the way."""
        return self.yaw + self.curvature * np.asarray(distance_m)

    def xy_at(self, distance_m: np.ndarray | float) -> np.ndarray:
        """Points (…, 2) [m] at distances along the way."""
        distance = np.asarray(distance_m, dtype=float)
        middle = self.yaw + 0.5 * self.curvature * distance
        chord = distance * np.sinc(0.5 * self.curvature * distance / np.pi)
        return np.array(self.start_xy) + chord[..., None] * np.stack([np.cos(middle), np.sin(middle)], axis=-1)


def level_stretches(scene: SceneAsset, route: Route, apart_m: float = 0.0) -> list[tuple[float, float]]:
    """From and to [m] of the stretches of a route between edges, in order; they cover all of it.

    Args:
        scene: what stands there; a slope is no edge.
        route: the way.
        apart_m: edges count that lie so far left or right of the way, and lower ones; 0 for those on it.
    """
    count = max(round(route.length_m / _SAMPLE_M), 1) + 1
    distance = np.linspace(0.0, route.length_m, count)
    yaw = route.yaw_at(distance)
    left = np.stack([-np.sin(yaw), np.cos(yaw)], axis=-1)
    lines = [route.xy_at(distance) + side * left for side in ((apart_m, -apart_m) if apart_m else (0.0,))]
    heights = [grey_closing(scene.height_at(line), size=_GAP_SAMPLES, mode="nearest") for line in lines]
    change = np.max([np.abs(np.diff(height)) for height in heights], axis=0)
    edges = np.flatnonzero(change > (LOW_EDGE_M if apart_m else EDGE_M))
    borders = [0.0, *(0.5 * (distance[edges] + distance[edges + 1])).tolist(), route.length_m]
    return list(zip(borders, borders[1:], strict=False))


def climb_line(scene: SceneAsset) -> tuple[np.ndarray, float, list[SceneBox]]:
    """The line up a scene's steps: a point below the lowest, the heading [rad], the steps from low to high.

    Raises:
        VmError: the scene has no steps, or they do not rise along one direction.
    """
    steps = sorted((box for box in scene.boxes if box.label.startswith("step")), key=lambda box: box.top)
    if len(steps) < 2:
        raise VmError(f"scene has {len(steps)} boxes labelled step; climbing needs at least 2")
    centers = np.array([box.center_world[:2] for box in steps])
    # Treads that a person touched with one foot each lie left and right of the line, so the boxes' own yaw tells its
    # direction better than their centres; the centres tell which way is up.
    axis = np.array([np.cos(steps[0].yaw), np.sin(steps[0].yaw)])
    side = np.array([-axis[1], axis[0]])
    forward = max((axis, -axis, side, -side), key=lambda d: float(np.diff(centers @ d).min()))
    if np.diff(centers @ forward).min() <= 0.05:
        raise VmError("the scene's steps do not rise along one direction")
    middle = centers.mean(axis=0)
    along = (centers - middle) @ forward
    start = middle + forward * (along[0] - _half_depth(steps[0], forward))
    return start, float(np.arctan2(forward[1], forward[0])), steps


def climb_route(scene: SceneAsset, approach_m: float) -> Route:
    """From `approach_m` before a scene's lowest step to the middle of its highest."""
    edge, yaw, steps = climb_line(scene)
    forward = np.array([np.cos(yaw), np.sin(yaw)])
    top = float((np.array(steps[-1].center_world[:2]) - edge) @ forward)
    x, y = edge - approach_m * forward
    return Route((float(x), float(y)), yaw, approach_m + top)


def _half_depth(box: SceneBox, forward: np.ndarray) -> float:
    axis = np.array([np.cos(box.yaw), np.sin(box.yaw)])
    return float(box.half_size[0] if abs(axis @ forward) > 0.7 else box.half_size[1])
