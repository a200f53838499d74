"""Reward terms on torch tensors, each (N,); the weights follow VideoMimic's table and are times the control period."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch

from vm_core.frames import quat_conjugate, quat_multiply


@dataclass(frozen=True)
class TrackingWeights:
    """Weights of a clip's tracking, a second."""

    joint_pos: float = 120.0
    joint_vel: float = 24.0
    link_pos: float = 30.0
    link_vel: float = 5.0
    torso_pos: float = 15.0
    torso_orientation: float = 15.0
    root_orientation: float = 15.0
    feet_contact: float = 1.0
    contact_no_vel: float = -10.0
    action_rate: float = -0.5
    joint_limits: float = -50.0
    alive: float = 50.0
    termination: float = -500.0


@dataclass(frozen=True)
class CommandWeights:
    """Weights of following a command, a second; chosen so that a second of good walking is worth about one."""

    linear: float = 1.2
    turning: float = 0.6
    upright: float = -2.0
    height: float = -3.0
    sway: float = -0.6
    slip: float = -0.15
    stumble: float = -0.2
    torque: float = -0.15
    action_rate: float = -0.06
    joint_limits: float = -4.0
    arms: float = -0.25
    still: float = -0.5
    alive: float = 0.5
    termination: float = -150.0


def weighed(weights: TrackingWeights | CommandWeights, terms: dict[str, torch.Tensor], period_s: float) -> torch.Tensor:
    """The reward (N,) of one control period; every weight needs its term."""
    names = [field.name for field in fields(weights)]
    assert set(names) == set(terms), set(names) ^ set(terms)
    scale = torch.tensor([getattr(weights, name) * period_s for name in names], device=terms[names[0]].device)
    return torch.stack([terms[name] for name in names], dim=1) @ scale


def squared(error: torch.Tensor) -> torch.Tensor:
    """Sum of squares over all but the first axis."""
    return error.square().flatten(1).sum(1)


def rotation_angle(quat: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Angle (N,) [rad] between orientations (N, 4)."""
    turn = quat_multiply(quat_conjugate(quat), wanted)
    return 2.0 * torch.atan2(turn[:, 1:].norm(dim=1), turn[:, 0].abs())


def slip(foot_lin_vel: torch.Tensor, contact: torch.Tensor) -> torch.Tensor:
    """Sum of the speeds [m/s] of feet (N, 2, 3) that bear weight (N, 2)."""
    return (foot_lin_vel[..., :2].norm(dim=-1) * contact).sum(1)


def beyond_limits(joint_pos: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Sum [rad] of joints (N, J) beyond soft limits (J,)."""
    return ((low - joint_pos).clamp(min=0.0) + (joint_pos - high).clamp(min=0.0)).sum(1)
