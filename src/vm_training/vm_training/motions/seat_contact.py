"""What of the robot touches a seat: the lower sides of the hips' and thighs' capsules."""

from __future__ import annotations

import mujoco
import numpy as np

HIP_GEOMS = ("left_hip_collision", "right_hip_collision")
SEAT_GEOMS = (*HIP_GEOMS, "left_thigh_collision", "right_thigh_collision")


def lowest_over_seat(model: mujoco.MjModel, data: mujoco.MjData, edge_m: float) -> float:
    """Height [m] of the lowest point of hips and thighs behind the seat's edge; infinite if none is there."""
    lowest = np.inf
    for name in SEAT_GEOMS:
        points = under_side(model, data, name)
        behind = points[points[:, 0] < -edge_m]
        lowest = min(lowest, float(behind[:, 2].min())) if len(behind) else lowest
    return lowest


def rearmost_hold(model: mujoco.MjModel, data: mujoco.MjData, edge_m: float, within_m: float = 0.004) -> float:
    """Where [m] the hips or thighs that lie on a seat behind `edge_m` touch it furthest back."""
    points = np.concatenate([under_side(model, data, name) for name in SEAT_GEOMS])
    behind = points[points[:, 0] < -edge_m]
    return float(behind[behind[:, 2] < behind[:, 2].min() + within_m, 0].min()) if len(behind) else np.inf


def under_side(model: mujoco.MjModel, data: mujoco.MjData, geom: str) -> np.ndarray:
    """Points (9, 3) [m] along the lower side of a capsule."""
    radius, half = model.geom(geom).size[:2]
    points = data.geom(geom).xpos + np.linspace(-half, half, 9)[:, None] * data.geom(geom).xmat.reshape(3, 3)[:, 2]
    points[:, 2] -= radius
    return points


def hip_points(model: mujoco.MjModel, data: mujoco.MjData) -> list[tuple[int, np.ndarray]]:
    """Body and lowest point (3,) [m] of both hips."""
    found = []
    for name in HIP_GEOMS:
        points = under_side(model, data, name)
        found.append((int(model.geom(name).bodyid[0]), points[np.argmin(points[:, 2])]))
    return found
