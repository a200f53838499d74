"""Whole-body motion of a plan: inverse kinematics for feet and centre of mass, then the torques that produce it."""

from __future__ import annotations

from dataclasses import dataclass

import mink
import mujoco
import numpy as np
from scipy.optimize import nnls

from vm_core import g1
from vm_core.frames import quat_from_rotvec, quat_from_yaw, quat_multiply, quat_rotate
from vm_sim.g1_model import joint_addresses, load_g1_spec, stand_qpos
from vm_training.motions.seat_contact import hip_points
from vm_training.motions.swing import FeetPath

FRICTION = 0.5
FORCE_REGULARIZATION = 0.01
TOUCHING_M = 0.004
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1))
EDGES = len(_SIDES)
SEAT_PRICE = 40.0
"""How much dearer than from a sole a force from a seat is at first, so that it takes over smoothly."""
FIRST_FRAME_ITERATIONS, ITERATIONS = 80, 4
CONVERGED_RAD = 2e-3
"""Steps of the inverse kinematics fall off quadratically: after one of this size 1e-5 is left."""
ARM_JOINTS: tuple[str, ...] = tuple(name for name in g1.POLICY_JOINT_NAMES if "shoulder" in name or "elbow" in name)
HAND_BODIES = ("left_wrist_yaw_link", "right_wrist_yaw_link")


@dataclass
class WholeBodyMotion:
    """A motion of the 23-joint model over T frames.

    Attributes:
        qpos: (T, nq).  qvel: (T, nv).
        com_world: (T, 3) [m].
        torque: (T, nv - 6) joint torques that produce the motion [Nm].
        root_residual: (T,) what contact forces leave unexplained at the root [N, Nm], root mean square.
        foot_error: (T,) distance of the soles from their plan [m].
        joints_at_limit: names of joints that touch a limit.
    """

    qpos: np.ndarray
    qvel: np.ndarray
    com_world: np.ndarray
    torque: np.ndarray
    root_residual: np.ndarray
    foot_error: np.ndarray
    joints_at_limit: tuple[str, ...]


def reference_model() -> mujoco.MjModel:
    """The G1 with welded wrists and no floor: what references and their inverse dynamics are computed on."""
    return load_g1_spec(wrists=False).compile()


def solve_kinematics(
    model: mujoco.MjModel,
    feet: FeetPath,
    com_world: np.ndarray,
    heading: np.ndarray,
    lean_rad: np.ndarray | float = 0.0,
    arms: np.ndarray | None = None,
    near: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Configurations (T, nq) and sole errors (T,) [m] for planned feet, centre of mass (T, 3), heading (T,) [rad].

    Args:
        model: `reference_model`.
        feet, com_world, heading: the plan.
        lean_rad: (T,) or one for all, of pelvis and torso.
        arms: (T, 8) angles of ARM_JOINTS that the posture is drawn to [rad]; by default those of standing.
        near: (T, nq) where each frame's search begins; by default at the frame before.
    """
    configuration = mink.Configuration(model)
    start = stand_qpos(model)
    start[:2], start[3:7] = com_world[0, :2], quat_from_yaw(heading[0])
    configuration.update(start)
    foot_tasks = {
        side: mink.FrameTask(body, "body", position_cost=100.0, orientation_cost=30.0)
        for side, body in zip(("left", "right"), g1.FOOT_BODIES, strict=True)
    }
    com_task = mink.ComTask(cost=100.0)
    pelvis = mink.FrameTask(g1.PELVIS_BODY, "body", position_cost=0.0, orientation_cost=10.0)
    torso = mink.FrameTask(g1.TORSO_BODY, "body", position_cost=0.0, orientation_cost=10.0)
    posture = mink.PostureTask(model, cost=posture_cost(model))
    posture.set_target(start)
    arms_at, _ = joint_addresses(model, ARM_JOINTS)
    limits = [mink.ConfigurationLimit(model)]
    lean = quat_from_rotvec(np.broadcast_to(lean_rad, len(com_world))[:, None] * np.array([0.0, 1.0, 0.0]))
    tasks = [*foot_tasks.values(), com_task, pelvis, torso, posture]
    qpos, error = np.zeros((len(com_world), model.nq)), np.zeros(len(com_world))
    for frame in range(len(com_world)):
        for side, task in foot_tasks.items():
            tilt = quat_from_rotvec(np.array([0.0, feet.pitch[side][frame], 0.0]))
            quat = quat_multiply(quat_from_yaw(np.array(feet.yaw[side][frame])), tilt)
            ankle = feet.position_world[side][frame] - quat_rotate(quat, g1.SOLE_CENTER)
            task.set_target(mink.SE3(np.concatenate([quat, ankle])))
        com_task.set_target(com_world[frame])
        upright = mink.SE3(np.concatenate([quat_multiply(quat_from_yaw(heading[frame]), lean[frame]), np.zeros(3)]))
        pelvis.set_target(upright)
        torso.set_target(upright)
        if arms is not None:
            wish = start.copy()
            wish[arms_at] = arms[frame]
            posture.set_target(wish)
        if near is not None:
            configuration.update(near[frame])
        for _ in range(ITERATIONS if frame or near is not None else FIRST_FRAME_ITERATIONS):
            velocity = mink.solve_ik(configuration, tasks, 1.0, solver="daqp", damping=1e-5, limits=limits)
            configuration.integrate_inplace(velocity, 1.0)
            if np.abs(velocity).max() < CONVERGED_RAD and frame:
                break
        qpos[frame] = configuration.q
        error[frame] = max(np.linalg.norm(task.compute_error(configuration)[:3]) for task in foot_tasks.values())
    return qpos, error


def planted_feet(spacing_m: float) -> list[mink.FrameTask]:
    """Tasks of both feet, left first, that stay abreast at the origin, their centre lines so far apart [m]."""
    tasks = [mink.FrameTask(name, "body", position_cost=100.0, orientation_cost=30.0) for name in g1.FOOT_BODIES]
    for task, side in zip(tasks, (0.5, -0.5), strict=True):
        ankle = np.array([0.0, side * spacing_m, 0.0]) - g1.SOLE_CENTER
        task.set_target(mink.SE3(np.concatenate([[1.0, 0.0, 0.0, 0.0], ankle])))
    return tasks


def posture_cost(model: mujoco.MjModel) -> np.ndarray:
    """(nv,) how much each joint is drawn to a posture: arms firmly, legs and waist hardly."""
    cost = np.zeros(model.nv)
    for name in g1.POLICY_JOINT_NAMES:
        is_arm = "shoulder" in name or "elbow" in name
        cost[int(model.joint(name).dofadr[0])] = 10.0 if is_arm else 0.1
    return cost


def with_dynamics(
    model: mujoco.MjModel,
    qpos: np.ndarray,
    planted: dict[str, np.ndarray],
    foot_error: np.ndarray,
    dt_s: float,
    load_world: np.ndarray | None = None,
    seat_share: np.ndarray | None = None,
    slope: float = 0.0,
) -> WholeBodyMotion:
    """Adds velocities, joint torques and checks to configurations (T, nq) that are `dt_s` apart.

    Contact forces are the non-negative combination of friction-pyramid edges at the planted soles that explains the
    root's share of the inverse dynamics (least squares); their torques are taken off the joints'. What pushes against
    the hands, `load_world` (T, 3) [N] shared by both, is taken off before. Where `seat_share` (T,) is above 0 a seat
    may bear the hips, too; up to 1 the more willingly. `slope` is the ground's dz/dx.
    """
    qvel = _velocities(model, qpos, dt_s)
    qacc = np.gradient(qvel, dt_s, axis=0)
    data = mujoco.MjData(model)
    torque, residual = np.zeros((len(qpos), model.nv - 6)), np.zeros(len(qpos))
    com = np.zeros((len(qpos), 3))
    for frame in range(len(qpos)):
        data.qpos[:], data.qvel[:], data.qacc[:] = qpos[frame], qvel[frame], qacc[frame]
        mujoco.mj_inverse(model, data)
        com[frame] = data.subtree_com[0]
        soles = [point for side in planted if planted[side][frame] for point in _sole_points(model, data, side, slope)]
        share = 0.0 if seat_share is None else float(seat_share[frame])
        hips = hip_points(model, data) if share > 0.0 else []
        edges = _pyramid_edges(model, data, [*soles, *hips])
        force = data.qfrc_inverse.copy()
        if load_world is not None:
            force -= hand_force(model, data, load_world[frame])
        if edges.shape[1]:
            price = np.full(edges.shape[1], FORCE_REGULARIZATION)
            price[len(price) - EDGES * len(hips) :] *= 1.0 + SEAT_PRICE * (1.0 - share) ** 2
            stacked = np.vstack([edges[:6], np.diag(price)])
            push, _ = nnls(stacked, np.concatenate([force[:6], np.zeros(edges.shape[1])]))
            force -= edges @ push
        torque[frame], residual[frame] = force[6:], np.sqrt(np.mean(force[:6] ** 2))
    return WholeBodyMotion(qpos, qvel, com, torque, residual, foot_error, _at_limit(model, qpos))


def hand_force(model: mujoco.MjModel, data: mujoco.MjData, load_world: np.ndarray) -> np.ndarray:
    """(nv,) generalized force of a load (3,) [N] on the hands, half on each."""
    jacobian, total = np.zeros((3, model.nv)), np.zeros(model.nv)
    for name in HAND_BODIES:
        body = model.body(name).id
        mujoco.mj_jac(model, data, jacobian, None, data.xipos[body], body)
        total += jacobian.T @ (0.5 * load_world)
    return total


def _velocities(model: mujoco.MjModel, qpos: np.ndarray, dt_s: float) -> np.ndarray:
    qvel = np.zeros((len(qpos), model.nv))
    for frame in range(len(qpos)):
        before, after = max(frame - 1, 0), min(frame + 1, len(qpos) - 1)
        mujoco.mj_differentiatePos(model, qvel[frame], (after - before) * dt_s, qpos[before], qpos[after])
    return qvel


def _sole_points(model: mujoco.MjModel, data: mujoco.MjData, side: str, slope: float) -> list[tuple[int, np.ndarray]]:
    """Body and place of what of a sole is on the ground; not the heel of a foot that rolls over its toes."""
    body = model.body(g1.FOOT_BODIES[side == "right"]).id
    points = [data.geom(f"{side}_sole{i}").xpos for i in range(len(g1.SOLE_POINTS))]
    over = [point[2] - slope * point[0] for point in points]
    return [(body, point) for point, height in zip(points, over, strict=True) if height <= min(over) + TOUCHING_M]


def _pyramid_edges(model: mujoco.MjModel, data: mujoco.MjData, points: list[tuple[int, np.ndarray]]) -> np.ndarray:
    """Generalized forces (nv, EDGES a point) of unit forces along the edges of each point's friction pyramid."""
    columns, jacobian = [], np.zeros((3, model.nv))
    for body, point in points:
        mujoco.mj_jac(model, data, jacobian, None, point, body)
        columns += [jacobian.T @ np.array([FRICTION * x, FRICTION * y, 1.0]) for x, y in _SIDES]
    return np.stack(columns, axis=-1) if columns else np.zeros((model.nv, 0))


def _at_limit(model: mujoco.MjModel, qpos: np.ndarray) -> tuple[str, ...]:
    addresses, _ = joint_addresses(model, g1.POLICY_JOINT_NAMES)
    joints = qpos[:, addresses]
    ranges = np.array([model.joint(name).range for name in g1.POLICY_JOINT_NAMES])
    near = (joints < ranges[:, 0] + 1e-3) | (joints > ranges[:, 1] - 1e-3)
    return tuple(name for name, hit in zip(g1.POLICY_JOINT_NAMES, np.any(near, axis=0).tolist(), strict=True) if hit)
