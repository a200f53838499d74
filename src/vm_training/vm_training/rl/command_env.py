"""Robots under root commands on random courses: the last stage, where a student learns what its teachers lack."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch

from vm_core.errors import VmError
from vm_core.frames import quat_rotate_inverse
from vm_core.observation import ObservationInputs
from vm_core.policy_contract import PolicyContract
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_training.mdp import rewards, terminations
from vm_training.mdp.commands import BatchGaitClock, CommandRanges, Commands
from vm_training.rl.env_config import EnvConfig
from vm_training.rl.robot_env import RobotEnv
from vm_training.student import Student

TERRAINS = ("flat", "flat", "stairs_up", "stairs_down", "kerbs", "rough", "slope")
_BOXES = 14
_HEIGHT_M = 0.72
_ARMS = slice(12, None)


@dataclass(frozen=True)
class CommandConfig:
    """What following commands asks for.

    Attributes:
        weights: of the rewards.
        commands: how they are drawn; their limits come from the student's contract.
        longest_s: of an episode.
        scenes: random courses side by side, drawn anew at every checkpoint.
        rise_m: lowest and highest step.  run_m: shortest and longest tread.
        start_joint_rad: standard deviation of the joints at the start.
        command_std: width of the tracking rewards [m/s, rad/s].
    """

    weights: rewards.CommandWeights = field(default_factory=rewards.CommandWeights)
    commands: CommandRanges = field(default_factory=CommandRanges)
    longest_s: float = 16.0
    scenes: int = 28
    rise_m: tuple[float, float] = (0.06, 0.16)
    run_m: tuple[float, float] = (0.26, 0.36)
    start_joint_rad: float = 0.03
    command_std: tuple[float, float] = (0.2, 0.3)

    def __post_init__(self) -> None:
        if self.scenes < 1 or self.longest_s <= 0.0 or not 0.0 < self.rise_m[0] <= self.rise_m[1] < 0.4:
            raise VmError(f"{self}: expected at least one scene, a positive time, and rises within 0 to 0.4 m")


class CommandEnv(RobotEnv):
    """N robots that a student's contract describes."""

    def __init__(
        self, contract: PolicyContract, student: Student | None, config: EnvConfig, task: CommandConfig, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        scenes = [random_course(TERRAINS[i % len(TERRAINS)], task, rng) for i in range(task.scenes)]
        assert contract.action_clip is not None
        super().__init__(
            config,
            scenes,
            np.arange(config.num_envs) % len(scenes),
            contract.observation,
            control_period_s=contract.control_period_s,
            default_joint_pos=np.array(contract.default_joint_pos),
            action_scale=contract.action_scale[0],
            action_clip=contract.action_clip,
            grid=contract.height_grid,
            grid_unknown_m=contract.height_grid_unknown,
            seed=seed,
        )
        self.task, self._student = task, student
        self.commands = Commands(self.num_envs, task.commands, self.generator, self.period_s)
        self._clock = None
        if contract.gait_step_s:
            self._clock = BatchGaitClock(self.num_envs, contract.gait_step_s, contract.gait_fade_steps)
        self._longest = round(task.longest_s / self.period_s)
        self._wanted = torch.zeros((self.num_envs, self.num_actions))
        self._feet_before = torch.zeros((self.num_envs, 2, 3))
        self.finished = self.survived = 0

    def target_base(self) -> torch.Tensor:
        return self.default_joint_pos.expand(self.num_envs, -1)

    def start_states(self, envs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        count = len(envs)
        qpos = self.sim.stand_qpos.repeat(count, 1)
        stand = qpos[:, 7:].clone()
        qpos[:, 7:] = self.default_joint_pos + self.task.start_joint_rad * self.randn(count, self.num_actions)
        uniform = torch.rand((count, 3), generator=self.generator, device=self.device)
        yaw = 0.15 * self.randn(count)
        qpos[:, 0], qpos[:, 1] = 0.6 * uniform[:, 0] - 0.3, uniform[:, 1] - 0.5
        qpos[:, 3], qpos[:, 6] = (0.5 * yaw).cos(), (0.5 * yaw).sin()
        under = qpos[:, None, :2] + torch.tensor([[0.0, 0.0], [0.12, 0.1], [0.12, -0.1], [-0.06, 0.1], [-0.06, -0.1]])
        ground = self.terrain.heights(self.scene_of[envs], under).amax(1)
        # another pose than the stand's reaches down less or farther; the fall of a centimetre is part of the start
        qpos[:, 2] += ground + 0.01 + 0.5 * (stand[:, 3] - self.default_joint_pos[3]).clamp(min=0.0) * 0.1
        return qpos, 0.05 * self.randn(count, 6 + self.num_actions)

    def after_reset(self, envs: torch.Tensor) -> None:
        self.commands.reset(envs, self.yaw[envs])
        if self._clock is not None:
            self._clock.reset(envs)

    def before_reset(self, failed: torch.Tensor, over: torch.Tensor) -> None:
        self.finished += int(over.sum())
        self.survived += int((over & ~failed).sum())

    def ends(self) -> tuple[torch.Tensor, torch.Tensor]:
        sim = self.sim
        fell = terminations.tilted(sim.qpos[:, 3:7]) | terminations.diverged(sim.qpos, sim.qvel)
        fell |= terminations.low(sim.qpos[:, 2] - self.ground_height, 0.42)
        return fell, self.age >= self._longest

    def step(self, action: torch.Tensor):
        if self._student is not None and self.task.weights.imitation:
            with torch.no_grad():
                wanted = self._student(self._last_seen)
            self._wanted = self._joint_mirror.where(self.mirrored, wanted) if self.config.mirror else wanted
        return super().step(action)

    def observe(self):
        found = super().observe()
        self._last_seen = found["actor"]
        return found

    def rewards(self, failed: torch.Tensor) -> torch.Tensor:
        sim, command, task = self.sim, self.commands.value, self.task
        heading = torch.stack([self.yaw.cos(), self.yaw.sin()], dim=1)
        forward = (sim.qvel[:, :2] * heading).sum(1)
        aside = sim.qvel[:, 1] * heading[:, 0] - sim.qvel[:, 0] * heading[:, 1]
        off = (forward - command[:, 0]).square() + (aside - command[:, 1]).square()
        spin = sim.body_ang_vel[:, 0]
        gravity = quat_rotate_inverse(sim.qpos[:, 3:7], sim.qpos.new_tensor([0.0, 0.0, -1.0]).expand(self.num_envs, 3))
        contact = self.contact.float()
        resting = (command.abs().amax(1) < 0.05).float()
        torque = (self.target - sim.qpos[:, 7:]) * 0.5
        height = sim.qpos[:, 2] - self.ground_height
        terms = {
            "linear": torch.exp(-off / task.command_std[0] ** 2),
            "turning": torch.exp(-(spin[:, 2] - command[:, 2]).square() / task.command_std[1] ** 2),
            "upright": gravity[:, :2].square().sum(1),
            "height": (_HEIGHT_M - 0.1 - height).clamp(min=0.0),
            "sway": 0.2 * spin[:, :2].square().sum(1) + 0.5 * sim.qvel[:, 2].square(),
            "slip": rewards.slip(self.foot_velocity, contact),
            "stumble": (sim.foot_force > 900.0).float().sum(1),
            "torque": torque.square().sum(1),
            "action_rate": (self.action - self.last_action).square().sum(1) * self.action_scale**2 * 16.0,
            "joint_limits": rewards.beyond_limits(sim.qpos[:, 7:], self.soft_low, self.soft_high),
            "arms": (sim.qpos[:, 7:] - self.default_joint_pos)[:, _ARMS].square().sum(1),
            "still": resting * sim.qvel[:, 6:].square().sum(1).clamp(max=20.0) * 0.05,
            "imitation": (self.action - self._wanted).square().mean(1).clamp(max=10.0),
            "alive": torch.ones(self.num_envs),
            "termination": failed.float(),
        }
        return rewards.weighed(task.weights, terms, self.period_s)

    def task_inputs(self, inputs: ObservationInputs) -> None:
        command = self.commands.update(self.yaw.nan_to_num(0.0))
        inputs.command = command.clone()
        if self._clock is not None:
            inputs.gait_phase = self._clock.update(command, self.period_s)

    def privileged(self) -> torch.Tensor:
        """(N, 1): how much of the episode is left."""
        return 1.0 - self.age[:, None].float() / self._longest

    def take_statistics(self) -> dict[str, float]:
        """Share of episodes since the last call that were survived, and how many ended; starts over."""
        finished, survived = self.finished, self.survived
        self.finished, self.survived = 0, 0
        return {"success": survived / finished if finished else math.nan, "episodes": float(finished)}


def random_course(kind: str, task: CommandConfig, rng: np.random.Generator) -> SceneAsset:
    """A place of a kind, ahead of the origin and wide enough to wander."""
    ground = (0.0, 0.0, 0.0)
    tops: list[tuple[float, float, float]] = []  # from x, to x, height
    edge = float(rng.uniform(0.6, 1.2))
    rise, run = float(rng.uniform(*task.rise_m)), float(rng.uniform(*task.run_m))
    if kind == "stairs_up":
        tops = [(edge + run * i, 9.0, rise * (i + 1)) for i in range(8)]
    elif kind == "stairs_down":
        tops = [(-3.0, edge + run * i, rise * (8 - i)) for i in range(8)]
    elif kind == "kerbs":
        tops = [(edge + 1.6 * i, edge + 1.6 * i + float(rng.uniform(0.5, 1.1)), 0.8 * rise) for i in range(4)]
    elif kind == "slope":
        ground = (math.tan(math.radians(float(rng.uniform(-8.0, 8.0)))), 0.0, 0.0)
    elif kind == "rough":
        tops = [(edge + 0.35 * i, edge + 0.35 * (i + 1), float(rng.uniform(0.005, 0.05))) for i in range(12)]
    boxes = tuple(
        SceneBox((0.5 * (a + b), 0.0, 0.5 * h - 0.25), (0.5 * (b - a), 2.5, 0.5 * h + 0.25), label=kind)
        for a, b, h in tops
    )
    assert len(boxes) <= _BOXES
    return SceneAsset(boxes=boxes, ground=ground)
