"""At rest on both feet the centre of mass stays over them: which frames, which support, how far it is off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull

from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.retarget.feet import long_runs, sole_corners_world
from vm_reconstruction.retarget.robot_tree import Links, RobotTree
from vm_reconstruction.retarget.rows import Rows
from vm_reconstruction.retarget.targets import BodyTargets

REST_SPEED_M_S = 0.08  # of the pelvis target
REST_S = 0.3  # shorter pauses are part of a movement
INSIDE_M = 0.02  # the centre of mass stays this far from the support's edge


@dataclass(frozen=True)
class Support:
    """N frames at rest; edges of the support: normal (N, E, 2) outward, offset (N, E) [m], inf where none."""

    frames: np.ndarray
    normal: np.ndarray
    offset: np.ndarray

    def distance(self, center: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far (N,) [m] centres (N, 3) are outside (negative: inside), and the edge (N,) that is nearest."""
        beyond = np.einsum("nei,ni->ne", self.normal, center[:, :2]) - self.offset
        edge = np.argmax(beyond, axis=1)
        return beyond[np.arange(len(beyond)), edge], edge

    def rows(self, tree: RobotTree, links: Links, weight: float) -> list[Rows]:
        """One row for each frame whose centre of mass is too near the edge or beyond it."""
        if not len(self.frames):
            return []
        center, jacobian = tree.center_of_mass(links, self.frames)
        beyond, edge = self.distance(center)
        off = np.flatnonzero(beyond > -INSIDE_M)
        along = np.einsum("ni,nij->nj", self.normal[off, edge[off]], jacobian[off, :2])
        return [Rows(self.frames[off], weight * (beyond[off, None] + INSIDE_M), weight * along[:, None])]


def support_at_rest(motion: HumanMotion, targets: BodyTargets) -> Support:
    """Frames in which both feet stand, the pelvis rests and nobody sits or leans on the hands."""
    still = np.linalg.norm(np.gradient(targets.pelvis_pos, 1 / motion.fps, axis=0), axis=1) < REST_SPEED_M_S
    seat = motion.contact[:, motion.contact_names.index("seat")] > 0.5
    feet = targets.feet["left"].planted & targets.feet["right"].planted
    leaning = np.maximum(targets.hand_touching["left"], targets.hand_touching["right"]) > 0.5
    flags = feet & still & ~seat & ~leaning
    frames = np.flatnonzero(long_runs(flags, REST_S * motion.fps))
    edges = [_edges(targets, int(frame)) for frame in frames]
    most = max((len(e) for e in edges), default=1)
    normal, offset = np.zeros((len(frames), most, 2)), np.full((len(frames), most), np.inf)
    for row, equations in enumerate(edges):
        normal[row, : len(equations)], offset[row, : len(equations)] = equations[:, :2], -equations[:, 2]
    return Support(frames, normal, offset)


def _edges(targets: BodyTargets, frame: int) -> np.ndarray:
    corners = [
        sole_corners_world(path.pos_world[[frame]], path.quat_wxyz[[frame]])[0, :, :2] for path in targets.feet.values()
    ]
    return ConvexHull(np.concatenate(corners)).equations
