"""What following a command is worth, term by term."""

from __future__ import annotations

import torch

from vm_core.frames import quat_rotate_inverse
from vm_training.mdp import rewards
from vm_training.rl.robot_env import RobotEnv

_LEAST_HEIGHT_M = 0.62
_ARMS = slice(12, None)
_RESTING = 0.05
_HARD_LANDING_N = 900.0


class MeanVelocity:
    """Velocities ahead, aside and in turn, smoothed over about a step: a walk sways, and that is no mistake."""

    def __init__(self, num: int, time_s: float, period_s: float) -> None:
        self._share, self.value = period_s / time_s, torch.zeros((num, 3))

    def reset(self, envs: torch.Tensor) -> None:
        """Robots (E,) at rest."""
        self.value[envs] = 0.0

    def update(self, env: RobotEnv) -> None:
        """Takes note of a control period."""
        heading = torch.stack([env.yaw.cos(), env.yaw.sin()], dim=1)
        velocity = env.sim.qvel[:, :2]
        ahead = (velocity * heading).sum(1)
        aside = velocity[:, 1] * heading[:, 0] - velocity[:, 0] * heading[:, 1]
        now = torch.stack([ahead, aside, env.sim.body_ang_vel[:, 0, 2]], dim=1).nan_to_num(0.0)
        self.value += self._share * (now - self.value)


def command_terms(
    env: RobotEnv, command: torch.Tensor, mean: MeanVelocity, failed: torch.Tensor, std: tuple[float, float]
) -> dict[str, torch.Tensor]:
    """Each term (N,).

    Args:
        env: robots after a control period.
        command: (N, 3) that they were given.
        mean: their velocities.
        failed: (N,) who has fallen.
        std: widths of the velocity terms [m/s, rad/s].
    """
    sim = env.sim
    off = mean.value - command
    spin = sim.body_ang_vel[:, 0]
    gravity = quat_rotate_inverse(sim.qpos[:, 3:7], sim.qpos.new_tensor([0.0, 0.0, -1.0]).expand(env.num_envs, 3))
    resting = (command.abs().amax(1) < _RESTING).float()
    height = sim.qpos[:, 2] - env.ground_height
    action_rate = (env.action - env.last_action).square().sum(1) * env.action_scale**2
    return {
        "linear": torch.exp(-off[:, :2].square().sum(1) / std[0] ** 2),
        "turning": torch.exp(-off[:, 2].square() / std[1] ** 2),
        "upright": gravity[:, :2].square().sum(1),
        "height": (_LEAST_HEIGHT_M - height).clamp(min=0.0),
        "sway": 0.2 * spin[:, :2].square().sum(1) + 0.5 * sim.qvel[:, 2].square(),
        "slip": rewards.slip(env.foot_velocity, env.contact.float()),
        "stumble": (sim.foot_force > _HARD_LANDING_N).float().sum(1),
        "torque": ((env.target - sim.qpos[:, 7:]) * 0.5).square().sum(1),
        "action_rate": action_rate * 16.0,
        "joint_limits": rewards.beyond_limits(sim.qpos[:, 7:], env.soft_low, env.soft_high),
        "arms": (sim.qpos[:, 7:] - env.default_joint_pos)[:, _ARMS].square().sum(1),
        "still": resting * sim.qvel[:, 6:].square().sum(1).clamp(max=20.0) * 0.05,
        "alive": torch.ones(env.num_envs),
        "termination": failed.float(),
    }
