"""From a scene to a motion that ground forces can produce: footsteps, zero moment point, whole body, corrections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.ndimage import gaussian_filter1d

from vm_core.scene_asset import SceneAsset
from vm_training.motions.center_of_mass import com_from_zmp
from vm_training.motions.footsteps import Gait, Stance, plan_steps
from vm_training.motions.route import Route
from vm_training.motions.stairs_posture import at_stairs
from vm_training.motions.swing import FeetPath, feet_path
from vm_training.motions.whole_body import (
    WholeBodyMotion,
    hand_force,
    reference_model,
    solve_kinematics,
    with_dynamics,
)
from vm_training.motions.zmp_reference import slope_height, support_height, zmp_reference

CORRECTIONS = 3
CORRECTION_GAIN = 0.8
HEADING_SMOOTHING_S = 0.15


@dataclass(frozen=True)
class BodyPlan:
    """What a motion asks of the body beside its feet, over T frames; None: as when standing at ease.

    Attributes:
        arms: (T, 8) angles of ARM_JOINTS [rad].
        com_height_m: (T,) centre of mass above the feet.
        load_n: (T,) horizontal force against the hands, from ahead.
    """

    arms: np.ndarray | None = None
    com_height_m: np.ndarray | None = None
    load_n: np.ndarray | None = None


@dataclass(frozen=True)
class Reference:
    """A planned motion and how well physics agrees with it.

    Attributes:
        motion: of the 23-joint model.
        feet: plan of both feet.
        zmp_world: (T, 2) the zero moment point that was asked for [m].
        zmp_error_m: (2,) root mean square of what the motion has instead, forward and sideways.
        dt_s: between frames.
    """

    motion: WholeBodyMotion
    feet: FeetPath
    zmp_world: np.ndarray
    zmp_error_m: np.ndarray
    dt_s: float


def plan_reference(
    scene: SceneAsset, route: Route, gait: Gait, dt_s: float = 0.02, corrections: int = CORRECTIONS
) -> Reference:
    """Plans a walk along a route over a scene."""
    return reference_of_stances(plan_steps(scene, route, gait), scene, gait, dt_s, corrections)


def reference_of_stances(
    stances: list[Stance],
    scene: SceneAsset,
    gait: Gait,
    dt_s: float = 0.02,
    corrections: int = CORRECTIONS,
    body: Callable[[np.ndarray], BodyPlan] = lambda times: BodyPlan(),
) -> Reference:
    """Plans the whole body's motion over given stances.

    The centre of mass follows from a point mass; the limbs have inertia too, so the whole body's zero moment point is
    measured by inverse dynamics and its error is taken off the asked-for path a few times.

    Args:
        stances: in order of touch-down.
        scene: whose surfaces swings must clear.
        gait: heights, angles and times.
        dt_s: between frames.
        corrections: of the zero moment point.
        body: what else is asked for at the times (T,) of the frames.
    """
    times = np.arange(0.0, stances[-1].end_s, dt_s)
    feet = feet_path(stances, times, scene, gait)
    support = support_height(stances, times, gait) + slope_height(feet, dt_s)
    wanted = zmp_reference(feet)
    model, asked = reference_model(), wanted.copy()
    asks = body(times)
    stairs = at_stairs(stances, times, gait)
    level = _between(gait.com_height_m, gait.stairs_height_m, stairs)
    height = level if asks.com_height_m is None else asks.com_height_m
    lean = _between(gait.lean_rad, gait.stairs_lean_rad, stairs)
    acceleration = np.gradient(np.gradient(support + height, dt_s), dt_s)
    heading = mean_heading(feet, dt_s)
    qpos = None
    load = None if asks.load_n is None else -asks.load_n[:, None] * np.column_stack([ahead_of(heading), 0.0 * heading])
    for round_ in range(corrections + 1):
        com_xy = [com_from_zmp(asked[:, axis], height, acceleration, dt_s) for axis in (0, 1)]
        com = np.column_stack([*com_xy, support + height])
        qpos, foot_error = solve_kinematics(model, feet, com, heading, lean, asks.arms, qpos)
        motion = with_dynamics(model, qpos, feet.planted, foot_error, dt_s, load, slope=feet.slope)
        error = measured_zmp(model, motion, support, dt_s, load) - wanted
        if round_ < corrections:
            asked -= CORRECTION_GAIN * error
    ahead = ahead_of(heading)
    left = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
    error = np.stack([(error * ahead).sum(axis=1), (error * left).sum(axis=1)], axis=1)
    return Reference(motion, feet, wanted, np.sqrt((error**2).mean(axis=0)), dt_s)


def _between(level: float, at_stairs: float | None, share: np.ndarray) -> np.ndarray:
    """(T,) from the value on level ground to that at stairs; None: the same."""
    return level + share * ((level if at_stairs is None else at_stairs) - level)


def mean_heading(feet: FeetPath, dt_s: float) -> np.ndarray:
    """(T,) [rad]: between the feet's, smooth."""
    return gaussian_filter1d(0.5 * (feet.yaw["left"] + feet.yaw["right"]), HEADING_SMOOTHING_S / dt_s, mode="nearest")


def ahead_of(heading: np.ndarray) -> np.ndarray:
    """(T, 2) unit vectors of headings (T,) [rad]."""
    return np.stack([np.cos(heading), np.sin(heading)], axis=1)


def measured_zmp(
    model: mujoco.MjModel,
    motion: WholeBodyMotion,
    ground_z: np.ndarray,
    dt_s: float,
    load_world: np.ndarray | None = None,
) -> np.ndarray:
    """(T, 2) [m]: where on the height `ground_z` (T,) the force under the whole body has no horizontal moment, while
    `load_world` (T, 3) [N] pushes against its hands."""
    data, zmp = mujoco.MjData(model), np.zeros((len(motion.qpos), 2))
    qacc = np.gradient(motion.qvel, dt_s, axis=0)
    for frame in range(len(zmp)):
        data.qpos[:], data.qvel[:], data.qacc[:] = motion.qpos[frame], motion.qvel[frame], qacc[frame]
        mujoco.mj_inverse(model, data)
        ground = data.qfrc_inverse
        if load_world is not None:
            ground = ground - hand_force(model, data, load_world[frame])
        force, moment = ground[:3], data.xmat[1].reshape(3, 3) @ ground[3:6]
        x, y, z = data.qpos[:3]
        arm = z - ground_z[frame]
        zmp[frame] = x - (moment[1] + force[0] * arm) / force[2], y + (moment[0] - force[1] * arm) / force[2]
    return zmp
