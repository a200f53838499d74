"""The 18 numbers between what the robot is to do and how it moves: errors of the root and of five keypoints.

Form of VisualMimic (arXiv 2509.20322): the root's error, then for head, left hand, right hand, left foot and right foot
(desired keypoint relative to the desired root) minus (current keypoint relative to the current root), all in metres.
The root's orientation is not commanded. numpy and torch, batched over leading axes.

**Axes.** All six vectors are differences in the world, turned into the axes of `axes_quat`: z up, x along one heading,
the same for all six. Nothing in them needs a north. Two headings make sense, and a tracker is trained with one of them:
the robot's own of this moment (ours: a network's other senses are in the pelvis' frame, too), or the one with which the
policy began, the *task frame*, which the term `task_heading` tells a network of. In both, a goal that is turned against
the robot shows in the keypoints; the ablation "local frame" takes the goal's keypoints in the goal's own heading
instead, and does not. Turning the robot, the goal and the axes together changes nothing; turning robot and goal alone
turns each of the six vectors.

**Nothing here is measured on the robot**: the generator writes the command and the tracker reads it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from vm_core import g1
from vm_core.errors import VmError
from vm_core.frames import Array, quat_rotate, quat_rotate_inverse
from vm_core.g1_kinematics import link_poses_world


@dataclass(frozen=True)
class Keypoint:
    """A point that a body carries.

    Attributes:
        name: for people.
        body: link of the G1.
        joint: the joint that moves this link.
        offset: (3,) in the link [m].
    """

    name: str
    body: str
    joint: str
    offset: tuple[float, float, float]


_SOLE = (float(g1.SOLE_CENTER[0]), float(g1.SOLE_CENTER[1]), float(g1.SOLE_CENTER[2]))
KEYPOINTS: tuple[Keypoint, ...] = (
    Keypoint("head", g1.TORSO_BODY, "waist_pitch_joint", (0.0, 0.0, 0.43)),
    Keypoint("left_hand", "left_wrist_yaw_link", "left_wrist_yaw_joint", (0.08, 0.0, 0.0)),
    Keypoint("right_hand", "right_wrist_yaw_link", "right_wrist_yaw_joint", (0.08, 0.0, 0.0)),
    Keypoint("left_foot", g1.FOOT_BODIES[0], "left_ankle_roll_joint", _SOLE),
    Keypoint("right_foot", g1.FOOT_BODIES[1], "right_ankle_roll_joint", _SOLE),
)
"""Centre of the head's shell, the palms (sites of Unitree's model; wrists held), the middles of the soles. The root is
the pelvis' origin."""
KEYPOINT_BODIES: tuple[str, ...] = tuple(point.body for point in KEYPOINTS)
KEYPOINT_NAMES: tuple[str, ...] = tuple(point.name for point in KEYPOINTS)
KEYPOINT_OFFSETS: np.ndarray = np.array([point.offset for point in KEYPOINTS])
COMMAND_NAMES: tuple[str, ...] = tuple(f"{name}_{axis}" for name in ("root", *KEYPOINT_NAMES) for axis in "xyz")
COMMAND_SIZE = len(COMMAND_NAMES)
_MOTORS = np.array([g1.motor_index(point.joint) for point in KEYPOINTS])
_POLICY_MOTORS = [g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]


def keypoints_on_bodies(body_pos: Array, body_quat_wxyz: Array) -> Array:
    """Keypoints (..., 5, 3) [m] in the frame of the bodies' poses.

    Args:
        body_pos: (..., 5, 3) origins of KEYPOINT_BODIES, in this order [m].
        body_quat_wxyz: (..., 5, 4) their orientations.
    """
    return body_pos + quat_rotate(body_quat_wxyz, _like(KEYPOINT_OFFSETS, body_pos))


def keypoints_of_joints(root_pos: Array, root_quat_wxyz: Array, joint_pos: Array) -> Array:
    """Keypoints (..., 5, 3) [m] in the root's world.

    Args:
        root_pos: (..., 3) pelvis [m].
        root_quat_wxyz: (..., 4).
        joint_pos: (..., 29) in motor order or (..., 23) in `g1.POLICY_JOINT_NAMES`' order, the wrists held [rad].
    """
    return keypoint_poses(root_pos, root_quat_wxyz, joint_pos)[0]


def keypoint_poses(root_pos: Array, root_quat_wxyz: Array, joint_pos: Array) -> tuple[Array, Array]:
    """The same, and the orientations (..., 5, 4) of the bodies that carry them."""
    xp = array_namespace(joint_pos)
    if joint_pos.shape[-1] == len(_POLICY_MOTORS):
        motors = _like(g1.DEFAULT_STAND_POSE, joint_pos) + xp.zeros_like(joint_pos[..., :1])
        motors[..., _POLICY_MOTORS] = joint_pos
        joint_pos = motors
    if joint_pos.shape[-1] != g1.NUM_MOTORS:
        raise VmError(f"{joint_pos.shape[-1]} joints; expected {g1.NUM_MOTORS} motors or {len(_POLICY_MOTORS)} joints")
    position, quat = link_poses_world(root_pos, root_quat_wxyz, joint_pos, _MOTORS)
    return keypoints_on_bodies(position, quat), quat


def keypoint_command(
    desired_root: Array, desired_keypoints: Array, root: Array, keypoints: Array, axes_quat: Array
) -> Array:
    """The command (..., 18) [m], in the order of COMMAND_NAMES.

    Args:
        desired_root, root: (..., 3) pelvis in the world [m].
        desired_keypoints, keypoints: (..., 5, 3) in the world [m].
        axes_quat: (..., 4) wxyz of the axes in the world, see above.
    """
    xp = array_namespace(root)
    relative = (desired_keypoints - desired_root[..., None, :]) - (keypoints - root[..., None, :])
    vectors = xp.concat([(desired_root - root)[..., None, :], relative], axis=-2)
    turned = quat_rotate_inverse(axes_quat[..., None, :], vectors)
    return xp.reshape(turned, (*turned.shape[:-2], COMMAND_SIZE))


def commanded_points(command: Array, root: Array, keypoints: Array, axes_quat: Array) -> tuple[Array, Array]:
    """The desired root (..., 3) and keypoints (..., 5, 3) in the world of a command; undoes `keypoint_command`."""
    xp = array_namespace(command)
    turned = quat_rotate(axes_quat[..., None, :], xp.reshape(command, (*command.shape[:-1], 6, 3)))
    desired_root = root + turned[..., 0, :]
    return desired_root, keypoints + (desired_root - root)[..., None, :] + turned[..., 1:, :]


@dataclass(frozen=True)
class CommandStatistics:
    """What commands of human motions are like, as the tracker's normaliser saw them in its training.

    Attributes:
        mean, deviation: (18,) of each number [m].
        clip_sigma: the generator's commands are clamped to mean ± this many deviations; 1.64 leaves 90 % of a Gaussian.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    clip_sigma: float = 1.64

    def __post_init__(self) -> None:
        for name, values in (("mean", self.mean), ("deviation", self.deviation)):
            if len(values) != COMMAND_SIZE or not all(math.isfinite(value) for value in values):
                raise VmError(f"command {name} has {len(values)} values; expected {COMMAND_SIZE} finite ones")
        if min(self.deviation) <= 0.0 or not 0.0 < self.clip_sigma <= 10.0:
            raise VmError(f"command deviation down to {min(self.deviation):g}, clip at {self.clip_sigma:g} deviations; "
                          "expected above 0, and 0 to 10")  # fmt: skip

    @property
    def bounds(self) -> np.ndarray:
        """(2, 18) least and greatest command [m]."""
        mean, reach = np.array(self.mean), self.clip_sigma * np.array(self.deviation)
        return np.stack([mean - reach, mean + reach])

    def clamped(self, command: Array) -> Array:
        """Commands (..., 18), each number inside `bounds`."""
        bounds = _like(self.bounds, command)
        return command.clip(bounds[0], bounds[1])


def _like(values: np.ndarray, array: Array) -> Any:
    """Constants with an array's kind, precision and place."""
    return array_namespace(array).asarray(values, dtype=array.dtype, device=device(array), copy=True)
