"""Residual rows that touch one frame each, and how they enter the normal equations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_reconstruction.retarget.robot_tree import FRAME_SIZE, ROOT_SIZE


@dataclass(frozen=True)
class Rows:
    """Residuals (N, m) of frames (N,), ascending, and their Jacobians (N, m, 35), divided by standard deviations."""

    frames: np.ndarray
    residual: np.ndarray
    jacobian: np.ndarray

    def add(self, blocks: np.ndarray, gradient: np.ndarray) -> None:
        """Adds J^T J and J^T r to the frames' blocks: one product a frame, rows filled up with zeros to the most."""
        if not len(self.frames):
            return
        frames, first, count = np.unique(self.frames, return_index=True, return_counts=True)
        most, width = int(count.max()), self.residual.shape[1]
        jacobian, residual = self.jacobian, self.residual
        if count.min() != most:
            group = np.repeat(np.arange(len(frames)), count)
            place = np.arange(len(self.frames)) - first[group]
            jacobian = np.zeros((len(frames), most, width, FRAME_SIZE))
            residual = np.zeros((len(frames), most, width))
            jacobian[group, place], residual[group, place] = self.jacobian, self.residual
        jacobian = jacobian.reshape(len(frames), most * width, FRAME_SIZE)
        transposed = jacobian.transpose(0, 2, 1)
        blocks[frames] += transposed @ jacobian
        gradient[frames] += (transposed @ residual.reshape(len(frames), -1, 1))[..., 0]


@dataclass(frozen=True)
class JointRows:
    """Residuals (T, K, 29) that touch one joint each, all frames in order, with their derivatives (T, K, 29)."""

    residual: np.ndarray
    slope: np.ndarray

    def add(self, blocks: np.ndarray, gradient: np.ndarray) -> None:
        """As `Rows.add`, on the diagonal."""
        joint = ROOT_SIZE + np.arange(self.slope.shape[2])
        blocks[:, joint, joint] += (self.slope**2).sum(axis=1)
        gradient[:, joint] += (self.slope * self.residual).sum(axis=1)
