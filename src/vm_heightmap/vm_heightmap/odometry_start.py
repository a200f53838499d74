"""The own odometry's start: gravity from a second of inertial data, also while the robot walks already."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vm_core import g1
from vm_heightmap.compiled_turns import exp_so3
from vm_heightmap.inertial_filter import GRAVITY, InertialFilter
from vm_heightmap.odometry_config import OdometryConfig

NOMINAL_TORSO_HEIGHT_M = g1.STAND_PELVIS_HEIGHT_M + float(g1.WAIST_ROLL_IN_WAIST_YAW[2])
Sample = tuple[float, np.ndarray, np.ndarray]  # time, rates [rad/s], specific force in g or m/s²
Soles = tuple[float, np.ndarray]  # time, middles (2, 3) in the torso


def level_start(
    samples: list[Sample], soles: Iterable[Soles], imu_pos: np.ndarray, config: OdometryConfig
) -> tuple[InertialFilter, float]:
    """Levels the world by the mean specific force over a window, less what the legs say the robot sped up.

    Args:
        samples: the window, in the torso's axes.
        soles: as recently heard of.
        imu_pos: (3,) of the inertial unit in the torso [m].
        config: of the odometry.

    Returns:
        The filter at the window's end, and what makes m/s² of the accelerations.
    """
    times, gyro, accel = (np.array([sample[i] for sample in samples]) for i in range(3))
    still = np.linalg.norm(gyro, axis=1).max() < config.still_rad_s
    turns = _integrated(times, gyro - (gyro.mean(axis=0) if still else 0.0))
    force = np.einsum("nij,nj->ni", turns, accel).mean(axis=0)
    scale = GRAVITY if np.linalg.norm(force) < 3.0 else 1.0
    soles = list(soles)
    velocities = _leg_velocities(times, turns, soles, imu_pos)
    sped_up = np.zeros(3) if velocities is None else (velocities[1] - velocities[0]) / (times[-1] - times[0])
    up = turns[-1].T @ (scale * force - sped_up)
    state = InertialFilter(config.inertial)
    state.turn = _level(up / np.linalg.norm(up))
    if still:
        state.gyro_bias = gyro.mean(axis=0)
    if velocities is not None:
        state.velocity = state.turn @ turns[-1].T @ velocities[1]
    height = -float((soles[-1][1] @ state.turn.T)[:, 2].min()) if soles else NOMINAL_TORSO_HEIGHT_M
    state.position = np.array([0.0, 0.0, height]) + state.turn @ imu_pos
    return state, scale


def _leg_velocities(
    times: np.ndarray, turns: np.ndarray, soles: list[Soles], imu_pos: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """The body's velocity (3,) at both ends of the window, by the slower foot, in the axes of its start."""
    inside = [(t, middles) for t, middles in soles if t >= times[0]]
    if len(inside) < 12:
        return None
    at = np.searchsorted(times, [t for t, _ in inside]).clip(0, len(times) - 1)
    arms = np.stack([(middles - imu_pos) @ turns[i].T for i, (_, middles) in zip(at, inside, strict=True)])
    stamps, span = np.array([t for t, _ in inside]), 5
    ends = []
    for first in (0, len(inside) - 1 - span):
        moved = -(arms[first + span] - arms[first]) / (stamps[first + span] - stamps[first])
        ends.append(moved[np.argmin(np.linalg.norm(moved, axis=1))])
    return ends[0], ends[1]


def _level(up_body: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) of the body in a world whose z is `up_body` (3,) seen from the body; heading zero."""
    forward = np.array([1.0, 0.0, 0.0]) - up_body[0] * up_body
    forward /= np.linalg.norm(forward)
    return np.stack([forward, np.cross(up_body, forward), up_body])


def _integrated(times: np.ndarray, gyro: np.ndarray) -> np.ndarray:
    """Rotations (N, 3, 3) from the body at each time to the body at the first, by rates (N, 3)."""
    turns = [np.eye(3)]
    for step_s, rate in zip(np.diff(times), 0.5 * (gyro[1:] + gyro[:-1]), strict=True):
        turns.append(turns[-1] @ exp_so3(step_s * rate))
    return np.array(turns)
