"""Stage 1, motion pretraining: one policy that tracks many clips on level ground."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch

from vm_core import g1
from vm_core.policy_contract import PolicyContract
from vm_training.export import joint_fields
from vm_training.mdp.observations import DEFAULT_JOINT_POS
from vm_training.mdp.rewards import TrackingWeights
from vm_training.rl.clip_library import ClipLibrary, SceneClip, load_clips
from vm_training.rl.distributed import Workers
from vm_training.rl.env_config import EnvConfig
from vm_training.rl.run_folder import RunFolder
from vm_training.rl.task import PpoConfig, Task
from vm_training.rl.tracking_env import (
    ACTION_CLIP,
    ACTION_SCALE_RAD,
    GRID,
    GRID_TERM,
    TRACKING_TERMS,
    TrackingConfig,
    TrackingEnv,
)
from vm_training.rl.trainer import Trainer

NAME = "motion_pretraining"
CONTROL_HZ = 50.0


@dataclass(frozen=True)
class MotionPretrainingConfig:
    """Everything that decides a pretraining.

    Attributes:
        clips: files and folders of clips.
        env: how robots are simulated, varied and seen.
        tracking: what they are asked for.
        ppo: the learner.
    """

    clips: tuple[Path, ...]
    env: EnvConfig = field(default_factory=EnvConfig)
    tracking: TrackingConfig = field(default_factory=lambda: TrackingConfig(weights=TrackingWeights(action_rate=-2.0)))
    ppo: PpoConfig = field(default_factory=lambda: PpoConfig(learning_rate=1e-3))


def train_motion_pretraining(config: MotionPretrainingConfig, out: Path, resume: bool) -> Trainer:
    """All iterations that are not done yet.

    Raises:
        VmError: no clips, clips that cannot be tracked, or a folder of another run.
    """
    clips = load_clips(config.clips, CONTROL_HZ, flat=True)
    return run(tracking_task(NAME, clips, config.env, config.tracking, grid=False), config, config.ppo, out, resume)


def tracking_task(name: str, clips: list[SceneClip], env: EnvConfig, tracking: TrackingConfig, *, grid: bool) -> Task:
    """A task on clips; what fails is remembered from segment to segment."""
    library = ClipLibrary(clips)

    def load(state: dict[str, torch.Tensor]) -> None:
        library.tries, library.fails = state["tries"].clone(), state["fails"].clone()

    return Task(
        name,
        lambda seed: TrackingEnv(clips, library, env, tracking, grid, seed),
        contract_of(name, grid, 1.0 / clips[0].clip.fps),
        state=lambda: {"tries": library.tries.clone(), "fails": library.fails.clone()},
        load_state=load,
    )


def contract_of(name: str, grid: bool, period_s: float) -> PolicyContract:
    """What a tracker of reinforcement learning says of itself."""
    return PolicyContract(
        name=name,
        **joint_fields(DEFAULT_JOINT_POS),
        action_scale=(ACTION_SCALE_RAD,) * len(g1.POLICY_JOINT_NAMES),
        observation=(*TRACKING_TERMS, GRID_TERM) if grid else TRACKING_TERMS,
        action_clip=ACTION_CLIP,
        action_base="reference_target",
        control_period_s=period_s,
        height_grid=GRID if grid else None,
    )


def run(task: Task, config: object, ppo: PpoConfig, out: Path, resume: bool) -> Trainer:
    """Trains a task in its run folder."""
    folder, workers = RunFolder(out, task.name), Workers.from_environment()
    if workers.is_first:
        folder.begin(config, resume)
    trainer = Trainer(task, ppo, folder, workers)
    if resume:
        trainer.resume()
    trainer.run()
    workers.leave()
    return trainer
