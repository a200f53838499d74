"""When an episode is over before its time; each (N,) bool on torch tensors."""

from __future__ import annotations

import torch


def diverged(qpos: torch.Tensor, qvel: torch.Tensor, fastest: float = 100.0) -> torch.Tensor:
    """States (N, nq), (N, nv) that are no numbers, or faster than anything that a robot does."""
    return ~(qpos.isfinite().all(1) & (qvel.abs() < fastest).all(1))


def tilted(root_quat_wxyz: torch.Tensor, limit_up: float = 0.5) -> torch.Tensor:
    """Pelvis orientations (N, 4) tilted so far that their z axis points less than this upwards (0.5: 60 degrees)."""
    return ~(1.0 - 2.0 * (root_quat_wxyz[:, 1].square() + root_quat_wxyz[:, 2].square()) > limit_up)


def low(height_over_ground: torch.Tensor, limit_m: float) -> torch.Tensor:
    """Pelvis heights (N,) [m] over what is under them, below a limit."""
    return ~(height_over_ground > limit_m)


def off_reference(positions: torch.Tensor, wanted: torch.Tensor, limit_m: float) -> torch.Tensor:
    """Any body (N, B, 3) farther than this from the clip's."""
    return ~((positions - wanted).norm(dim=-1).amax(1) < limit_m)
