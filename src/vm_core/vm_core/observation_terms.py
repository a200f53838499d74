"""Observation terms by name, and what they may read: the same for training (torch, batched), simulation and robot."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from vm_core.arrays import array_namespace
from vm_core.errors import VmError
from vm_core.frames import (
    Array,
    heading_quat,
    matrix_from_quat,
    quat_conjugate,
    quat_multiply,
    quat_rotate_inverse,
    rotvec_from_quat,
)
from vm_core.g1 import IMU_POS_IN_PELVIS
from vm_core.leg_velocity import leg_velocity


@dataclass
class ReferenceFrame:
    """One moment of a reference motion; joints in policy order, leading batch axes allowed.

    Attributes:
        joint_pos: (..., J) [rad].  joint_vel: (..., J) [rad/s].
        root_pos_world: (..., 3) [m].  root_quat_wxyz: (..., 4).  root_lin_vel_world: (..., 3) [m/s].
        phase: (...) 0 at the start, 1 at the end.
        joint_target: (..., J) PD target with feed-forward [rad].
        anchor_pos_world, anchor_quat_wxyz: (..., 3) [m], (..., 4) the body that the policy's contract calls its anchor.
    """

    joint_pos: Array
    joint_vel: Array
    root_pos_world: Array
    root_quat_wxyz: Array
    root_lin_vel_world: Array
    phase: Array
    joint_target: Array
    anchor_pos_world: Array | None = None
    anchor_quat_wxyz: Array | None = None


@dataclass
class ObservationInputs:
    """Everything that terms may read; joints in policy order, leading batch axes allowed.

    Attributes:
        joint_pos: (..., J) [rad].  joint_vel: (..., J) [rad/s].  default_joint_pos: (J,) [rad].
        root_quat_wxyz: (..., 4) pelvis in the world.  root_ang_vel_body: (..., 3) [rad/s] in the pelvis frame.
        last_action: (..., J) raw network output.
        command: (..., 3) vx, vy [m/s], yaw rate [rad/s] in the heading frame.
        root_pos_world: (..., 3) [m].  root_lin_vel_world: (..., 3) [m/s].
        height_grid: (..., cells) torso z minus terrain z [m].
        reference: the moment of the clip to be tracked.
        gait_phase: (..., 2) of `vm_core.gait_clock`.
        foot_phase: (..., 2) of `vm_core.phase_clocks.FootPhases` [rad].
        cycle_phase: (...) of `vm_core.phase_clocks.CyclePhase`, 0 to 1.
        anchor_pos_world, anchor_quat_wxyz: (..., 3) [m], (..., 4) the anchor of the contract, on the robot.
        keypoint_command, last_keypoint_command: (..., 18) [m] of `vm_core.keypoint_command`, to be followed now, and
            given one control period ago.
        task_yaw: (...) [rad] the pelvis' heading since the policy began.
        run: (...) 1 where the task is to be done, 0 where the robot is to stand still.
        memory: (..., M) what the network itself gave for this one control period ago; 0 at first.
        gait_pace: (..., 1) of `vm_core.gait_pace`: 1 while quick steps are under way, else 0.
    """

    joint_pos: Array
    joint_vel: Array
    default_joint_pos: Array
    root_quat_wxyz: Array
    root_ang_vel_body: Array
    last_action: Array
    command: Array | None = None
    root_pos_world: Array | None = None
    root_lin_vel_world: Array | None = None
    height_grid: Array | None = None
    reference: ReferenceFrame | None = None
    gait_phase: Array | None = None
    foot_phase: Array | None = None
    cycle_phase: Array | None = None
    anchor_pos_world: Array | None = None
    anchor_quat_wxyz: Array | None = None
    keypoint_command: Array | None = None
    last_keypoint_command: Array | None = None
    task_yaw: Array | None = None
    run: Array | None = None
    memory: Array | None = None
    gait_pace: Array | None = None


def _need(value: Array | None, what: str) -> Array:
    if value is None:
        raise VmError(f"the policy's observation needs {what}, which nothing provides")
    return value


def _reference(x: ObservationInputs) -> ReferenceFrame:
    if x.reference is None:
        raise VmError("the policy's observation needs a reference clip, which nothing provides")
    return x.reference


def _projected_gravity(x: ObservationInputs) -> Array:
    xp = array_namespace(x.root_quat_wxyz)
    down = xp.zeros_like(x.root_quat_wxyz[..., :3])
    down[..., 2] = -1.0
    return quat_rotate_inverse(x.root_quat_wxyz, down)


def _in_heading(x: ObservationInputs, world: Array) -> Array:
    return quat_rotate_inverse(heading_quat(x.root_quat_wxyz), world)


def _ref_root_pos_error(x: ObservationInputs) -> Array:
    return _in_heading(x, _reference(x).root_pos_world - _need(x.root_pos_world, "odometry (root position)"))


def _ref_root_lin_vel_error(x: ObservationInputs) -> Array:
    velocity = _need(x.root_lin_vel_world, "odometry (root velocity)")
    return _in_heading(x, _reference(x).root_lin_vel_world - velocity)


def _ref_root_ori_error(x: ObservationInputs) -> Array:
    return rotvec_from_quat(quat_multiply(quat_conjugate(x.root_quat_wxyz), _reference(x).root_quat_wxyz))


def _base_lin_vel(x: ObservationInputs) -> Array:
    return quat_rotate_inverse(x.root_quat_wxyz, _need(x.root_lin_vel_world, "odometry (root velocity)"))


def _imu_lin_vel(x: ObservationInputs) -> Array:
    xp = array_namespace(x.root_ang_vel_body)
    arm = xp.zeros_like(x.root_ang_vel_body) + xp.asarray(IMU_POS_IN_PELVIS, dtype=x.root_ang_vel_body.dtype)
    return _base_lin_vel(x) + xp.linalg.cross(x.root_ang_vel_body, arm)


def _reference_anchor(x: ObservationInputs, what: str) -> Array:
    return _need(getattr(_reference(x), f"anchor_{what}"), "an anchor body of the reference")


def _ref_anchor_pos(x: ObservationInputs) -> Array:
    own = _need(x.anchor_pos_world, "odometry and an anchor body")
    return quat_rotate_inverse(_need(x.anchor_quat_wxyz, "an anchor body"), _reference_anchor(x, "pos_world") - own)


def _ref_anchor_ori(x: ObservationInputs) -> Array:
    own = _need(x.anchor_quat_wxyz, "an anchor body")
    turn = matrix_from_quat(quat_multiply(quat_conjugate(own), _reference_anchor(x, "quat_wxyz")))
    return array_namespace(turn).reshape(turn[..., :2], (*turn.shape[:-2], 6))


def _cycle_phase(x: ObservationInputs) -> Array:
    angle = 2.0 * math.pi * _need(x.cycle_phase, "a cycle clock")[..., None]
    xp = array_namespace(angle)
    return xp.concat([xp.sin(angle), xp.cos(angle)], axis=-1)


def _task_heading(x: ObservationInputs) -> Array:
    yaw = _need(x.task_yaw, "a heading since the start")[..., None]
    xp = array_namespace(yaw)
    return xp.concat([xp.cos(yaw), xp.sin(yaw)], axis=-1)


def _foot_phase(x: ObservationInputs) -> Array:
    return _need(x.foot_phase, "a clock of the feet")


def _leg_velocity(x: ObservationInputs) -> Array:
    return leg_velocity(x.root_quat_wxyz, x.root_ang_vel_body, x.joint_pos, x.joint_vel)


TERMS: dict[str, Callable[[ObservationInputs], Array]] = {
    "base_ang_vel": lambda x: x.root_ang_vel_body,
    "projected_gravity": _projected_gravity,
    "velocity_commands": lambda x: _need(x.command, "a root command"),
    "linear_velocity_commands": lambda x: _need(x.command, "a root command")[..., :2],
    "yaw_rate_command": lambda x: _need(x.command, "a root command")[..., 2:],
    "gait_phase": lambda x: _need(x.gait_phase, "a gait clock"),
    "gait_pace": lambda x: _need(x.gait_pace, "a gait clock of two paces"),
    "foot_phase_sin": lambda x: array_namespace(_foot_phase(x)).sin(_foot_phase(x)),
    "foot_phase_cos": lambda x: array_namespace(_foot_phase(x)).cos(_foot_phase(x)),
    "cycle_phase": _cycle_phase,
    "base_lin_vel": _base_lin_vel,
    "imu_lin_vel": _imu_lin_vel,
    "joint_pos": lambda x: x.joint_pos,
    "joint_pos_rel": lambda x: x.joint_pos - x.default_joint_pos,
    "joint_vel_rel": lambda x: x.joint_vel,
    "last_action": lambda x: x.last_action,
    "height_grid": lambda x: _need(x.height_grid, "a height grid"),
    "ref_joint_pos_rel": lambda x: _reference(x).joint_pos - x.default_joint_pos,
    "ref_joint_pos_error": lambda x: _reference(x).joint_pos - x.joint_pos,
    "ref_joint_vel": lambda x: _reference(x).joint_vel,
    "ref_root_pos_error": _ref_root_pos_error,
    "ref_root_lin_vel_error": _ref_root_lin_vel_error,
    "ref_root_ori_error": _ref_root_ori_error,
    "ref_joint_state": lambda x: array_namespace(x.joint_pos).concat(
        [_reference(x).joint_pos, _reference(x).joint_vel], axis=-1
    ),
    "ref_anchor_pos": _ref_anchor_pos,
    "ref_anchor_ori": _ref_anchor_ori,
    "keypoint_command": lambda x: _need(x.keypoint_command, "a keypoint command"),
    "last_keypoint_command": lambda x: _need(x.last_keypoint_command, "the last keypoint command"),
    "task_heading": _task_heading,
    "run": lambda x: _need(x.run, "a run bit")[..., None],
    "memory": lambda x: _need(x.memory, "a memory"),
    "leg_velocity": _leg_velocity,
    "ref_phase": lambda x: _reference(x).phase[..., None],
}
"""Every term by name. Errors are in the robot's heading frame [m, m/s], orientations as rotation vectors [rad];
`base_lin_vel` is the pelvis origin's and `imu_lin_vel` the IMU's, in the pelvis frame; `ref_anchor_pos` and
`ref_anchor_ori` are the reference's anchor in the robot's (two columns of the rotation matrix, row by row);
`task_heading` is cosine and sine of the heading since the policy began; `leg_velocity` is the pelvis' ahead and to the
left, over the foot that bears, of the 23 joints in the policy's order."""
COMMAND_TERMS = frozenset(("keypoint_command", "last_keypoint_command", "task_heading", "run", "memory"))
"""Terms that only the node's visual policies are told (`vm_core.visual_bundle`)."""
ODOMETRY_TERMS = frozenset(
    ("ref_root_pos_error", "ref_root_lin_vel_error", "base_lin_vel", "imu_lin_vel", "ref_anchor_pos")
)
"""Terms that read a position or a linear velocity."""
ANCHOR_TERMS = frozenset(("ref_anchor_pos", "ref_anchor_ori"))
PHASE_TERMS = {"foot_phase_sin": "feet", "foot_phase_cos": "feet", "cycle_phase": "cycle"}
"""Terms that read a clock of `vm_core.phase_clocks`, and which."""
