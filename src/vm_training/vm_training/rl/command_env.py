"""Robots under root commands on random courses: the last stage, where a student learns what its teachers lack."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from tensordict import TensorDict

from vm_core import g1
from vm_core.errors import VmError
from vm_core.observation_terms import ObservationInputs
from vm_core.policy_contract import PolicyContract
from vm_training.mdp import rewards, terminations
from vm_training.mdp.commands import BatchGaitClock, CommandRanges, Commands
from vm_training.rl.command_rewards import MeanVelocity, command_terms
from vm_training.rl.env_config import EnvConfig
from vm_training.rl.random_courses import OPEN, TERRAINS, CourseRanges, random_course
from vm_training.rl.robot_env import RobotEnv
from vm_training.rl.terrain_share import TerrainShare
from vm_training.student import Student

_FALLEN_M = 0.42
_ANKLE_PITCH = [g1.POLICY_JOINT_NAMES.index(f"{side}_ankle_pitch_joint") for side in ("left", "right")]
_STEP_S = 0.65


@dataclass(frozen=True)
class CommandConfig:
    """What following commands asks for.

    Attributes:
        weights: of the rewards.
        commands: how they are drawn; their limits come from the student's contract.
        courses: what they are drawn from.
        longest_s: of an episode.
        kinds: of courses, for a walker of some places only.
        scenes: random courses side by side, drawn anew at every checkpoint.
        start_joint_rad: standard deviation of the joints at the start.
        command_std: width of the tracking rewards [m/s, rad/s].
        gentle_push: share of the hardest push where the ground is not what is called `push`.
        anchored: how closely the policy is kept to the one that it began with, by kind of course; 0: free.
        free_s: after a push nothing is kept, for the student of teachers that were never pushed knows nothing of it.
    """

    weights: rewards.CommandWeights = field(default_factory=rewards.CommandWeights)
    commands: CommandRanges = field(default_factory=lambda: CommandRanges(zero=0.12))
    courses: CourseRanges = field(default_factory=CourseRanges)
    kinds: tuple[str, ...] = TERRAINS
    longest_s: float = 16.0
    scenes: int = 70
    start_joint_rad: float = 0.02
    command_std: tuple[float, float] = (0.2, 0.3)
    gentle_push: float = 0.4
    anchored: dict[str, float] = field(
        default_factory=lambda: {kind: 0.3 if kind in ("rough", "slope") else 1.0 for kind in TERRAINS}
    )
    free_s: float = 1.5

    def __post_init__(self) -> None:
        if self.scenes < 1 or self.longest_s <= 0.0 or min(self.gentle_push, self.free_s, *self.anchored.values()) < 0:
            raise VmError(f"{self}: expected at least one scene, a positive time and nothing negative")
        if not self.kinds or not set(self.kinds) <= set(TERRAINS):
            raise VmError(f"kinds {', '.join(self.kinds)}; expected some of {', '.join(TERRAINS)}")
        if set(self.anchored) != set(TERRAINS):
            raise VmError(f"anchored names {', '.join(self.anchored)}; expected {', '.join(TERRAINS)}")


class CommandEnv(RobotEnv):
    """N robots that a student's contract describes.

    Attributes:
        kind_of: (N,) index in TERRAINS.  scenes: each robot's.
    """

    def __init__(
        self,
        contract: PolicyContract,
        student: Student | None,
        config: EnvConfig,
        task: CommandConfig,
        seed: int,
        share: TerrainShare | None = None,
    ) -> None:
        rng = np.random.default_rng(seed)
        self.share = share or TerrainShare(task.kinds)
        kinds = self.share.kinds(task.scenes)
        scenes = [random_course(TERRAINS[kind], task.courses, rng) for kind in kinds]
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
        self.task, self._student, self.scenes = (
            task,
            student,
            [scenes[i] for i in np.arange(self.num_envs) % len(scenes)],
        )
        self.kind_of = torch.tensor(kinds)[self.scene_of]
        self._kind = {name: self.kind_of == i for i, name in enumerate(TERRAINS)}
        self._gradient = torch.tensor([scene.ground[0] for scene in scenes], dtype=torch.float32)
        self.push_m_s *= torch.where(self._kind["push"], 1.0, task.gentle_push)
        self._anchored = torch.tensor([task.anchored[kind] for kind in TERRAINS])[self.kind_of]
        self.commands = Commands(self.num_envs, task.commands, self.generator, self.period_s)
        self.commands.steered = ~torch.stack([self._kind[name] for name in OPEN]).any(0)
        self._clock = None
        if contract.gait_step_s:
            self._clock = BatchGaitClock(self.num_envs, contract.gait_step_s, contract.gait_fade_steps)
        self._velocity = MeanVelocity(self.num_envs, contract.gait_step_s or _STEP_S, self.period_s)
        self._longest = round(task.longest_s / self.period_s)
        self.finished = self.survived = 0
        self._falls, self._time = torch.zeros(len(TERRAINS)), torch.zeros(len(TERRAINS))

    def target_base(self) -> torch.Tensor:
        return self.default_joint_pos.expand(self.num_envs, -1)

    def start_states(self, envs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        count = len(envs)
        qpos = self.sim.stand_qpos.repeat(count, 1)
        qpos[:, 7:] = self.default_joint_pos + self.task.start_joint_rad * self.randn(count, self.num_actions)
        uniform = torch.rand((count, 3), generator=self.generator, device=self.device)
        yaw = 0.08 * self.randn(count)
        qpos[:, 0], qpos[:, 1] = 0.4 * uniform[:, 0] - 0.3, 0.6 * uniform[:, 1] - 0.3
        qpos[:, 3], qpos[:, 6] = (0.5 * yaw).cos(), (0.5 * yaw).sin()
        for ankle in _ANKLE_PITCH:  # soles lie on a slope
            qpos[:, 7 + ankle] -= self._gradient[self.scene_of[envs]].atan()
        soles = self.sim.sole_points(qpos)
        over = soles[..., 2] - g1.SOLE_SPHERE_RADIUS_M - self.terrain.heights(self.scene_of[envs], soles[..., :2])
        qpos[:, 2] += 0.001 - over.amin(1)
        return qpos, 0.03 * self.randn(count, 6 + self.num_actions)

    def reset_all(self) -> TensorDict:
        """Episodes that end at different times: a batch is to hold all of what happens in one."""
        found = super().reset_all()
        self.age = torch.randint(0, self._longest, (self.num_envs,), generator=self.generator, device=self.device)
        return found

    def after_reset(self, envs: torch.Tensor) -> None:
        self.commands.reset(envs, self.yaw[envs])
        self._velocity.reset(envs)
        if self._clock is not None:
            self._clock.reset(envs)

    def before_reset(self, failed: torch.Tensor, over: torch.Tensor) -> None:
        self.finished += int(over.sum())
        self.survived += int((over & ~failed).sum())
        self.share.note(self.kind_of, failed, self.period_s)
        self._falls += torch.bincount(self.kind_of[failed], minlength=len(TERRAINS))
        self._time += self.period_s * torch.bincount(self.kind_of, minlength=len(TERRAINS))

    def ends(self) -> tuple[torch.Tensor, torch.Tensor]:
        sim = self.sim
        fell = terminations.tilted(sim.qpos[:, 3:7]) | terminations.diverged(sim.qpos, sim.qvel)
        fell |= terminations.low(sim.qpos[:, 2] - self.ground_height, _FALLEN_M)
        return fell, self.age >= self._longest

    def observe(self) -> TensorDict:
        """Also what the student that all began with would do (`start`), and how much that counts (`anchor`)."""
        found = super().observe()
        if self._student is not None:
            with torch.no_grad():
                found["start"] = self._student(found["actor"])
            held = (self.since_push * self.period_s > self.task.free_s).float()
            found["anchor"] = (self._anchored * held)[:, None]
        return found

    def rewards(self, failed: torch.Tensor) -> torch.Tensor:
        self._velocity.update(self)
        terms = command_terms(self, self.commands.value, self._velocity, failed, self.task.command_std)
        return rewards.weighed(self.task.weights, terms, self.period_s)

    def task_inputs(self, inputs: ObservationInputs) -> None:
        command = self.commands.update(self.yaw.nan_to_num(0.0), self.sim.qpos[:, 1].nan_to_num(0.0))
        inputs.command = command.clone()
        if self._clock is not None:
            inputs.gait_phase = self._clock.update(command, self.period_s)

    def privileged(self) -> torch.Tensor:
        """(N, 1): how much of the episode is left."""
        return 1.0 - self.age[:, None].float() / self._longest

    def take_statistics(self) -> dict[str, float]:
        """Share of episodes since the last call that were survived, how many ended, and falls a minute by kind."""
        finished, survived = self.finished, self.survived
        falls = (60.0 * self._falls / self._time).tolist()
        self.finished, self.survived = 0, 0
        self._falls.zero_()
        self._time.zero_()
        found = {"success": survived / finished if finished else math.nan, "episodes": float(finished)}
        rates = dict(zip(TERRAINS, falls, strict=True))
        return found | {f"falls_{kind}": rates[kind] for kind in TERRAINS if kind in self.task.kinds}
