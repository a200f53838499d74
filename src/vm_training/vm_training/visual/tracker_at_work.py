"""A tracker's reinforcement learning at work: a task's script commands it, and it is told to halt at any moment.

Teachers teach a tracker to follow; nobody shows it how to come to rest from a walk that has gone on before an object,
for its teachers' halts begin where motions are. Here robots work and pause by turns, stillness pays while they pause
and the task's own rewards while they work, and what it was taught holds it (`rl.anchored_ppo`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict

from vm_core.errors import VmError
from vm_core.frames import heading_quat, quat_rotate_inverse
from vm_training.mdp.clip_tracking import NUM_JOINTS
from vm_training.mdp.observations import DEFAULT_JOINT_POS
from vm_training.rl.model import student_of, take_student
from vm_training.rl.task import AnchorConfig, PpoConfig, Task
from vm_training.rl.trainer import Trainer
from vm_training.student import Student
from vm_training.tasks.motion_pretraining import run
from vm_training.tasks.work_folder import WorkFolder
from vm_training.visual.bundle import tracker_contract
from vm_training.visual.gait_table import GaitTable
from vm_training.visual.object_world import PERIOD_S, ObjectWorld, Tracker, WorldConfig
from vm_training.visual.scripted import ScriptedGenerator
from vm_training.visual.task_rewards import TaskRewards
from vm_training.visual.tasks.base import ObjectTask
from vm_training.visual.tracker import ACTION_CLIP, ACTION_SCALE_RAD, CommandMoments
from vm_training.visual.tracker_training import tracker_arrays

NAME = "tracker_at_work"
LONGEST_PAUSE_S = 2.0
"""Up to when the critic is told how long a robot has paused."""


@dataclass(frozen=True)
class WorkWeights:
    """Weights of the rewards, a second.

    Attributes:
        working: the task's own, while the run bit is 1.
        rest: exp(-(pelvis' horizontal speed / 0.1 m/s)²) while it is 0.
        still: exp(-(joint speeds, rms / 0.5 rad/s)²) while it is 0.
        alive: 1.
        smooth: -(change of the action, rms)².
        fall: once.
    """

    working: float = 0.3
    rest: float = 2.0
    still: float = 1.0
    alive: float = 0.5
    smooth: float = 0.1
    fall: float = -10.0

    def __post_init__(self) -> None:
        if self.fall > 0.0 or min(self.working, self.rest, self.still, self.alive, self.smooth) < 0.0:
            raise VmError(f"{self}: expected weights from 0, and a fall that costs")


@dataclass(frozen=True)
class TrackerAtWorkConfig:
    """Everything that decides a run.

    Attributes:
        longest_s: of an episode.
        world: how robots and objects differ, and how often they are told to halt and to go on.
        weights: of the rewards.
        ppo: the learner; its layers are the tracker's.
        anchor: what keeps the tracker from forgetting.
    """

    longest_s: float = 20.0
    world: WorldConfig = field(default_factory=lambda: WorldConfig(worlds=64, run_share=1.0, toggle_s=2.5))
    weights: WorkWeights = field(default_factory=WorkWeights)
    ppo: PpoConfig = field(
        default_factory=lambda: PpoConfig(
            iterations=300,
            learning_rate=1e-5,
            desired_kl=0.01,
            init_std=0.1,
            entropy=0.0,
            save_every=60,
            steps=32,
            hidden=(384, 192, 96),
        )
    )
    anchor: AnchorConfig = field(default_factory=lambda: AnchorConfig(critic_hidden=(256, 128)))

    def __post_init__(self) -> None:
        self.ppo.must_let_end(self.longest_s, PERIOD_S)


class TrackerAtWorkEnv:
    """N worlds; actions are a tracker's raw outputs; see `rl.task.Environment`."""

    def __init__(
        self,
        task: ObjectTask,
        tracker: Tracker,
        first: Student,
        table: GaitTable,
        config: TrackerAtWorkConfig,
        seed: int,
    ) -> None:
        """Args: the task, whose commands are clamped and how, who began, gaits of the script, how, the seed."""
        self.world = ObjectWorld(task, tracker, table, config.world, seed)
        self.num_envs, self.num_actions, self.period_s = self.world.num_envs, NUM_JOINTS, PERIOD_S
        self._first, self._weights = first, config.weights
        self._longest = round(config.longest_s / PERIOD_S)
        self._script = ScriptedGenerator(self.world)
        self._task_rewards = TaskRewards(task, self.num_envs)
        self._paused_s = np.zeros(self.num_envs)
        self._action = torch.zeros(self.num_envs, NUM_JOINTS)
        self._fallen, self._speeds = 0, [0.0, 0]

    def reset_all(self) -> TensorDict:
        """All worlds anew."""
        self._reset(np.arange(self.num_envs))
        return self._observe()

    def step(self, action: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Raw actions (N, J); observations, rewards (N,), ends (N,) and which are for time."""
        world, before = self.world, self._action
        self._action = action.clamp(-ACTION_CLIP, ACTION_CLIP)
        world.move(DEFAULT_JOINT_POS + ACTION_SCALE_RAD * self._action.numpy().astype(np.float64))
        failed = world.fallen()
        timed_out = ~failed & (world.age >= self._longest)
        reward = self._rewards(before, failed)
        self._fallen += int(failed.sum())
        over = np.flatnonzero(failed | timed_out)
        self._reset(over)
        ends = torch.from_numpy((failed | timed_out).astype(np.float32))
        extras = {"time_outs": torch.from_numpy(timed_out.astype(np.float32))}
        return self._observe(), torch.from_numpy(reward.astype(np.float32)), ends, extras

    def _reset(self, envs: np.ndarray) -> None:
        self.world.reset(envs)
        self._script.reset(envs)
        self._task_rewards.reset(envs)
        self._paused_s[envs], self._action[envs] = 0.0, 0.0

    def _observe(self) -> TensorDict:
        world = self.world
        world.tick()
        self._paused_s = np.where(world.run, 0.0, self._paused_s + PERIOD_S)
        world.hear(self._script.command())
        seen = torch.from_numpy(world.seen)
        speed = quat_rotate_inverse(heading_quat(world.qpos[:, 3:7]), world.qvel[:, :3])
        paused = np.minimum(self._paused_s, LONGEST_PAUSE_S)
        more = np.column_stack([speed, world.qpos[:, 2], world.run, paused]).astype(np.float32)
        critic = torch.cat([seen, torch.from_numpy(more).nan_to_num(0.0)], dim=1)
        with torch.no_grad():
            start = self._first(seen)
        found = {"actor": seen, "critic": critic, "start": start, "anchor": torch.ones(self.num_envs, 1)}
        return TensorDict(found, batch_size=[self.num_envs])

    def _rewards(self, before: torch.Tensor, failed: np.ndarray) -> np.ndarray:
        world, weights = self.world, self._weights
        speed = np.linalg.norm(world.qvel[:, :2], axis=1)
        joints = np.sqrt(np.mean(world.qvel[:, 6:] ** 2, axis=1))
        change = (self._action - before).square().mean(1).numpy()
        rests = weights.rest * np.exp(-np.square(speed / 0.1)) + weights.still * np.exp(-np.square(joints / 0.5))
        working = weights.working * self._task_rewards.working(world.view())
        self._count(speed[~world.run & (self._paused_s > 0.6) & ~failed])
        total = np.where(world.run, working, rests) + weights.alive - weights.smooth * change
        return np.nan_to_num(total) * PERIOD_S + weights.fall * failed

    def _count(self, speeds: np.ndarray) -> None:
        self._speeds = [self._speeds[0] + float(speeds.sum()), self._speeds[1] + len(speeds)]

    def take_statistics(self) -> dict[str, float]:
        """Falls, and the pelvis' mean speed later than 0.6 s after a pause [m/s], since the last call."""
        total, count = self._speeds
        found = {"falls": float(self._fallen), "paused_m_s": total / count if count else float("nan")}
        self._fallen, self._speeds = 0, [0.0, 0]
        return found

    def close(self) -> None:
        """Ends the physics' threads."""
        self.world.close()


def train_tracker_at_work(
    task: ObjectTask, start: Tracker, table: GaitTable, config: TrackerAtWorkConfig, out: Path, resume: bool
) -> Trainer:
    """All iterations that are not done yet; the tracker of the last one goes where `load_tracker` finds it.

    Args:
        task: at which it works; it must have a script.
        start: the tracker that it begins with.
        table: gaits of its steps.
        config: how.
        out: run folder.
        resume: go on with the run that is there.

    Raises:
        VmError: a tracker that is no perceptron of those layers.
    """
    first = start.student
    if not isinstance(first, Student) or tuple(first.hidden) != tuple(config.ppo.hidden):
        raise VmError(f"a tracker of layers {getattr(first, 'hidden', None)}; expected {config.ppo.hidden}")
    stage = Task(
        NAME,
        lambda seed: TrackerAtWorkEnv(task, start, first, table, config, seed),
        tracker_contract(NAME, start.statistics, {}, start.step_s),
        start=lambda model: take_student(model, first),
        anchor=config.anchor,
    )
    trainer = run(stage, config, config.ppo, out, resume)
    student = student_of({key: value.detach() for key, value in trainer.ppo.actor.state_dict().items()})
    arrays = tracker_arrays(student, CommandMoments.of(start.statistics), len(trainer.records), start.step_s)
    WorkFolder(out / "tracker").write_arrays("tracker.npz", arrays)
    return trainer
