"""All frames of a clip together: the person's motion, calm joints, and nothing inside the scene or the robot itself.

Inverse kinematics frame by frame (`inverse_kinematics`) gives the start. Here one banded Levenberg-Marquardt problem
holds everything that spans frames (accelerations, speeds), and what must not happen as stiff one-sided springs.
"""

from __future__ import annotations

from collections.abc import Iterator

import mujoco
import numpy as np
from scipy.linalg import LinAlgError, solveh_banded
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from vm_core import g1
from vm_core.scene_asset import SceneAsset
from vm_reconstruction.retarget.balance import Support
from vm_reconstruction.retarget.clearance import SceneSurfaces
from vm_reconstruction.retarget.collision_shapes import CollisionShapes, Near, SceneGaps
from vm_reconstruction.retarget.pose_rows import PoseTargets, Weights
from vm_reconstruction.retarget.robot_tree import FRAME_SIZE, ROOT_SIZE, Links, Motion, RobotTree
from vm_reconstruction.retarget.rows import JointRows, Rows
from vm_reconstruction.retarget.targets import BodyTargets
from vm_reconstruction.solver.joint import so3

STAGES = ((0.1, 6), (0.3, 6), (1.0, 6), (1.0, 6), (1.0, 6), (1.0, 10))  # share of the firmness, most steps with it
ENOUGH, REFUSED_DAMPING = 1e-3, 1e-2  # a step that gains less of the cost is the last of its stage
LONGEST_STEP_RAD = 0.8  # of any joint in one step; the springs know nothing of what is farther away
SHORTENED_BESIDE = 9  # frames on both sides of one whose step is too long take shorter ones, too
REACH_M = 0.05  # shapes farther apart than this are looked at again only every few steps


class AllFrames:
    """One clip's problem; `solve` improves a motion."""

    def __init__(
        self,
        model: mujoco.MjModel,
        scene: SceneAsset,
        targets: BodyTargets,
        fps: float,
        resting: Support | None = None,
        weights: Weights | None = None,
    ) -> None:
        self._weights = weights or Weights()
        self._fps = fps
        self._tree = RobotTree(model)
        self._shapes = CollisionShapes(model)
        w = self._weights
        self._gaps = SceneGaps(self._shapes, SceneSurfaces(scene), w.scene_margin_m, w.sole_margin_m)
        self._targets = PoseTargets(model, targets, w)
        self._support = resting
        self._stiffness = 1.0
        self._pairs = self._spheres = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))

    def solve(self, qpos: np.ndarray) -> np.ndarray:
        """The motion (T, 36) after Levenberg-Marquardt steps; joints end inside their limits."""
        motion, damping = Motion.from_qpos(qpos), 1e-4
        for stiffness, most in STAGES:
            self._stiffness = stiffness
            self._look_around(self._tree.links(motion))
            motion, damping = self._descend(motion, damping, most)
        return motion.qpos

    def _descend(self, motion: Motion, damping: float, most: int) -> tuple[Motion, float]:
        """At most so many steps at one stiffness, fewer when they gain nothing; the damping to go on with."""
        rows, cost = self._rows(motion)
        normal = self._normal(rows, motion)
        for _ in range(most):
            step = _solve(*normal, damping)
            trial = _inside_limits(motion.moved(step)) if step is not None else motion
            trial_rows, trial_cost = self._rows(trial)
            if step is None or not trial_cost < cost:
                damping = max(damping * 10.0, REFUSED_DAMPING)
                continue
            gain = (cost - trial_cost) / cost
            motion, rows, cost, damping = trial, trial_rows, trial_cost, damping * 0.2
            if gain < ENOUGH:
                break
            normal = self._normal(rows, motion)
        return motion, damping

    def _look_around(self, links: Links) -> None:
        self._pairs = self._shapes.possible_pairs(links, REACH_M)
        self._spheres = self._gaps.possible(links, REACH_M)

    def _rows(self, motion: Motion) -> tuple[list[Rows | JointRows], float]:
        links = self._tree.links(motion)
        rows: list[Rows | JointRows] = [*self._targets.rows(self._tree, links, motion), *self._contact_rows(links)]
        if self._support is not None:
            rows += self._support.rows(self._tree, links, self._weights.balance)
        cost = sum(float(np.sum(r.residual**2)) for r in rows)
        calm, excess, over = self._calmness(motion)
        return rows, cost + float(np.sum(calm**2) + np.sum(excess**2) + np.sum(over**2))

    def _contact_rows(self, links: Links) -> Iterator[Rows]:
        w = self._weights
        itself = self._shapes.between(links, *self._pairs).closer_than(w.self_margin_m)
        yield self._push(links, itself, itself.gap - w.self_margin_m, self._stiffness * w.itself)
        scene = self._gaps.between(links, *self._spheres)
        yield self._push(links, scene, scene.gap, self._stiffness * w.scene)

    def _push(self, links: Links, near: Near, depth: np.ndarray, weight: float) -> Rows:
        jacobian = self._tree.point_jacobian(links, near.frames, near.body_a, near.point_a)
        moving = near.body_b > 0
        other = self._tree.point_jacobian(links, near.frames[moving], near.body_b[moving], near.point_b[moving])
        jacobian[moving] -= other
        along = np.einsum("ni,nij->nj", near.normal, jacobian)
        return Rows(near.frames, weight * depth[:, None], weight * along[:, None])

    def _accelerations(self, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
        """Velocities (T-1, 35) and accelerations (T-2, 35) of the unknowns, SI."""
        turn = so3.log(motion.root_rot[1:] @ motion.root_rot[:-1].transpose(0, 2, 1))
        velocity = np.concatenate([np.diff(motion.root_pos, axis=0), turn, np.diff(motion.joints, axis=0)], axis=1)
        velocity *= self._fps
        return velocity, np.diff(velocity, axis=0) * self._fps

    def _calm_weights(self) -> np.ndarray:
        w = self._weights
        return np.r_[np.full(3, w.calm_pelvis[0]), np.full(3, w.calm_pelvis[1]), np.full(29, w.calm_joint)]

    def _calmness(self, motion: Motion) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weighted accelerations (T-2, 35), the joints' beyond the limit (T-2, 35), speeds beyond theirs (T-1, 35)."""
        w, (velocity, acceleration) = self._weights, self._accelerations(motion)
        calm = acceleration * self._calm_weights()
        beyond = acceleration - np.clip(acceleration, -w.acceleration_limit, w.acceleration_limit)
        beyond[:, :ROOT_SIZE] = 0.0
        fastest = np.r_[np.full(ROOT_SIZE, np.inf), w.speed_share * g1.VELOCITY_LIMIT]
        too_fast = velocity - np.clip(velocity, -fastest, fastest)
        return calm, beyond * w.stiff * w.calm_joint, too_fast * 2.0

    def _normal(self, rows: list[Rows | JointRows], motion: Motion) -> tuple[np.ndarray, np.ndarray]:
        """Lower band (71, T * 35) of the normal matrix and the gradient."""
        frames = len(motion.joints)
        blocks, gradient = np.zeros((frames, FRAME_SIZE, FRAME_SIZE)), np.zeros((frames, FRAME_SIZE))
        for part in rows:
            part.add(blocks, gradient)
        band = np.zeros((2 * FRAME_SIZE + 1, frames, FRAME_SIZE))
        for offset in range(FRAME_SIZE):
            band[offset, :, : FRAME_SIZE - offset] = np.diagonal(blocks, -offset, axis1=1, axis2=2)
        self._add_calmness(band, gradient, motion)
        return band.reshape(2 * FRAME_SIZE + 1, -1), gradient.ravel()

    def _add_calmness(self, band: np.ndarray, gradient: np.ndarray, motion: Motion) -> None:
        w, stencil = self._weights, np.array([1.0, -2.0, 1.0])
        calm, beyond, too_fast = self._calmness(motion)
        plain, firm = self._calm_weights() * self._fps**2, w.stiff * w.calm_joint * self._fps**2
        squared = plain**2 + np.where(beyond != 0.0, firm**2, 0.0)
        pull = calm * plain + beyond * firm
        count = len(calm)
        for i in range(3):
            gradient[i : i + count] += stencil[i] * pull
            for j in range(i, 3):
                band[(j - i) * FRAME_SIZE, i : i + count] += stencil[i] * stencil[j] * squared
        fast = np.where(too_fast != 0.0, (2.0 * self._fps) ** 2, 0.0)
        pull = too_fast * 2.0 * self._fps
        gradient[:-1] -= pull
        gradient[1:] += pull
        band[0, :-1] += fast
        band[0, 1:] += fast
        band[FRAME_SIZE, :-1] -= fast


def _inside_limits(motion: Motion) -> Motion:
    return Motion(motion.root_pos, motion.root_rot, np.clip(motion.joints, g1.JOINT_LOWER, g1.JOINT_UPPER))


def _solve(band: np.ndarray, gradient: np.ndarray, damping: float) -> np.ndarray | None:
    damped = band.copy()
    damped[0] += damping * np.maximum(band[0], 1.0)
    try:
        step = solveh_banded(damped, -gradient, lower=True, check_finite=False, overwrite_ab=True, overwrite_b=True)
    except LinAlgError:
        return None
    step = step.reshape(-1, FRAME_SIZE)
    share = np.minimum(1.0, LONGEST_STEP_RAD / np.maximum(np.abs(step).max(axis=1), 1e-9))
    # the least around a frame, then averaged as widely, is smooth in time and nowhere more than the frame's own
    share = uniform_filter1d(minimum_filter1d(share, 2 * SHORTENED_BESIDE + 1), 2 * SHORTENED_BESIDE + 1)
    return step * share[:, None]
