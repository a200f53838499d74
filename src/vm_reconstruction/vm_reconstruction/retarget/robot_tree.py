"""The robot's joint tree over all frames at once: link poses and how points on links move with the unknowns.

A frame's unknowns are, in this order: the pelvis' shift in the world [m], its turn about the world's axes [rad], and
the 29 joints [rad]; 35 together.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from vm_core.frames import matrix_from_quat, quat_from_matrix
from vm_reconstruction.solver.joint import so3

ROOT_SIZE = 6
FRAME_SIZE = ROOT_SIZE + 29


@dataclass(frozen=True)
class Motion:
    """T frames: root_pos (T, 3) [m], root_rot (T, 3, 3), joints (T, 29) [rad]."""

    root_pos: np.ndarray
    root_rot: np.ndarray
    joints: np.ndarray

    @classmethod
    def from_qpos(cls, qpos: np.ndarray) -> Motion:
        """From MuJoCo's (T, 36)."""
        return cls(qpos[:, :3].copy(), matrix_from_quat(qpos[:, 3:7]), qpos[:, 7:].copy())

    @property
    def qpos(self) -> np.ndarray:
        """(T, 36) as MuJoCo has it."""
        return np.column_stack([self.root_pos, quat_from_matrix(self.root_rot), self.joints])

    def moved(self, step: np.ndarray) -> Motion:
        """After a step (T, 35) of the unknowns."""
        turn = so3.exp(step[:, 3:ROOT_SIZE])
        return Motion(self.root_pos + step[:, :3], turn @ self.root_rot, self.joints + step[:, ROOT_SIZE:])


@dataclass(frozen=True)
class Links:
    """Poses of all bodies over T frames: pos (T, B, 3), rot (T, B, 3, 3); joint axes (T, 29, 3) in the world."""

    pos: np.ndarray
    rot: np.ndarray
    axis: np.ndarray

    def points(self, frames: np.ndarray, bodies: np.ndarray, local: np.ndarray) -> np.ndarray:
        """World positions (N, 3) of points given in body frames (N, 3)."""
        return self.pos[frames, bodies] + (self.rot[frames, bodies] @ local[..., None])[..., 0]


class RobotTree:
    """Forward kinematics and Jacobians of the G1: a free pelvis and 29 hinges at their bodies' origins.

    Bodies are counted as in the model (0 is the world, 1 the pelvis, body 2 + j carries joint j).
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        assert model.nv == FRAME_SIZE and not model.jnt_pos[1:].any(), "expected the 29-joint G1"
        assert list(model.jnt_bodyid[1:]) == list(range(2, model.nbody))
        self.num_bodies = model.nbody
        self._parent = model.body_parentid.copy()
        self._offset = model.body_pos.copy()
        self._lean = matrix_from_quat(model.body_quat.copy())
        self._axis = model.jnt_axis[1:].copy()
        self._cross = so3.skew(self._axis)
        self._cross_twice = self._cross @ self._cross
        self.carries = np.zeros((model.nbody, 29))  # 1 where a joint moves a body
        for body in range(2, model.nbody):
            self.carries[body] = self.carries[self._parent[body]]
            self.carries[body, body - 2] = 1.0
        self._mass = model.body_mass / model.body_mass.sum()
        self._com_local = model.body_ipos.copy()

    def links(self, motion: Motion) -> Links:
        """Poses of all bodies."""
        frames = len(motion.joints)
        pos, rot = np.zeros((frames, self.num_bodies, 3)), np.zeros((frames, self.num_bodies, 3, 3))
        rot[:, 0] = np.eye(3)
        pos[:, 1], rot[:, 1] = motion.root_pos, motion.root_rot
        angle = motion.joints[..., None, None]
        turned = np.eye(3) + np.sin(angle) * self._cross + (1.0 - np.cos(angle)) * self._cross_twice
        for body in range(2, self.num_bodies):
            above = self._parent[body]
            pos[:, body] = pos[:, above] + rot[:, above] @ self._offset[body]
            rot[:, body] = rot[:, above] @ self._lean[body] @ turned[:, body - 2]
        return Links(pos, rot, (rot[:, 2:] @ self._axis[..., None])[..., 0])

    def point_jacobian(self, links: Links, frames: np.ndarray, bodies: np.ndarray, points: np.ndarray) -> np.ndarray:
        """(N, 3, 35): change of world points (N, 3) fixed to bodies (N,) in frames (N,)."""
        result = np.zeros((len(frames), 3, FRAME_SIZE))
        result[:, :, :3] = np.eye(3)
        result[:, :, 3:ROOT_SIZE] = -so3.skew(points - links.pos[frames, 1])
        arm = (points[:, None] - links.pos[frames, 2:]) * self.carries[bodies][:, :, None]
        _cross_into(links.axis[frames], arm, result)
        return result

    def turn_jacobian(self, links: Links, frames: np.ndarray, bodies: np.ndarray) -> np.ndarray:
        """(N, 3, 35): turn of bodies about the world's axes."""
        result = np.zeros((len(frames), 3, FRAME_SIZE))
        result[:, :, 3:ROOT_SIZE] = np.eye(3)
        result[:, :, ROOT_SIZE:] = (links.axis[frames] * self.carries[bodies][:, :, None]).transpose(0, 2, 1)
        return result

    def center_of_mass(self, links: Links, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Centres of mass (N, 3) [m, world] in frames (N,) and their Jacobian (N, 3, 35)."""
        parts = links.pos[frames] + np.einsum("nbij,bj->nbi", links.rot[frames], self._com_local)
        moments = np.einsum("b,nbi->nbi", self._mass, parts)
        center = moments.sum(axis=1)
        carried = np.einsum("nbi,bj->nji", moments, self.carries)
        share = self._mass @ self.carries
        arm = carried - share[None, :, None] * links.pos[frames, 2:]
        result = np.zeros((len(frames), 3, FRAME_SIZE))
        result[:, :, :3] = np.eye(3)
        result[:, :, 3:ROOT_SIZE] = -so3.skew(center - links.pos[frames, 1])
        _cross_into(links.axis[frames], arm, result)
        return center, result


def _cross_into(axis: np.ndarray, arm: np.ndarray, result: np.ndarray) -> None:
    """axis x arm (N, 29, 3) as the joints' columns of result (N, 3, 35); np.cross takes several times longer."""
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        result[:, k, ROOT_SIZE:] = axis[..., i] * arm[..., j] - axis[..., j] * arm[..., i]
