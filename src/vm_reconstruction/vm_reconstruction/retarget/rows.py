"""Residual rows that touch one frame each, and how they enter the normal equations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_reconstruction.retarget.robot_tree import FRAME_SIZE


@dataclass(frozen=True)
class Rows:
    """Residuals (N, m) of frames (N,) and their Jacobians (N, m, 35), divided by their standard deviations."""

    frames: np.ndarray
    residual: np.ndarray
    jacobian: np.ndarray

    def add(self, blocks: np.ndarray, gradient: np.ndarray) -> None:
        """Adds J^T J and J^T r to the frames' blocks."""
        count, size = len(blocks), FRAME_SIZE
        if not len(self.frames):
            return
        order = np.argsort(self.frames, kind="stable")
        frames, first = np.unique(self.frames[order], return_index=True)
        jacobian, residual = self.jacobian[order], self.residual[order]
        if len(self.frames) % count == 0 and len(frames) == count and (np.diff(first) == first[1] - first[0]).all():
            j = jacobian.reshape(count, -1, size)
            blocks += j.transpose(0, 2, 1) @ j
            gradient += np.einsum("tnk,tn->tk", j, residual.reshape(count, -1))
            return
        blocks[frames] += np.add.reduceat(jacobian.transpose(0, 2, 1) @ jacobian, first, axis=0)
        gradient[frames] += np.add.reduceat(np.einsum("nmk,nm->nk", jacobian, residual), first, axis=0)
