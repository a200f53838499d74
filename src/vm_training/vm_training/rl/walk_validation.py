"""What a policy can do on courses that are always the same: no noise in what it does, nobody varied, grids exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from vm_core.policy_contract import PolicyContract
from vm_training.mdp.observations import SensorNoise
from vm_training.mdp.randomization import EpisodeRanges
from vm_training.progress import Progress
from vm_training.rl.command_env import CommandConfig, CommandEnv
from vm_training.rl.env_config import EnvConfig
from vm_training.rl.random_courses import TERRAINS, CourseRanges

_SEED = 271_828
_PUSH_M_S, _PUSH_AT_S = 0.5, (3.0, 6.0)


@dataclass(frozen=True)
class ValidationConfig:
    """A validation.

    Attributes:
        robots: on each kind of course.
        seconds: that they walk.
        every: checkpoints from one to the next; 0 for none.
        courses: what they are drawn from.
    """

    robots: int = 16
    seconds: float = 12.0
    every: int = 1
    courses: CourseRanges = CourseRanges((0.08, 0.16), (0.26, 0.34), (0.05, 0.12), 0.05, 10.0, (0.6, 1.0))


class ValidationEnv(CommandEnv):
    """One robot a course; each is steered ahead for all of its time, and those on `push` are pushed once, hard."""

    def __init__(self, contract: PolicyContract, task: CommandConfig, validation: ValidationConfig, threads: int):
        count = validation.robots * len(task.kinds)
        low, high = contract.command_limits[0]
        speed = (low + 0.65 * (high - low), high)
        commands = replace(
            task.commands,
            limits=(speed, (0.0, 0.0), contract.command_limits[2]),
            reach=1.0,
            zero=0.0,
            straight=1.0,
            hold_s=(99.0, 99.0),
            stand_s=(1.0, 1.0),
        )
        settings = replace(
            task, commands=commands, courses=validation.courses, scenes=count, longest_s=999.0, start_joint_rad=0.02
        )
        quiet = SensorNoise(2e-4, 0.02, 0.005, 0.003, 0.0, 0.0)
        config = EnvConfig(count, ranges=EpisodeRanges.none(), noise=quiet, mirror=False, threads=threads)
        super().__init__(contract, None, config, settings, _SEED)
        self.commands.steered[:] = True
        low_s, high_s = _PUSH_AT_S
        at_s = low_s + (high_s - low_s) * torch.rand(count, generator=self.generator)
        self._push_at = torch.where(self._kind["push"], at_s / self.period_s, -1.0).round().long()

    def _push(self) -> None:
        envs = (self.age == self._push_at).nonzero()[:, 0]
        if len(envs):
            angle = 2.0 * torch.pi * torch.rand(len(envs), generator=self.generator)
            self.sim.push(envs, _PUSH_M_S * torch.stack([angle.cos(), angle.sin(), 0.0 * angle], dim=1))


def validate(
    act: Callable[[torch.Tensor], torch.Tensor],
    contract: PolicyContract,
    task: CommandConfig,
    validation: ValidationConfig,
    threads: int = 1,
) -> dict[str, float]:
    """Share of robots that stay upright and get ahead, by kind (`valid_KIND`), and the mean of all kinds (`valid`).

    Args:
        act: means of the policy's actions for observations.
        contract: what it sees.
        task, validation: of the run.
        threads: of the physics.
    """
    env = ValidationEnv(contract, task, validation, threads)
    seen = env.reset_all()
    env.age.zero_()
    up = torch.ones(env.num_envs, dtype=torch.bool)
    start, reached = env.sim.qpos[:, 0].clone(), torch.zeros(env.num_envs)
    steps = round(validation.seconds / env.period_s)
    with torch.no_grad(), Progress("validation", steps, unit="step", leave=False) as bar:
        for _ in range(steps):
            seen, _, over, _ = env.step(act(seen["actor"]))
            up &= over == 0
            reached = torch.where(up, env.sim.qpos[:, 0] - start, reached)
            bar.round_done()
    env.close()
    ahead = up & (reached > 0.5 * validation.seconds * float(env.commands._low[0]))
    found = {f"valid_{kind}": float(ahead[env.kind_of == TERRAINS.index(kind)].float().mean()) for kind in task.kinds}
    return found | {"valid": sum(found.values()) / len(found)}
