"""The G1's joint tree: where each link's frame sits in its parent's, by motor. A test compares it with the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from array_api_compat import device

from vm_core import frames, g1
from vm_core.arrays import array_namespace

_X, _Y, _Z = range(3)
_THIGH_TILT_RAD = 0.174896  # the hip roll link leans back by this, the knee link forward again
_SHOULDER_ROLL_RAD = 0.279311  # the shoulder pitch link leans out by this, the shoulder roll link back by 0.279252


def _about(axis: int, angle: float) -> tuple[float, float, float, float]:
    parts = [math.cos(0.5 * angle), 0.0, 0.0, 0.0]
    parts[1 + axis] = math.sin(0.5 * angle)
    return parts[0], parts[1], parts[2], parts[3]


_PLAIN = (1.0, 0.0, 0.0, 0.0)
# joint, parent joint, link's offset in the parent's link [m], lean, axis; left side of Unitree's description
_LEG = (
    ("hip_pitch", "", (0.0, 0.064452, -0.1027), _PLAIN, _Y),
    ("hip_roll", "hip_pitch", (0.0, 0.052, -0.030465), _about(_Y, -_THIGH_TILT_RAD), _X),
    ("hip_yaw", "hip_roll", (0.025001, 0.0, -0.12412), _PLAIN, _Z),
    ("knee", "hip_yaw", (-0.078273, 0.0021489, -0.17734), _about(_Y, _THIGH_TILT_RAD), _Y),
    ("ankle_pitch", "knee", (0.0, -9.4445e-05, -0.30001), _PLAIN, _Y),
    ("ankle_roll", "ankle_pitch", (0.0, 0.0, -0.017558), _PLAIN, _X),
)
_WAIST = (
    ("waist_yaw", "", (0.0, 0.0, 0.0), _PLAIN, _Z),
    ("waist_roll", "waist_yaw", tuple(g1.WAIST_ROLL_IN_WAIST_YAW.tolist()), _PLAIN, _X),
    ("waist_pitch", "waist_roll", (0.0, 0.0, 0.0), _PLAIN, _Y),
)
_ARM = (
    ("shoulder_pitch", "waist_pitch", (0.0039563, 0.10022, 0.24778), _about(_X, _SHOULDER_ROLL_RAD), _Y),
    ("shoulder_roll", "shoulder_pitch", (0.0, 0.038, -0.013831), _about(_X, -0.279252), _X),
    ("shoulder_yaw", "shoulder_roll", (0.0, 0.00624, -0.1032), _PLAIN, _Z),
    ("elbow", "shoulder_yaw", (0.015783, 0.0, -0.080518), _PLAIN, _Y),
    ("wrist_roll", "elbow", (0.1, 0.00188791, -0.01), _PLAIN, _X),
    ("wrist_pitch", "wrist_roll", (0.038, 0.0, 0.0), _PLAIN, _Y),
    ("wrist_yaw", "wrist_pitch", (0.046, 0.0, 0.0), _PLAIN, _Z),
)


def _mirrored(quat: tuple[float, ...]) -> tuple[float, ...]:
    return quat[0], -quat[1], quat[2], -quat[3]


def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Parent's motor (-1: pelvis), offsets, quaternions and axes of the links, by motor."""
    parent, axis = np.full(g1.NUM_MOTORS, -1), np.zeros(g1.NUM_MOTORS, dtype=np.int64)
    offset, lean = np.zeros((g1.NUM_MOTORS, 3)), np.zeros((g1.NUM_MOTORS, 4))
    for side, mirror in (("left_", 1.0), ("right_", -1.0), ("", 1.0)):
        for joint, above, (x, y, z), quat, own_axis in _WAIST if not side else (*_LEG, *_ARM):
            motor = g1.motor_index(f"{side}{joint}_joint")
            if above:
                parent[motor] = g1.motor_index(f"{'' if above.startswith('waist') else side}{above}_joint")
            offset[motor], axis[motor] = (x, mirror * y, z), own_axis
            lean[motor] = quat if mirror > 0 else _mirrored(quat)
    return parent, offset, lean, axis


JOINT_PARENT, JOINT_OFFSET, JOINT_LEAN_WXYZ, JOINT_AXIS = _tables()
"""By motor: the parent link's motor (29,), -1 for the pelvis; the link's offset (29, 3) [m] and turn (29, 4) at angle
zero in the parent link; the axis (29,) about which the joint turns it, 0 to 2 for x to z. Parents precede children."""
_WAIST_MOTORS = tuple(g1.motor_index(f"{joint}_joint") for joint, *_ in _WAIST)


def torso_pose(
    pelvis_pos: np.ndarray, pelvis_quat_wxyz: np.ndarray, waist: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pose of the torso link in the world.

    Args:
        pelvis_pos, pelvis_quat_wxyz: (N, 3) [m], (N, 4) in the world.
        waist: (N, 3) angles of waist yaw, roll and pitch [rad].

    Returns:
        Position (N, 3) [m] and quaternion (N, 4) wxyz.
    """
    pos, quat = pelvis_pos, pelvis_quat_wxyz
    for motor, angle in zip(_WAIST_MOTORS, waist.T, strict=True):
        if JOINT_OFFSET[motor].any():
            pos = pos + frames.quat_rotate(quat, np.broadcast_to(JOINT_OFFSET[motor], pos.shape))
        quat = frames.quat_multiply(quat, frames.quat_from_rotvec(angle[:, None] * np.eye(3)[JOINT_AXIS[motor]]))
    return pos, quat


def link_poses_world(
    root_pos: frames.Array, root_quat_wxyz: frames.Array, joint_pos: frames.Array, motors: Sequence[int] | np.ndarray
) -> tuple[frames.Array, frames.Array]:
    """Poses of some links in the world, for numpy and torch.

    For a single robot the time goes into calls, not numbers: all joints turn at once, all links that are as far from
    the pelvis follow at once, and where they are is one product over all that carries them.

    Args:
        root_pos, root_quat_wxyz: (..., 3) [m], (..., 4) pelvis in the world.
        joint_pos: (..., 29) [rad] in motor order.
        motors: (L,) motors that move the wanted links.

    Returns:
        Positions (..., L, 3) [m] and quaternions (..., L, 4) wxyz.
    """
    xp, place = array_namespace(joint_pos), device(joint_pos)
    tree = _tree(tuple(int(motor) for motor in motors))

    def constant(values: np.ndarray) -> frames.Array:
        return xp.asarray(values, dtype=joint_pos.dtype, device=place)

    half = 0.5 * joint_pos[..., tree.links][..., None, None]
    own = xp.cos(half) * constant(tree.straight) + xp.sin(half) * constant(tree.turned)
    newest, first = root_quat_wxyz[..., None, :] + xp.zeros_like(joint_pos[..., :1, None]), 0
    quats, carriers = [], []
    for above in tree.above:
        carrier = newest[..., above, :]
        newest = (own[..., first : first + len(above), :, :] @ carrier[..., None])[..., 0]
        first += len(above)
        quats.append(newest)
        carriers.append(carrier)
    ways = frames.quat_rotate(xp.concat(carriers, axis=-2), constant(tree.offset))
    pos = root_pos[..., None, :] + constant(tree.carried_by) @ ways
    return pos, xp.concat(quats, axis=-2)[..., tree.wanted, :]


@dataclass(frozen=True)
class _Tree:
    """Some links and all that carry them, the nearest to the pelvis first.

    Attributes:
        links: (C,) motors, level by level.
        above: for each level, where in the level before it each of its links hangs.
        offset: (C, 3) of each link in the one above [m].
        straight, turned: (C, 4, 4): cos(angle / 2) of the first and sin(angle / 2) of the second make the matrix that
            turns the quaternion of the link above into the link's own.
        wanted: (L,) places of the wanted links among `links`.
        carried_by: (L, C) 1 where a link carries a wanted one, or is it.
    """

    links: list[int]
    above: list[list[int]]
    offset: np.ndarray
    straight: np.ndarray
    turned: np.ndarray
    wanted: list[int]
    carried_by: np.ndarray


@cache
def _tree(motors: tuple[int, ...]) -> _Tree:
    depth = {link: len(_chain(link)) for motor in motors for link in _chain(motor)}
    levels = [sorted(link for link in depth if depth[link] == level + 1) for level in range(max(depth.values()))]
    links = [link for level in levels for link in level]
    above = [
        [before.index(int(JOINT_PARENT[link])) for link in level]
        for before, level in zip([[-1], *levels[:-1]], levels, strict=True)
    ]
    lean = JOINT_LEAN_WXYZ[links]
    axis = np.concatenate([np.zeros((len(links), 1)), np.eye(3)[JOINT_AXIS[links]]], axis=1)
    carried_by = np.array([[float(link in _chain(motor)) for link in links] for motor in motors])
    return _Tree(
        links,
        above,
        JOINT_OFFSET[links],
        _multiplied_from_the_right(lean),
        _multiplied_from_the_right(frames.quat_multiply(lean, axis)),
        [links.index(motor) for motor in motors],
        carried_by,
    )


def _multiplied_from_the_right(quat: np.ndarray) -> np.ndarray:
    """Matrices (n, 4, 4) that turn a quaternion q into q times quaternions (n, 4)."""
    units = np.broadcast_to(np.eye(4), (len(quat), 4, 4))
    return np.swapaxes(frames.quat_multiply(units, quat[:, None]), -1, -2)


def link_frames_in_pelvis(joint_pos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All links of one robot at once, as matrices.

    Args:
        joint_pos: (29,) [rad] in motor order.

    Returns:
        Positions (29, 3) [m] and rotation matrices (29, 3, 3) of the links in the pelvis, by motor.
    """
    turn = np.zeros((g1.NUM_MOTORS, 4))
    turn[:, 0] = np.cos(0.5 * joint_pos)
    turn[np.arange(g1.NUM_MOTORS), 1 + JOINT_AXIS] = np.sin(0.5 * joint_pos)
    local = frames.matrix_from_quat(frames.quat_multiply(JOINT_LEAN_WXYZ, turn))
    pos, rot = JOINT_OFFSET.copy(), local
    for motor, parent in enumerate(JOINT_PARENT):
        if parent >= 0:
            pos[motor] = pos[parent] + rot[parent] @ JOINT_OFFSET[motor]
            rot[motor] = rot[parent] @ local[motor]
    return pos, rot


def _chain(motor: int) -> list[int]:
    """A link's motor and all that carry it."""
    chain = []
    while motor >= 0:
        chain.append(motor)
        motor = int(JOINT_PARENT[motor])
    return chain
