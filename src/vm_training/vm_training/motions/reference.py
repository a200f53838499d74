"""From a scene to a motion that ground forces can produce: footsteps, zero moment point, whole body, corrections."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.ndimage import gaussian_filter1d

from vm_core.scene_asset import SceneAsset
from vm_training.motions.center_of_mass import com_from_zmp
from vm_training.motions.footsteps import Gait, plan_steps
from vm_training.motions.route import Route
from vm_training.motions.swing import FeetPath, feet_path
from vm_training.motions.whole_body import WholeBodyMotion, reference_model, solve_kinematics, with_dynamics
from vm_training.motions.zmp_reference import support_height, zmp_reference

CORRECTIONS = 3
CORRECTION_GAIN = 0.8
HEADING_SMOOTHING_S = 0.15


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
    """Plans a walk along a route over a scene.

    The centre of mass follows from a point mass; the limbs have inertia too, so the whole body's zero moment point is
    measured by inverse dynamics and its error is taken off the asked-for path a few times.
    """
    stances = plan_steps(scene, route, gait)
    times = np.arange(0.0, stances[-1].end_s, dt_s)
    feet = feet_path(stances, times, scene, gait)
    support = support_height(stances, times, gait)
    wanted = zmp_reference(feet)
    model, asked = reference_model(), wanted.copy()
    height = np.full(len(times), gait.com_height_m)
    acceleration = np.gradient(np.gradient(support, dt_s), dt_s)
    heading = mean_heading(feet, dt_s)
    for round_ in range(corrections + 1):
        com_xy = [com_from_zmp(asked[:, axis], height, acceleration, dt_s) for axis in (0, 1)]
        com = np.column_stack([*com_xy, support + gait.com_height_m])
        qpos, foot_error = solve_kinematics(model, feet, com, heading, gait.lean_rad)
        motion = with_dynamics(model, qpos, feet.planted, foot_error, dt_s)
        error = measured_zmp(model, motion, support, dt_s) - wanted
        if round_ < corrections:
            asked -= CORRECTION_GAIN * error
    ahead = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    left = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
    error = np.stack([(error * ahead).sum(axis=1), (error * left).sum(axis=1)], axis=1)
    return Reference(motion, feet, wanted, np.sqrt((error**2).mean(axis=0)), dt_s)


def mean_heading(feet: FeetPath, dt_s: float) -> np.ndarray:
    """(T,) [rad]: between the feet's, smooth."""
    return gaussian_filter1d(0.5 * (feet.yaw["left"] + feet.yaw["right"]), HEADING_SMOOTHING_S / dt_s, mode="nearest")


def measured_zmp(model: mujoco.MjModel, motion: WholeBodyMotion, ground_z: np.ndarray, dt_s: float) -> np.ndarray:
    """(T, 2) [m]: where on the height `ground_z` (T,) the force under the whole body has no horizontal moment."""
    data, zmp = mujoco.MjData(model), np.zeros((len(motion.qpos), 2))
    qacc = np.gradient(motion.qvel, dt_s, axis=0)
    for frame in range(len(zmp)):
        data.qpos[:], data.qvel[:], data.qacc[:] = motion.qpos[frame], motion.qvel[frame], qacc[frame]
        mujoco.mj_inverse(model, data)
        force = data.qfrc_inverse[:3]
        moment = data.xmat[1].reshape(3, 3) @ data.qfrc_inverse[3:6]
        x, y, z = data.qpos[:3]
        arm = z - ground_z[frame]
        zmp[frame] = x - (moment[1] + force[0] * arm) / force[2], y + (moment[0] - force[1] * arm) / force[2]
    return zmp
