"""Where the bodies of many robots are and how they move, from their joints: MuJoCo's kinematics for all at once."""

from __future__ import annotations

import mujoco
import numba
import numpy as np


class BatchKinematics:
    """Forward kinematics of a free-floating tree of hinges.

    Attributes:
        names: bodies in the order of the results.
    """

    def __init__(self, model: mujoco.MjModel, names: tuple[str, ...]) -> None:
        self.names = names
        joints = [int(model.body_jntadr[b]) if model.body_jntnum[b] else -1 for b in range(model.nbody)]
        hinges = np.array([j if j >= 0 and model.jnt_type[j] == mujoco.mjtJoint.mjJNT_HINGE else -1 for j in joints])
        assert np.all(model.body_jntnum[2:] <= 1) and not np.any(model.jnt_pos[hinges[hinges >= 0]])
        at = np.where(hinges >= 0, model.jnt_qposadr[np.maximum(hinges, 0)], -1)
        speed_at = np.where(hinges >= 0, model.jnt_dofadr[np.maximum(hinges, 0)], -1)
        axis = np.where(hinges[:, None] >= 0, model.jnt_axis[np.maximum(hinges, 0)], 0.0)
        wanted = np.full(model.nbody, -1)
        wanted[[model.body(name).id for name in names]] = np.arange(len(names))
        keep = _needed(model.body_parentid, wanted)
        self._tree = (model.body_parentid.astype(np.int64), at, speed_at, keep, wanted)
        self._shape = (model.body_pos.copy(), model.body_quat.copy(), axis.copy())

    def compute(self, qpos: np.ndarray, qvel: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Positions (N, B, 3) [m], orientations (N, B, 4), linear (N, B, 3) [m/s] and angular (N, B, 3) [rad/s]
        velocities of the bodies' origins, all in the world."""
        count, bodies = len(qpos), len(self.names)
        out = np.empty((count, bodies, 13))
        _compute(qpos, qvel, *self._tree, *self._shape, out)
        return out[..., :3], out[..., 3:7], out[..., 7:10], out[..., 10:]


def _needed(parents: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(nbody,) bool: wanted bodies and what carries them."""
    keep = wanted >= 0
    for body in range(len(parents) - 1, 0, -1):
        keep[parents[body]] |= keep[body]
    return keep


@numba.njit(cache=True, error_model="numpy")
def _rotate(q, v):
    w, x, y, z = q
    tx, ty, tz = 2 * (y * v[2] - z * v[1]), 2 * (z * v[0] - x * v[2]), 2 * (x * v[1] - y * v[0])
    return (
        v[0] + w * tx + y * tz - z * ty,
        v[1] + w * ty + z * tx - x * tz,
        v[2] + w * tz + x * ty - y * tx,
    )


@numba.njit(cache=True, error_model="numpy")
def _multiply(a, b):
    return (
        a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
        a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
        a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
        a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
    )


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _compute(qpos, qvel, parents, at, speed_at, keep, wanted, offsets, turns, axes, out):
    bodies = len(parents)
    state = np.empty((bodies, 13))
    for n in range(len(qpos)):
        q, v = qpos[n], qvel[n]
        root = (q[3], q[4], q[5], q[6])
        spin = _rotate(root, (v[3], v[4], v[5]))
        for k in range(3):
            state[1, k], state[1, 7 + k], state[1, 10 + k] = q[k], v[k], spin[k]
        for k in range(4):
            state[1, 3 + k] = q[3 + k]
        for b in range(2, bodies):
            if not keep[b]:
                continue
            up = state[parents[b]]
            turn = (up[3], up[4], up[5], up[6])
            arm = _rotate(turn, (offsets[b, 0], offsets[b, 1], offsets[b, 2]))
            # the origin moves with the parent; the joint sits in it
            fast = (up[7] + up[11] * arm[2] - up[12] * arm[1],
                    up[8] + up[12] * arm[0] - up[10] * arm[2],
                    up[9] + up[10] * arm[1] - up[11] * arm[0])  # fmt: skip
            own = _multiply(turn, (turns[b, 0], turns[b, 1], turns[b, 2], turns[b, 3]))
            rate = (up[10], up[11], up[12])
            if at[b] >= 0:
                half, axis = 0.5 * q[at[b]], (axes[b, 0], axes[b, 1], axes[b, 2])
                s = np.sin(half)
                own = _multiply(own, (np.cos(half), s * axis[0], s * axis[1], s * axis[2]))
                about, w = _rotate(own, axis), v[speed_at[b]]
                rate = (rate[0] + w * about[0], rate[1] + w * about[1], rate[2] + w * about[2])
            for k in range(3):
                state[b, k], state[b, 7 + k], state[b, 10 + k] = up[k] + arm[k], fast[k], rate[k]
            for k in range(4):
                state[b, 3 + k] = own[k]
        for b in range(1, bodies):
            if wanted[b] >= 0:
                out[n, wanted[b]] = state[b]
